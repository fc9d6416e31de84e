"""InfoNCE against a queue of keys."""
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class QueueContrastLoss(nn.Module):
    r"""Cross-entropy of the right key against all keys of a queue.

    :math:`-\log\frac{e^{q k/\tau}}{e^{q k/\tau} + \sum_j e^{q Q_j/\tau}}`, mean over the
    batch. Source: van den Oord et al., arXiv 1807.03748; He et al., arXiv 1911.05722.

    Args:
        temperature (float): :math:`\tau`. Defaults to 0.2.
        loss_weight (float): Factor of the result. Defaults to 1.
    """

    def __init__(self, temperature: float = 0.2, loss_weight: float = 1.0):
        super().__init__()
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
        """Contrast queries with their keys and with the queue.

        Args:
            query (Tensor): (B, D), rows of unit length.
            key (Tensor): (B, D), rows of unit length; carries no gradient.
            queue (Tensor): (K, D), one old key a row; carries no gradient and must not
                change before the backward pass.

        Returns:
            Tensor: Scalar.
        """
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ queue.t()], dim=1)
        right = torch.zeros(len(query), dtype=torch.long, device=query.device)
        return self.loss_weight * F.cross_entropy(logits / self.temperature, right)
