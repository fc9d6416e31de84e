"""Self-distillation of prototype assignments."""
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class AssignmentLoss(nn.Module):
    r"""Cross-entropy between prototype assignments of student and teacher.

    :math:`-\sum_p t_p \log \mathrm{softmax}(s / \tau)_p`, mean over all cells. Source: DINO,
    arXiv 2104.14294.

    Args:
        temperature (float): :math:`\tau`, of the student. Defaults to 0.1.
        loss_weight (float): Factor of the result. Defaults to 1.
    """

    def __init__(self, temperature: float = 0.1, loss_weight: float = 1.0):
        super().__init__()
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        """Compare the assignments of matched cells.

        Args:
            scores (Tensor): (B, P, M), s, scores of M cells for P prototypes.
            target (Tensor): (B, P, M), t, probabilities that sum to 1 over the prototypes;
                carries no gradient.

        Returns:
            Tensor: Scalar.
        """
        log_probability = torch.log_softmax(scores / self.temperature, dim=1)
        return self.loss_weight * -(target * log_probability).sum(1).mean()
