"""How sharp the teacher's assignments are."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model


@HOOKS.register_module()
class CMIDTeacherTemperatureHook(Hook):
    """Sets the temperature of the local head's target at the start of every epoch.

    An epoch is a pass over the data, whatever the loop counts.

    It rises linearly from ``start`` to ``end`` over ``warmup_epochs`` values and stays.
    Source: DINO, arXiv 2104.14294.

    Args:
        start (float): Defaults to 0.04.
        end (float): Defaults to 0.07.
        warmup_epochs (int): Number of values of the rise, both ends included. Defaults to
            50.
        first_epoch (int): Place in the schedule at which training starts. The published
            ResNet-50 started at 1. Defaults to 0.

    Raises:
        ValueError: A temperature is not positive, or a number of epochs is negative.
    """

    def __init__(self,
                 start: float = 0.04,
                 end: float = 0.07,
                 warmup_epochs: int = 50,
                 first_epoch: int = 0):
        if min(start, end) <= 0:
            raise ValueError(f'temperatures must be positive, not {start} and {end}')
        if warmup_epochs < 0 or first_epoch < 0:
            raise ValueError('warmup_epochs and first_epoch must not be negative')
        self.start = start
        self.end = end
        self.warmup_epochs = warmup_epochs
        self.first_epoch = first_epoch
        self.shown = None

    def temperature(self, epoch: int) -> float:
        """Temperature of an epoch (from 0)."""
        place = epoch + self.first_epoch
        if place >= self.warmup_epochs - 1:
            return self.start if self.warmup_epochs == 1 and place == 0 else self.end
        return self.start + (self.end - self.start) * place / (self.warmup_epochs - 1)

    def before_train(self, runner) -> None:
        self.shown = None

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        # by the samples seen, because an iteration-based loop counts no epochs
        temperature = self.temperature(runner.iter // len(runner.train_dataloader))
        if temperature != self.shown:
            model = get_ori_model(runner.model)
            model.local_head.teacher_temperature.fill_(temperature)
            runner.message_hub.update_scalar('train/teacher_temperature', temperature)
            self.shown = temperature
