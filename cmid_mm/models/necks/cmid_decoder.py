"""Decoder of CMID's reconstruction branch."""
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class CMIDDecoder(BaseModule):
    """One 1x1 convolution and a pixel shuffle: features to an image.

    The decoder is light on purpose, so that the reconstruction depends on the backbone.

    Args:
        in_channels (int): Channels of the feature map.
        stride (int): Pixels of a feature cell in each direction.
        bands (int): Bands of the image. Defaults to 3.
    """

    def __init__(self, in_channels: int, stride: int, bands: int = 3, init_cfg=None):
        super().__init__(init_cfg)
        self.project = nn.Conv2d(in_channels, bands * stride**2, 1)
        self.shuffle = nn.PixelShuffle(stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, bands, h * stride, w * stride)."""
        return self.shuffle(self.project(x))
