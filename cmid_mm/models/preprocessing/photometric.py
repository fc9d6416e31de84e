"""Published photometric change, for a whole batch on its device.

Order, probabilities and ranges are those of the published pipeline (Muhtar et al., CMID,
arXiv 2304.09670, code at 6e1de74): colour jitter, blur, noise, solarise, gray, all on
uint8. Every random choice is a pure function of the view's key.
"""
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
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
# Every order of the four operations is a subsequence. The cheapest operation occurs most often,
# and hue, the most expensive one, once.
_SCHEDULE = (0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0)
# devices from which the host reads a choice without waiting
SELECTIVE_DEVICES = ('cpu', )
_LEVELS_AT_A_TIME = 2**19


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
        """Change the images by given choices; the keys decide the noise alone.

        Raises:
            CMIDError: The images are too small to mirror the border for the blur.
        """
        largest = max(self.blur_sizes)
        if min(images.shape[-2:]) <= largest // 2:
            raise CMIDError(
                f'a blur kernel of {largest} pixels needs images of at least '
                f'{largest // 2 + 1} pixels, these are {tuple(images.shape[-2:])}: enlarge '
                'the crop or leave out the larger kernels')
        images = jitter(images, parameters)
        weights = functional.gaussian_weights(
            parameters.blur_size, parameters.blur_sigma, largest)
        images = _change(images, parameters.blur, functional.gaussian_blur, weights)
        images = _change(
            images, parameters.noise, _add_noise, keys, parameters.noise_variance.sqrt())
        images = _change(images, parameters.solarize, functional.solarize)
        if images.shape[1] == 3:
            images = _change(images, parameters.gray, functional.to_gray)
        else:
            _report_missing_colour(images.shape[1])
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
    images = images.clone()
    brightness = parameters.brightness
    changes = (
        (functional.look_up, functional.linear_table(brightness, torch.zeros_like(brightness))),
        (functional.adjust_contrast, parameters.contrast),
        (functional.adjust_saturation, parameters.saturation),
        (functional.adjust_hue, parameters.hue))
    # -1: no operation, as after the last one
    order = F.pad(parameters.order, (0, 1), value=-1)
    order = order.masked_fill_(~parameters.jitter[:, None], -1)
    done = torch.zeros_like(order[:, :1])
    for number in _SCHEDULE:
        chosen = order.gather(1, done) == number
        done += chosen
        if JITTER_OPERATIONS[number] == 'hue':
            chosen &= parameters.hue[:, None] != 0
        if images.shape[1] == 3 or JITTER_OPERATIONS[number] in ('brightness', 'contrast'):
            images = _change(images, chosen[:, 0], *changes[number])
    return images.byte()


def _change(images: Tensor, chosen: Tensor, operation: Callable, *values: Tensor) -> Tensor:
    """``operation(images, *values)`` of the chosen images; the others stay as they are.

    On a CPU only the chosen images are computed, few at a time, because intermediate results
    shall fit its cache, and ``images`` are changed in place. The host would have to wait for
    another device to read the choice; there all images are computed.

    Args:
        images (Tensor): uint8 (B, C, H, W).
        chosen (Tensor): bool (B,).
        operation (Callable): Returns changed images of the same shape.
        *values (Tensor): Parameters of the images, (B, ...).
    """
    if images.device.type not in SELECTIVE_DEVICES:
        return torch.where(chosen.view(-1, 1, 1, 1), operation(images, *values), images)
    index = [i for i, one in enumerate(chosen.tolist()) if one]
    few = max(1, _LEVELS_AT_A_TIME // images.shape[1:].numel())
    for start in range(0, len(index), few):
        part = index[start:start + few]
        rows = torch.tensor(part)
        changed = operation(*(value.index_select(0, rows) for value in (images, *values)))
        # as fast as copying memory, which indexing is not
        for i, image in zip(part, changed):
            images[i] = image
    return images


def _add_noise(images: Tensor, keys: Tensor, deviation: Tensor) -> Tensor:
    noise = normal(keys, Stream.PHOTOMETRIC_NOISE, *images.shape[1:])
    return functional.add_noise(images, noise.mul_(deviation.view(-1, 1, 1, 1)))


@cache
def _report_missing_colour(bands: int) -> None:
    print_log(
        f'Photometric change: images of {bands} bands have no saturation, hue and gray; '
        'these are left out, and contrast refers to the mean over all bands.',
        logger='current')


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise CMIDError(f'{name} must be {expected}, got {value!r}')
