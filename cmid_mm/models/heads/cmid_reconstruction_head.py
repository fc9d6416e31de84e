"""Head of CMID's reconstruction branch: loss of masked pixels and of the spectrum."""
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.precision import widen

FILLS = ('mixed', 'target', 'prediction', 'mean')


@MODELS.register_module()
class CMIDReconstructionHead(BaseModule):
    """Compares a reconstruction with its view.

    The pixel loss is a mean over masked pixels; visible ones have the weight ``visible_weight``.
    A spectrum needs a whole image, so visible pixels are filled for the frequency loss. Source:
    CMID, arXiv 2304.09670; Fourier term after A2MIM, arXiv 2205.13943.

    Args:
        pixel_loss (dict): Loss of every pixel. Defaults to ``FocalL1Loss``.
        frequency_loss (dict, optional): Loss of two batches of images, or None for the
            pixel term alone. Defaults to ``FocalFrequencyLoss``.
        visible_weight (float): Weight of visible pixels in the pixel loss, relative to
            masked ones. Defaults to 0.
        frequency_visible_weight (float): Share of the prediction in visible pixels of the
            image for the frequency loss; the rest is the fill. Defaults to 0.001.
        frequency_fill (str, optional): Fill of visible pixels: ``'mixed'`` (half target,
            half prediction), ``'target'``, ``'prediction'``, ``'mean'`` (of the target, per
            image and band). It carries no gradient. None is allowed only where nothing is
            filled. Defaults to 'mixed'.

    Raises:
        CMIDError: The fill is unknown, or None where something must be filled.
    """

    def __init__(self,
                 pixel_loss: dict = dict(type='FocalL1Loss'),
                 frequency_loss: dict | None = dict(type='FocalFrequencyLoss'),
                 visible_weight: float = 0.0,
                 frequency_visible_weight: float = 0.001,
                 frequency_fill: str | None = 'mixed',
                 init_cfg=None):
        super().__init__(init_cfg)
        needs_fill = frequency_loss is not None and frequency_visible_weight != 1
        if frequency_fill not in FILLS and (needs_fill or frequency_fill is not None):
            raise CMIDError(
                f'frequency_fill must be one of {FILLS}, not {frequency_fill!r} (None only '
                'with frequency_visible_weight=1 or without a frequency loss)')
        self.pixel_loss = MODELS.build(pixel_loss)
        self.frequency_loss = MODELS.build(frequency_loss) if frequency_loss else None
        self.visible_weight = visible_weight
        self.frequency_visible_weight = frequency_visible_weight
        self.frequency_fill = frequency_fill

    def loss(self, reconstruction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Loss of one view.

        Args:
            reconstruction (Tensor): (B, C, H, W).
            target (Tensor): (B, C, H, W), the normalised view.
            mask (Tensor): (B, H, W), true (or 1) = masked.

        Returns:
            Tensor: Scalar.
        """
        reconstruction = widen(reconstruction)
        mask = mask[:, None].to(target.dtype)
        loss = self.pixel_term(reconstruction, target, mask)
        if self.frequency_loss is not None:
            loss = loss + self.frequency_loss(
                self.fill_visible(reconstruction, target, mask), target)
        return loss

    def pixel_term(self, reconstruction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Weighted mean over the pixels; ``mask`` is (B, 1, H, W), 1 = masked."""
        weight = mask + (1 - mask) * self.visible_weight
        loss = self.pixel_loss(reconstruction, target) * weight
        return loss.sum() / (weight.sum() + 1e-5) / target.shape[1]

    def fill_visible(self, reconstruction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The image whose spectrum is compared; ``mask`` is (B, 1, H, W), 1 = masked."""
        if self.frequency_fill is None:
            return reconstruction
        with torch.no_grad():
            if self.frequency_fill == 'mixed':
                fill = 0.5 * reconstruction + 0.5 * target
            elif self.frequency_fill == 'target':
                fill = target
            elif self.frequency_fill == 'prediction':
                fill = reconstruction.detach()
            else:
                fill = target.mean((2, 3), keepdim=True)
        weight = mask + (1 - mask) * self.frequency_visible_weight
        return reconstruction * weight + fill * (1 - weight)
