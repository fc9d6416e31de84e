"""Focal L1 loss: large errors weigh more than small ones."""
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cmid_mm.utils.errors import CMIDError


@MODELS.register_module()
class FocalL1Loss(nn.Module):
    r"""L1 distance, weighted by a function of the distance.

    With :math:`d = |prediction - target|`:

    - ``activation='sigmoid'``: :math:`d\,(2\sigma(\alpha d) - 1)^\gamma`
    - ``activation='tanh'``: :math:`d\,\tanh(\alpha d)^\gamma`

    Source: the reconstruction loss of CMID (arXiv 2304.09670), after the regression loss
    of Yang et al., Delving into Deep Imbalanced Regression, arXiv 2102.09554.

    Args:
        alpha (float): Slope of the activation. Defaults to 0.2.
        gamma (float): Exponent of the activation. Defaults to 1.
        activation (str): ``'sigmoid'`` or ``'tanh'``. Defaults to 'sigmoid'.
        add_l1 (bool): Add the plain :math:`d`. Defaults to False.
        loss_weight (float): Factor of the result. Defaults to 1.

    Raises:
        CMIDError: The activation is neither of the two.
    """

    def __init__(self,
                 alpha: float = 0.2,
                 gamma: float = 1.0,
                 activation: str = 'sigmoid',
                 add_l1: bool = False,
                 loss_weight: float = 1.0):
        super().__init__()
        if activation not in ('sigmoid', 'tanh'):
            raise CMIDError(f"activation must be 'sigmoid' or 'tanh', not {activation!r}")
        self.alpha = alpha
        self.gamma = gamma
        self.activation = activation
        self.add_l1 = add_l1
        self.loss_weight = loss_weight

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Loss of every element.

        Args:
            prediction (Tensor): Any shape, floating point.
            target (Tensor): The shape of ``prediction``.

        Returns:
            Tensor: The shape of ``prediction``; the caller reduces it with its own
            weights of the pixels.
        """
        distance = (prediction - target).abs()
        if self.activation == 'sigmoid':
            focus = 2 * torch.sigmoid(self.alpha * distance) - 1
        else:
            focus = torch.tanh(self.alpha * distance)
        loss = distance * focus**self.gamma
        if self.add_l1:
            loss = loss + distance
        return self.loss_weight * loss
