from .broken_images_hook import BrokenImagesHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .class_check_hook import ClassCheckHook
from .collapse_watch_hook import CollapseWatchHook
from .deferred_runtime_info_hook import DeferredRuntimeInfoHook
from .finite_step_hook import FiniteStepHook
from .first_sample_hook import FirstSampleHook
from .fused_attention_hook import FusedAttentionHook
from .list_paths_hook import ListPathsHook
from .measure_statistics_hook import MeasureStatisticsHook
from .pictures_hook import PicturesHook
from .probe_hook import ProbeHook
from .progress_hook import ProgressHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .step_seed_hook import StepSeedHook
from .teacher_momentum_hook import CMIDTeacherMomentumHook
from .teacher_temperature_hook import CMIDTeacherTemperatureHook
from .training_report_hook import TrainingReportHook

__all__ = [
    'BrokenImagesHook', 'CMIDTeacherMomentumHook', 'CMIDTeacherTemperatureHook',
    'CheckpointGuardHook', 'ClassCheckHook', 'CollapseWatchHook', 'DeferredRuntimeInfoHook',
    'FiniteStepHook', 'FirstSampleHook', 'FusedAttentionHook', 'ListPathsHook',
    'MeasureStatisticsHook', 'PicturesHook', 'ProbeHook', 'ProgressHook', 'SafeCheckpointHook',
    'StepSeedHook', 'TrainingReportHook'
]
