"""InfoNCE against a queue of keys."""
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class QueueContrastLoss(nn.Module):
    r"""Cross-entropy that picks the one right key among all keys of a queue.

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
            queue (Tensor): (K, D), one old key a row; carries no gradient and may be
                overwritten as soon as this returns.

        Returns:
            Tensor: Scalar.
        """
        loss = _QueueContrast.apply(query, key, queue, self.temperature)
        return self.loss_weight * loss


class _QueueContrast(torch.autograd.Function):
    """The gradient is computed with the loss, not later.

    Autograd would keep the queue and the (B, K) logits until the backward pass, but the
    queue is overwritten before: the alternative is a copy of it (64 MB) every step.
    """

    @staticmethod
    def forward(ctx, query, key, queue, temperature):
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ queue.t()], dim=1)
        log_probability = torch.log_softmax(logits / temperature, dim=1)
        error = log_probability.exp()
        error[:, 0] -= 1
        gradient = error[:, :1] * key + error[:, 1:] @ queue
        ctx.save_for_backward(gradient / (temperature * len(query)))
        return -log_probability[:, 0].mean()

    @staticmethod
    def backward(ctx, grad_loss):
        gradient, = ctx.saved_tensors
        return grad_loss * gradient, None, None, None
