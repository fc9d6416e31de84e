"""Learning rate of CMID: a cosine multiplied by a linear warm-up."""
import math

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmpretrain.registry import PARAM_SCHEDULERS

from cmid_mm.models.selfsup.recipe import refuse_auto
from cmid_mm.utils.errors import CMIDError


@PARAM_SCHEDULERS.register_module()
class CMIDCosineLR(LRSchedulerMixin, _ParamScheduler):
    r"""The published schedule, as a function of the step alone.

    .. math:: r_i = min + (peak - min)\,\frac{1 + \cos(\pi i/T)}{2}

    and, for the first W steps, :math:`r_i\,(1 - (1 - i/W)(1 - factor))`: the warm-up
    multiplies the cosine. Chaining mmengine's ``LinearLR`` and ``CosineAnnealingLR``
    differs by up to 1/W, because its warm-up ends a step early and its cosine is a
    recursion that does not scale ``eta_min`` by the warm-up.

    Args:
        optimizer (Optimizer | OptimWrapper): Its learning rate is the peak.
        end (int): Steps (or epochs) of the whole schedule, T; the runner sets it to the
            length of the training where the config does not.
        warmup (float | str): Steps (or epochs) of the warm-up; ``'auto'``: see
            ``choose_recipe``. Defaults to 0.
        warmup_factor (float): Share of the rate at the start. Defaults to 0.01.
        eta_min (float): Rate at the end; independent of the peak. Defaults to 1e-6.
        **kwargs: ``by_epoch``, ``last_step``, ``verbose``, passed to mmengine's scheduler.

    Raises:
        CMIDError: The warm-up is longer than the schedule.
    """

    def __init__(self,
                 optimizer,
                 end: int,
                 warmup: float | str = 0,
                 warmup_factor: float = 0.01,
                 eta_min: float = 1e-6,
                 **kwargs):
        refuse_auto('CMIDCosineLR', warmup=warmup)
        if not 0 <= warmup <= end:
            raise CMIDError(f'a warm-up of {warmup} does not fit into {end} '
                             f'{"epochs" if kwargs.get("by_epoch", True) else "steps"}')
        self.warmup = warmup
        self.warmup_factor = warmup_factor
        self.eta_min = eta_min
        super().__init__(optimizer, end=end, **kwargs)

    @classmethod
    def build_iter_from_epoch(cls, *args, end, epoch_length, warmup=0, by_epoch=True,
                              **kwargs):
        """Convert the epochs of a config (``convert_to_iter_based=True``) to steps."""
        refuse_auto('CMIDCosineLR', warmup=warmup)
        return cls(
            *args,
            end=int(end * epoch_length),
            warmup=int(warmup * epoch_length),
            by_epoch=False,
            **kwargs)

    def _get_value(self) -> list:
        """Rate of every group at ``last_step``."""
        cosine = (1 + math.cos(math.pi * self.last_step / self.end)) / 2
        factor = 1.0
        if self.last_step < self.warmup:
            factor = 1 - (1 - self.last_step / self.warmup) * (1 - self.warmup_factor)
        return [(self.eta_min + (peak - self.eta_min) * cosine) * factor
                for peak in self.base_values]
