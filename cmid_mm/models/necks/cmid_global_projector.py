"""Projector of CMID's global branch."""
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class CMIDGlobalProjector(BaseModule):
    """Spatial mean, two linear layers, unit length: one vector an image.

    Args:
        in_channels (int): Channels of the feature map.
        hidden_channels (int): Defaults to 2048.
        out_channels (int): Defaults to 256.
        norm_cfg (dict, optional): Norm between the layers; the published setting has
            none. Defaults to None.
    """

    def __init__(self,
                 in_channels: int,
                 hidden_channels: int = 2048,
                 out_channels: int = 256,
                 norm_cfg: dict | None = None,
                 init_cfg=None):
        super().__init__(init_cfg)
        self.hidden = nn.Linear(in_channels, hidden_channels)
        self.norm = (
            build_norm_layer(norm_cfg, hidden_channels)[1] if norm_cfg else nn.Identity())
        self.out = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, out_channels), rows of unit length."""
        return F.normalize(self.project(x.mean((2, 3))), dim=1)

    def project(self, x: Tensor) -> Tensor:
        """The two linear layers alone: (B, in_channels) to (B, out_channels)."""
        return self.out(F.relu(self.norm(self.hidden(x))))
