"""Cross entropy with a weight for each class."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmid_mm.utils.errors import CMIDError


@MODELS.register_module()
class ClassWeightedCrossEntropy(nn.Module):
    """Weighted mean of the cross entropy over the pixels that have a label.

    mmseg's ``CrossEntropyLoss`` with ``class_weight`` takes the ignored label 255 for a class and
    fails.

    Args:
        class_weight (Sequence[float] | str): Weight of each class, or ``'auto'``: one over the
            square root of its share of the training's pixels, divided by the mean weight of a
            pixel, at most ten times the least. ``PreflightHook`` measures the shares.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
        loss_name (str): Name in the log. Defaults to 'loss_ce'.

    Raises:
        CMIDError: The weights are not ``'auto'`` or non-negative numbers, one for each class. A
            training begins with ``'auto'`` and without ``PreflightHook``.
    """

    def __init__(self, class_weight: Sequence[float] | str = 'auto', loss_weight: float = 1.0,
                 loss_name: str = 'loss_ce') -> None:
        super().__init__()
        weights = None
        if class_weight != 'auto':
            if isinstance(class_weight, str) or min(class_weight) < 0 or max(class_weight) <= 0:
                raise CMIDError("class_weight must be 'auto' or a number for each class, at least "
                                f'0 and not all 0, not {class_weight!r}')
            weights = torch.tensor(class_weight, dtype=torch.float32)
        # not in checkpoints: a test needs no weights
        self.register_buffer('class_weight', weights, persistent=False)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def set_shares(self, shares: Sequence[float]) -> None:
        """Set ``'auto'`` weights from the share of each class, in any unit."""
        if self.class_weight is None:
            shares = torch.tensor(shares, dtype=torch.float32)
            shares = shares / shares.sum()
            # a class without pixels has the weight of the rarest one
            shares = shares.clamp(min=max(shares[shares > 0].min(), shares.max() / 100))
            weights = shares**-0.5
            self.class_weight = weights / (weights * shares).sum()

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None,
                ignore_index: int = 255, **kwargs) -> Tensor:
        """Loss of scores (N, C, H, W) and labels (N, H, W) int64, a scalar; 0 without a label."""
        if self.class_weight is None:
            raise CMIDError("class_weight='auto' needs PreflightHook in custom_hooks, which counts "
                            'the pixels of each class; or give numbers')
        if len(self.class_weight) != cls_score.shape[1]:
            raise CMIDError(f'class_weight has {len(self.class_weight)} numbers, but the head has '
                            f'{cls_score.shape[1]} classes')
        labelled = label != ignore_index
        weights = self.class_weight.to(cls_score)
        losses = F.cross_entropy(cls_score, label, weights, ignore_index=ignore_index,
                                 reduction='none')
        factors = weights[label.where(labelled, 0)] * labelled
        if weight is not None:
            losses, factors = losses * weight, factors * weight
        return self.loss_weight * losses.sum() / factors.sum().clamp(min=1e-12)
