"""Published photometric change, for a whole batch on its device.

Order, probabilities and ranges are those of the published pipeline (Muhtar et al., CMID,
arXiv 2304.09670, code at 6e1de74): colour jitter, blur, noise, solarise, gray, all on
uint8. Every random choice is a pure function of the view's key.
"""
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from mmengine.logging import print_log
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import Stream, normal, uniform

from . import photometric_functional as functional
from .view_transform import ViewTransform

JITTER_OPERATIONS = ('brightness', 'contrast', 'saturation', 'hue')
# The position in this list decides the random number of a choice, so append new choices at the
# end. One number per jitter operation follows, for its position in the random order.
_CHOICES = ('jitter', 'blur', 'noise', 'solarize', 'gray', *JITTER_OPERATIONS,
            'blur_size', 'blur_sigma', 'noise_variance')


class PhotometricParameters(NamedTuple):
    """Changes of each image, tensors (B,).

    Attributes:
        jitter, blur, noise, solarize, gray (Tensor): bool, whether the image is changed so.
        brightness, contrast, saturation (Tensor): Factors, 1 = no change.
        hue (Tensor): Shift as a fraction of a full circle.
        order (Tensor): int64 (B, 4), the i-th jitter operation of image b as an index
            into ``JITTER_OPERATIONS``.
        blur_size (Tensor): int64, side of the kernel in pixels.
        blur_sigma (Tensor): Standard deviation of the kernel in pixels.
        noise_variance (Tensor): Variance of the noise in squared levels.
    """

    jitter: Tensor
    blur: Tensor
    noise: Tensor
    solarize: Tensor
    gray: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor
    blur_size: Tensor
    blur_sigma: Tensor
    noise_variance: Tensor


@BATCH_AUGMENTS.register_module()
class PhotometricDistortion(ViewTransform):
    """Colour jitter, blur, noise, solarise and gray, each image with its own choices.

    Saturation, hue and gray exist for three bands (red, green, blue) only; for another
    number they are left out, which is logged once.

    Args:
        views (Sequence[int]): The views that are changed. Defaults to (1, ), as published.
        jitter_prob (float): Probability of the colour jitter.
        brightness (float): Factors are uniform in ``1 ± brightness``.
        contrast (float): Factors are uniform in ``1 ± contrast``.
        saturation (float): Factors are uniform in ``1 ± saturation``.
        hue (float): Shifts are uniform in ``± hue`` of a full circle, at most 0.5.
        blur_prob (float): Probability of the Gaussian blur.
        blur_sizes (Sequence[int]): Odd sides of the kernels in pixels.
        blur_size_probs (Sequence[float]): Their probabilities, of sum 1.
        blur_sigma (Sequence[float]): Range of the standard deviation in pixels.
        noise_prob (float): Probability of Gaussian noise per pixel and band.
        noise_variance (Sequence[float]): Range of its variance in squared levels.
        solarize_prob (float): Probability that levels from 128 upwards are inverted.
        gray_prob (float): Probability of a gray image.

    Raises:
        CMIDError: An argument is out of range.
    """

    def __init__(self,
                 views: Sequence[int] = (1, ),
                 jitter_prob: float = 0.8,
                 brightness: float = 0.4,
                 contrast: float = 0.4,
                 saturation: float = 0.2,
                 hue: float = 0.1,
                 blur_prob: float = 1.0,
                 blur_sizes: Sequence[int] = (3, 5, 7),
                 blur_size_probs: Sequence[float] = (0.2, 0.4, 0.4),
                 blur_sigma: Sequence[float] = (0.1, 2.0),
                 noise_prob: float = 0.6,
                 noise_variance: Sequence[float] = (10.0, 50.0),
                 solarize_prob: float = 0.2,
                 gray_prob: float = 0.2) -> None:
        _require(set(views) <= {0, 1}, 'views', views, 'among 0 and 1')
        self.views = tuple(views)
        self.probabilities = dict(
            jitter=jitter_prob, blur=blur_prob, noise=noise_prob,
            solarize=solarize_prob, gray=gray_prob)
        for name, value in self.probabilities.items():
            _require(0 <= value <= 1, f'{name}_prob', value, 'a number from 0 to 1')
        spreads = dict(brightness=brightness, contrast=contrast, saturation=saturation)
        for name, value in spreads.items():
            _require(0 <= value <= 1, name, value, 'a number from 0 to 1')
        _require(0 <= hue <= 0.5, 'hue', hue, 'a number from 0 to 0.5')
        _require(0 < blur_sigma[0] <= blur_sigma[1], 'blur_sigma', blur_sigma,
                 'a range (low, high) above 0')
        _require(0 <= noise_variance[0] <= noise_variance[1], 'noise_variance',
                 noise_variance, 'a range (low, high) from 0 upwards')
        self.ranges = dict(
            {name: (1 - spread, 1 + spread) for name, spread in spreads.items()},
            hue=(-hue, hue), blur_sigma=blur_sigma, noise_variance=noise_variance)
        _require(blur_sizes and all(size > 0 and size % 2 for size in blur_sizes),
                 'blur_sizes', blur_sizes, 'odd kernel sides')
        _require(len(blur_size_probs) == len(blur_sizes)
                 and min(blur_size_probs) >= 0 and abs(sum(blur_size_probs) - 1) < 1e-6,
                 'blur_size_probs', blur_size_probs, 'one per kernel side, of sum 1')
        self.blur_sizes = tuple(blur_sizes)
        self.blur_size_probs = tuple(blur_size_probs)

    def __call__(self, images: Tensor, keys: Tensor, view: int) -> Tensor:
        """Change every image of a view by the choices of its key; see ``ViewTransform``."""
        return self.apply(images, keys, self.draw(keys)) if view in self.views else images

    @torch.no_grad()
    def draw(self, keys: Tensor) -> PhotometricParameters:
        """Draw the choices of every view from its key, int64 (B,)."""
        count = len(_CHOICES) + len(JITTER_OPERATIONS)
        numbers = uniform(keys, Stream.PHOTOMETRIC_CHOICES, count)
        number = dict(zip(_CHOICES, numbers.unbind(1), strict=False))
        happens = {name: number[name] < prob for name, prob in self.probabilities.items()}
        values = {name: low + (high - low) * number[name]
                  for name, (low, high) in self.ranges.items()}
        # Sorting random numbers makes every order equally likely.
        order = numbers[:, len(_CHOICES):].argsort(dim=1)
        size = torch.full_like(keys, self.blur_sizes[0])
        bounds = accumulate(self.blur_size_probs)
        for (size_below, size_above), bound in zip(
                pairwise(self.blur_sizes), bounds, strict=False):
            size += (size_above - size_below) * (number['blur_size'] >= bound)
        return PhotometricParameters(**happens, **values, order=order, blur_size=size)

    @torch.no_grad()
    def apply(self, images: Tensor, keys: Tensor,
              parameters: PhotometricParameters) -> Tensor:
        """Change the images by given choices; the keys decide the noise alone."""
        coloured = images.shape[1] == 3
        if not coloured:
            _report_missing_colour(images.shape[1])
        images = jitter(images, parameters)
        size = torch.where(parameters.blur, parameters.blur_size, 1)
        images = functional.gaussian_blur(
            images, size, parameters.blur_sigma, max(self.blur_sizes))
        deviation = (parameters.noise_variance * parameters.noise).sqrt()
        noise = normal(keys, Stream.PHOTOMETRIC_NOISE, *images.shape[1:])
        images = functional.add_noise(images, noise.mul_(deviation.view(-1, 1, 1, 1)))
        images = _where(parameters.solarize, functional.solarize(images), images)
        if coloured:
            images = _where(parameters.gray, functional.to_gray(images), images)
        return images


