import torch
import torch.nn.functional as F

from cmid_mm.models.losses import AssignmentLoss


def test_it_is_cross_entropy_with_soft_targets():
    """The golden numbers are those of its head, ``CMIDLocalHead``."""
    scores = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 6, 3, dtype=torch.float64).softmax(1)
    loss = AssignmentLoss(temperature=0.3, loss_weight=2.5)(scores, target)
    expected = 2.5 * F.cross_entropy(scores / 0.3, target)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, scores)
                                 for value in (loss, expected)))
