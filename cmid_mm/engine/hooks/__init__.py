from .broken_images_hook import BrokenImagesHook
from .calibrate_batch_norm_hook import CalibrateBatchNormHook
from .collapse_watch_hook import CollapseWatchHook
from .finite_step_hook import FiniteStepHook
from .freeze_backbone_hook import FreezeBackboneHook
from .fused_attention_hook import FusedAttentionHook
from .measure_statistics_hook import MeasureStatisticsHook
from .pictures_hook import PicturesHook
from .preflight_hook import PreflightHook
from .probe_hook import ProbeHook
from .progress_hook import ProgressHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .step_seed_hook import StepSeedHook
from .teacher_momentum_hook import CMIDTeacherMomentumHook
from .teacher_temperature_hook import CMIDTeacherTemperatureHook

__all__ = [
    'BrokenImagesHook', 'CMIDTeacherMomentumHook', 'CMIDTeacherTemperatureHook',
    'CalibrateBatchNormHook', 'CollapseWatchHook', 'FiniteStepHook', 'FreezeBackboneHook',
    'FusedAttentionHook', 'MeasureStatisticsHook', 'PicturesHook', 'PreflightHook',
    'ProbeHook', 'ProgressHook', 'SafeCheckpointHook', 'StepSeedHook'
]
