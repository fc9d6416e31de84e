from .box_classes_hook import BoxClassesHook
from .broken_images_hook import BrokenImagesHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .class_check_hook import ClassCheckHook
from .first_sample_hook import FirstSampleHook
from .list_paths_hook import ListPathsHook
from .measure_statistics_hook import MeasureStatisticsHook
from .teacher_momentum_hook import CMIDTeacherMomentumHook
from .teacher_temperature_hook import CMIDTeacherTemperatureHook
from .training_report_hook import TrainingReportHook

__all__ = [
    'BoxClassesHook', 'BrokenImagesHook', 'CMIDTeacherMomentumHook',
    'CMIDTeacherTemperatureHook', 'CheckpointGuardHook', 'ClassCheckHook', 'FirstSampleHook',
    'ListPathsHook', 'MeasureStatisticsHook', 'TrainingReportHook'
]
