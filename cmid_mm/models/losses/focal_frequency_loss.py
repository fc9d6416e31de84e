"""Focal frequency loss: distance of spectra with larger weights for hard frequencies."""
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cmid_mm.utils.distributed import global_max, global_mean
from cmid_mm.utils.precision import widen


@MODELS.register_module()
class FocalFrequencyLoss(nn.Module):
    r"""Weighted squared distance of two spectra.

    With :math:`F` the difference of the orthonormal 2-D Fourier transforms, the loss is
    the mean of :math:`w\,|F|^2` over bands and frequencies, where
    :math:`w = \log(|F|^\alpha + 1)` (or :math:`|F|^\alpha`), divided by its maximum,
    carries no gradient. Source: Jiang et al., Focal Frequency Loss, arXiv 2012.12821, in
    the form in which CMID uses it.

    The transform and the average over the batch are linear, so with
    ``average_spectrum`` one transform of the mean difference image replaces two transforms
    per image. That mean and the maximum are taken over all processes: the loss does not
    depend on the distribution of a batch among them.

    Args:
        alpha (float): Exponent of the weight. Defaults to 1.
        log_weight (bool): Use the logarithm. Defaults to True.
        average_spectrum (bool): Average the spectra over the batch first (the published
            behaviour) instead of comparing image by image. Defaults to True.
        loss_weight (float): Factor of the result. Defaults to 1.
    """

    def __init__(self,
                 alpha: float = 1.0,
                 log_weight: bool = True,
                 average_spectrum: bool = True,
                 loss_weight: float = 1.0):
        super().__init__()
        self.alpha = alpha
        self.log_weight = log_weight
        self.average_spectrum = average_spectrum
        self.loss_weight = loss_weight

    def forward(self,
                prediction: Tensor,
                target: Tensor,
                weight: Tensor | None = None) -> Tensor:
        """Compare two batches of images.

        Args:
            prediction (Tensor): (B, C, H, W). Half precision is widened to float32: FFTs
                of sizes that are not powers of two do not exist in half precision.
            target (Tensor): (B, C, H, W).
            weight (Tensor, optional): Weights that broadcast to (B, C, H, W) in place of
                those computed here.

        Returns:
            Tensor: Scalar.
        """
        with torch.autocast(prediction.device.type, enabled=False):
            difference = widen(prediction) - widen(target)
            if self.average_spectrum:
                difference = global_mean(difference.mean(0, keepdim=True))
            spectrum = torch.fft.fft2(difference, norm='ortho')
            energy = spectrum.real**2 + spectrum.imag**2
            if weight is None:
                weight = self.focal_weight(energy)
            return self.loss_weight * (weight * energy).mean()

    @torch.no_grad()
    def focal_weight(self, energy: Tensor) -> Tensor:
        """Weight of every frequency in [0, 1], 0 everywhere where all energy is 0."""
        weight = energy.sqrt()**self.alpha
        if self.log_weight:
            weight = torch.log(weight + 1)
        # averaged spectra are those of all processes already
        largest = weight.max() if self.average_spectrum else global_max(weight)
        return torch.where(largest > 0, weight / largest, 0).clamp(0, 1)
