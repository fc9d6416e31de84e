"""Projector of CMID's local branch: scores of every cell for learned prototypes."""
import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cmid_mm.utils.errors import CMIDError


@MODELS.register_module()
class CMIDDenseProjector(BaseModule):
    """An MLP over cells, unit length, then the cosine to each prototype.

    The layers work on cells, not on pixels of a map: only the cells that were matched
    pass through them, and batch norm uses the statistics of exactly those.

    Args:
        in_channels (int): Channels of a cell.
        hidden_channels (int): Defaults to 2048.
        bottleneck_channels (int): Defaults to 256.
        num_prototypes (int): Defaults to 2048.
        num_layers (int): Linear layers before the prototypes. Defaults to 3.
        norm_cfg (dict, optional): Norm after each hidden layer, e.g. ``dict(type='BN1d')``
            (published for ResNet; none for Swin). Defaults to None.
        init_std (float, optional): Standard deviation of the truncated normal that fills
            the linear layers, with biases 0. None keeps PyTorch's initialisation, which
            the published code used unintentionally. Defaults to 0.02.

    Raises:
        CMIDError: ``num_layers`` is below 1.
    """

    def __init__(self,
                 in_channels: int,
                 hidden_channels: int = 2048,
                 bottleneck_channels: int = 256,
                 num_prototypes: int = 2048,
                 num_layers: int = 3,
                 norm_cfg: dict | None = None,
                 init_std: float | None = 0.02,
                 init_cfg=None):
        if num_layers < 1:
            raise CMIDError(f'num_layers must be at least 1, not {num_layers}')
        if init_cfg is None and init_std is not None:
            init_cfg = dict(type='TruncNormal', layer='Conv1d', std=init_std, bias=0)
        super().__init__(init_cfg)
        widths = [in_channels] + [hidden_channels] * (num_layers - 1)
        layers = []
        for width, next_width in zip(widths, widths[1:]):
            layers.append(nn.Conv1d(width, next_width, 1))
            if norm_cfg:
                layers.append(build_norm_layer(norm_cfg, next_width)[1])
            layers.append(nn.GELU())
        layers.append(nn.Conv1d(widths[-1], bottleneck_channels, 1))
        self.mlp = nn.Sequential(*layers)
        self.prototypes = Prototypes(bottleneck_channels, num_prototypes)

    def forward(self, cells: Tensor) -> Tensor:
        """(B, in_channels, M) to (B, num_prototypes, M)."""
        return self.prototypes(F.normalize(self.mlp(cells), dim=1))


class Prototypes(nn.Module):
    """Directions against which cells are compared (a weight-normed 1x1 convolution).

    ``weight_g``, the length, is 1 and frozen; it is a parameter, so that checkpoints and
    the teacher contain it as in the published model.

    Args:
        in_channels (int): Channels of a cell.
        num_prototypes (int): Number of directions.
    """

    def __init__(self, in_channels: int, num_prototypes: int):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(num_prototypes, 1, 1), requires_grad=False)
        self.weight_v = nn.Parameter(torch.empty(num_prototypes, in_channels, 1))
        # only the direction matters, so any isotropic distribution is suitable
        nn.init.normal_(self.weight_v, std=in_channels**-0.5)

    def forward(self, cells: Tensor) -> Tensor:
        """(B, in_channels, M) to (B, num_prototypes, M)."""
        return F.conv1d(cells, self.weight_g * F.normalize(self.weight_v, dim=1))
