"""Optimiser wrappers that skip a step whose loss or gradient is not finite."""
import logging

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor


class FiniteStep:
    """Mixin for mmengine's wrappers: ``step`` checks loss and gradients first.

    The decision is the same in all processes. The check reads one number from the device in each
    optimiser step; mmengine's log reads the losses of every step anyway.

    Attributes:
        skipped (bool): Whether the last optimiser step was skipped.
    """

    skipped = False
    _loss = None

    def backward(self, loss: Tensor, **kwargs) -> None:
        """As mmengine's; adds up the losses of the gradients that are accumulated."""
        value = loss.detach()
        self._loss = value if self._loss is None else self._loss + value
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """As mmengine's; does nothing where loss or gradient is not finite."""
        finite = self._finite()
        all_reduce(finite, op='min')
        self._loss = None
        self.skipped = not finite.item()
        if self.skipped:
            print_log('optimiser step skipped: loss or gradient is not finite',
                      'current', logging.WARNING)
        else:
            super().step(**kwargs)

    def _finite(self) -> Tensor:
        """uint8 scalar: whether loss and gradients of this process are finite."""
        gradients = [parameter.grad for group in self.optimizer.param_groups
                     for parameter in group['params'] if parameter.grad is not None]
        # sums of magnitudes do not overflow as those of squares do, and take a third of the
        # time of the largest magnitude
        sizes = torch._foreach_norm(gradients, 1)
        values = torch.stack([self._loss.float(), *(size.float() for size in sizes)])
        return values.isfinite().all().to(torch.uint8)


class FiniteOptimWrapper(FiniteStep, OptimWrapper):
    """``OptimWrapper`` that skips steps that are not finite."""


class FiniteAmpOptimWrapper(FiniteStep, AmpOptimWrapper):
    """``AmpOptimWrapper`` that skips steps whose loss is not finite.

    A gradient that is too large for float16 is part of the search for a loss scale: the
    scaler skips that step by itself and lowers the scale.
    """

    def _finite(self) -> Tensor:
        return self._loss.isfinite().to(torch.uint8)
