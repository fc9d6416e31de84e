from .checkpoint_guard_hook import CheckpointGuardHook
from .first_sample_hook import FirstSampleHook
from .measure_statistics_hook import MeasureStatisticsHook
from .teacher_momentum_hook import CMIDTeacherMomentumHook
from .teacher_temperature_hook import CMIDTeacherTemperatureHook
from .training_report_hook import TrainingReportHook

__all__ = [
    'CMIDTeacherMomentumHook', 'CMIDTeacherTemperatureHook', 'CheckpointGuardHook',
    'FirstSampleHook', 'MeasureStatisticsHook', 'TrainingReportHook'
]
