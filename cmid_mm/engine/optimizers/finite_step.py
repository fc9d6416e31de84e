"""A step whose loss or gradient is not finite is not taken."""
import logging

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor

from cmid_mm.utils.distributed import local_part


class FiniteStep:
    """Mixin for mmengine's wrappers: ``step`` looks at loss and gradients first.

    All processes decide alike. Deciding takes one number from the device, once in an
    optimiser step; mmengine's log takes the losses of every step anyway.

    Attributes:
        skipped (bool): Whether the last optimiser step was left out.
    """

    skipped = False
    _loss = None

    def backward(self, loss: Tensor, **kwargs) -> None:
        """As mmengine's; remembers the losses of the gradients that are accumulated."""
        value = loss.detach()
        self._loss = value if self._loss is None else self._loss + value
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """As mmengine's, or nothing."""
        finite = self._finite()
        all_reduce(finite, op='min')
        self._loss = None
        self.skipped = not finite.item()
        if self.skipped:
            print_log('optimiser step left out: loss or gradient is not finite',
                      'current', logging.WARNING)
        else:
            super().step(**kwargs)

    def _finite(self) -> Tensor:
        """uint8 scalar: whether loss and gradients of this process are finite."""
        gradients = [local_part(parameter.grad) for group in self.optimizer.param_groups
                     for parameter in group['params'] if parameter.grad is not None]
        # sums of magnitudes overflow nowhere, other than those of squares, and take a third
        # of the largest magnitude's time
        sizes = torch._foreach_norm(gradients, 1)
        values = torch.stack([self._loss.float(), *(size.float() for size in sizes)])
        return values.isfinite().all().to(torch.uint8)


class FiniteOptimWrapper(FiniteStep, OptimWrapper):
    """``OptimWrapper`` that leaves out steps that are not finite."""


class FiniteAmpOptimWrapper(FiniteStep, AmpOptimWrapper):
    """``AmpOptimWrapper`` that leaves out steps whose loss is not finite.

    A gradient that is too large for float16 is part of its loss scale's search: the scaler
    leaves out that step by itself and lowers the scale.
    """

    def _finite(self) -> Tensor:
        return self._loss.isfinite().to(torch.uint8)
