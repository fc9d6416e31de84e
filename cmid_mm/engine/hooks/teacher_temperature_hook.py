"""Temperature of the teacher's assignments."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.models.selfsup.recipe import refuse_auto
from cmid_mm.utils.errors import CMIDError


@HOOKS.register_module()
class CMIDTeacherTemperatureHook(Hook):
    """Sets the temperature of the local head's target at the start of every epoch.

    An epoch is one pass over the data, also in iteration-based loops.

    It rises linearly from ``start`` to ``end`` over ``warmup_epochs`` values and stays.
    Source: DINO, arXiv 2104.14294.

    Args:
        start (float | str): ``'auto'``: see ``choose_recipe``. Defaults to 0.04.
        end (float | str): Likewise. Defaults to 0.07.
        warmup_epochs (int | str): Number of values of the rise, including both ends; likewise.
            Defaults to 50.
        first_epoch (int): Position in the schedule at which training starts. The published
            ResNet-50 started at 1. Defaults to 0.

    Raises:
        CMIDError: A temperature is not positive, or a number of epochs is negative.
    """

    def __init__(self,
                 start: float | str = 0.04,
                 end: float | str = 0.07,
                 warmup_epochs: int | str = 50,
                 first_epoch: int = 0):
        if any(value != 'auto' and value <= 0 for value in (start, end)):
            raise CMIDError(f'temperatures must be positive, not {start} and {end}')
        if any(value != 'auto' and value < 0 for value in (warmup_epochs, first_epoch)):
            raise CMIDError('warmup_epochs and first_epoch must not be negative')
        self.start = start
        self.end = end
        self.warmup_epochs = warmup_epochs
        self.first_epoch = first_epoch
        self.current = None

    def temperature(self, epoch: int) -> float:
        """Temperature of an epoch (from 0)."""
        position = epoch + self.first_epoch
        if position >= self.warmup_epochs - 1:
            return self.start if self.warmup_epochs == 1 and position == 0 else self.end
        return self.start + (self.end - self.start) * position / (self.warmup_epochs - 1)

    def before_train(self, runner) -> None:
        refuse_auto('CMIDTeacherTemperatureHook', start=self.start, end=self.end,
                    warmup_epochs=self.warmup_epochs)
        self.current = None

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        # by iterations, because an iteration-based loop counts no epochs
        temperature = self.temperature(runner.iter // len(runner.train_dataloader))
        if temperature != self.current:
            model = get_ori_model(runner.model)
            model.local_head.teacher_temperature.fill_(temperature)
            runner.message_hub.update_scalar('train/teacher_temperature', temperature)
            self.current = temperature
