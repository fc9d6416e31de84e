from .cmid_runner import CMIDRunner
from .resumable_train_loop import ResumableTrainLoop

__all__ = ['CMIDRunner', 'ResumableTrainLoop']
