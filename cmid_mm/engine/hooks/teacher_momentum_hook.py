"""Momentum of the teacher."""
import math

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.models.selfsup.recipe import refuse_auto
from cmid_mm.utils.errors import CMIDError


@HOOKS.register_module()
class CMIDTeacherMomentumHook(Hook):
    r"""Updates the teacher after every optimiser step.

    After step i of T (from 0) the teacher keeps a share

    .. math:: \tau_i = end - (end - base)\,\frac{\cos(\pi i/T) + 1}{2}

    of itself. Source: BYOL, arXiv 2006.07733. mmengine's ``EMAHook`` is not used: it
    copies a whole model, its first update copies the student instead of averaging, and
    its momentum, the share of the *new* weights, counts iterations instead of optimiser
    steps where gradients are accumulated.

    Args:
        base_momentum (float | str): Share at the start; ``'auto'``: see ``choose_recipe``.
            Defaults to 0.996.
        end_momentum (float): Share at the end. Defaults to 1.

    Raises:
        CMIDError: A share is outside of [0, 1].
    """

    # before the checkpoint is written (VERY_LOW) and after the optimiser hooks (VERY_HIGH)
    priority = 'ABOVE_NORMAL'

    def __init__(self, base_momentum: float | str = 0.996, end_momentum: float = 1.0):
        for momentum in (base_momentum, end_momentum):
            if momentum != 'auto' and not 0 <= momentum <= 1:
                raise CMIDError(
                    f'the teacher\'s momentum is the share it keeps, in [0, 1]: {momentum}')
        self.base_momentum = base_momentum
        self.end_momentum = end_momentum

    def before_train(self, runner) -> None:
        refuse_auto('CMIDTeacherMomentumHook', base_momentum=self.base_momentum)

    def momentum(self, step: int, total_steps: int) -> float:
        """Share of itself that the teacher keeps after optimiser step ``step`` (from 0)."""
        distance = (math.cos(math.pi * step / total_steps) + 1) / 2
        return self.end_momentum - (self.end_momentum - self.base_momentum) * distance

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        wrapper = runner.optim_wrapper
        if not wrapper.should_update() or getattr(wrapper, 'skipped', False):
            return
        accumulation = wrapper._accumulative_counts
        momentum = self.momentum(runner.iter // accumulation,
                                 math.ceil(runner.max_iters / accumulation))
        model = get_ori_model(runner.model)
        model.update_teacher(momentum)
        runner.message_hub.update_scalar('train/teacher_momentum', momentum)