def jitter(images: Tensor, parameters: PhotometricParameters) -> Tensor:
    """Brightness, contrast, saturation and hue, in each image's own order.

    Args:
        images (Tensor): uint8 (B, C, H, W).
        parameters (PhotometricParameters): Choices; an image whose ``jitter`` is False
            is not changed.

    Returns:
        Tensor: uint8 (B, C, H, W).
    """
    on = parameters.jitter
    factors = [torch.where(on, factor, 1).double() for factor in (
        parameters.brightness, parameters.contrast, parameters.saturation)]
    # rank[b, o]: position of operation o in the order of image b
    rank = parameters.order.argsort(dim=1)
    if images.shape[1] != 3:
        slot = (rank[:, :2] > rank[:, :2].flip(1)).long()
        for i in range(2):
            images = _tone_slot(images, *_active(factors[:2], slot == i))
        return images
    # Hue is the most expensive operation and is applied once, between three slots for the
    # operations before and three for those after it; a factor of 1 leaves a slot unused.
    hue_rank = rank[:, 3:]
    slot = rank[:, :3] + 2 * (rank[:, :3] > hue_rank)
    for i in range(3):
        images = _tone_slot(images, *_active(factors, slot == i))
    images = functional.adjust_hue(images, torch.where(on, parameters.hue, 0))
    for i in range(3, 6):
        images = _tone_slot(images, *_active(factors, slot == i))
    return images


def _active(factors: list[Tensor], chosen: Tensor) -> list[Tensor]:
    """Factors (B,) where their column of ``chosen`` (B, n) holds, else 1."""
    return [torch.where(column, factor, 1)
            for factor, column in zip(factors, chosen.unbind(1), strict=True)]


def _tone_slot(images: Tensor, brightness: Tensor, contrast: Tensor,
               saturation: Tensor | None = None) -> Tensor:
    """The one operation of each image whose factor is not 1, sharing the gray image."""
    gray = images if saturation is None else functional.gray_image(images)
    offset = functional.mean_level(gray) * (1 - contrast)
    table = functional.linear_table(brightness * contrast, offset)
    images = functional.look_up(images, table)
    if saturation is None:
        return images
    return functional.blend_with_gray(images, gray, saturation)


def _where(condition: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    return torch.where(condition.view(-1, 1, 1, 1), changed, images)


@cache
def _report_missing_colour(bands: int) -> None:
    print_log(
        f'Photometric change: images of {bands} bands have no saturation, hue and gray; '
        'these are left out, and contrast refers to the mean over all bands.',
        logger='current')


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise CMIDError(f'{name} must be {expected}, got {value!r}')
