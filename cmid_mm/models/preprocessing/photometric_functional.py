"""Photometric operations on batches of uint8 images, each image with its own parameter.

The published pipeline runs OpenCV 4 and albumentations 1.2 on one image at a time. Here
the same 8-bit arithmetic is written as tensor operations on whole batches, so that the
results are equal to the last grey level on every device. Sums of integers below 2^24 are
exact in float32; where OpenCV rounds once after a multiplication and an addition (a fused
multiply-add), float64 is used.

Images are uint8 (B, C, H, W), bands in the order red, green, blue where there are three.
Parameters are tensors (B,) on the images' device. No function changes its arguments,
none waits for the device, none contains an operation that autocast would change.
"""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cmid_mm.utils.errors import CMIDError


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue by ``shift`` of a full circle, in [-0.5, 0.5]; uint8 (B, 3, H, W).

    OpenCV's 8-bit HSV has hues in steps of two degrees, so every shift quantises the
    colours, except a shift of 0, which does not change the image.
    """
    hue, saturation, value = _rgb_to_hsv(images)
    # A hue h' is in sector floor(h' / 30), at the fraction h' / 30 - sector. Both are
    # tabulated: 180 hues per image are fewer than its pixels.
    hues = torch.arange(180, device=images.device, dtype=torch.float64)
    turned = torch.remainder(hues + 180 * _column(shift.double()), 180).floor()
    turned = turned.float() * (6 / 180)
    sector = turned.floor()
    fraction = turned - sector
    odd = sector % 2 == 1
    tables = sector.to(torch.uint8), torch.where(odd, fraction, 1 - fraction)
    index = hue.long().flatten(1)
    sector, weight = (table.gather(1, index).view_as(hue) for table in tables)

    # In every sector one band has the largest level, one the lowest, one is between them.
    top = value * (1 / 255)
    saturation = saturation * (1 / 255)
    between = top * (1 - saturation.double() * weight.double()).float()
    lowest = top * (1 - saturation)
    top, between, lowest = (_unit_to_levels(x) for x in (top, between, lowest))
    bands = []
    for offset in (5, 3, 1):
        phase = (sector + offset) % 6
        band = torch.where(phase % 3 == 0, between, lowest)
        bands.append(torch.where(phase >= 4, top, band))
    return torch.where(_per_image(shift == 0), images, torch.stack(bands, dim=1))


def gaussian_blur(images: Tensor, size: Tensor, sigma: Tensor, largest: int) -> Tensor:
    """Blur with OpenCV's 8-bit Gaussian kernels; uint8 (B, C, H, W).

    Args:
        images (Tensor): uint8 (B, C, H, W).
        size (Tensor): Odd kernel side (B,); 1 does not change the image.
        sigma (Tensor): Standard deviation in pixels (B,).
        largest (int): Upper bound of ``size``, known without a transfer from the device.

    Raises:
        CMIDError: The images are too small to mirror the border.
    """
    radius = largest // 2
    if min(images.shape[-2:]) <= radius:
        raise CMIDError(
            f'a blur kernel of {largest} pixels needs images of at least {radius + 1} '
            f'pixels, these are {tuple(images.shape[-2:])}: enlarge the crop or leave '
            'out the larger kernels')
    weights = gaussian_weights(size, sigma, largest)
    blurred = F.pad(images.float(), (radius,) * 4, mode='reflect')
    # Sums of shifted copies instead of a convolution: whole numbers below 2^24, exact
    # in any order, where a GPU's convolution may round its inputs to ten bits.
    for dim, length in ((-1, images.shape[-1]), (-2, images.shape[-2])):
        window = [blurred.narrow(dim, i, length) for i in range(2 * radius + 1)]
        blurred = window[radius] * _per_image(weights[:, radius])
        for i in range(radius):
            pair = window[i] + window[-1 - i]
            blurred.add_(pair.mul_(_per_image(weights[:, i])))
    return blurred.add_(2**15).mul_(2**-16).to(torch.uint8)


def gaussian_weights(size: Tensor, sigma: Tensor, largest: int) -> Tensor:
    """OpenCV's bit-exact 8-bit kernels: whole numbers of sum 256, float32 (B, largest).

    The rounding error of each weight is added to its inner neighbour; the middle one
    gets the rest. Kernels smaller than ``largest`` are padded with zeros.
    """
    radius = largest // 2
    steps = torch.arange(-radius, radius + 1, device=size.device, dtype=torch.float64)
    exact = torch.exp(-0.5 * (steps / _column(sigma.double())) ** 2)
    exact = exact * (steps.abs() <= _column(size // 2))
    exact = exact * (256 / exact.sum(1, keepdim=True))
    error, side = torch.zeros_like(exact[:, 0]), []
    for i in range(radius):
        wanted = exact[:, i] + error
        side.append(wanted.round())
        error = wanted - side[-1]
    middle = 256 - 2 * sum(side, torch.zeros_like(error))
    return torch.stack([*side, middle, *side[::-1]], dim=1).float()


def add_noise(images: Tensor, noise: Tensor) -> Tensor:
    """Add ``noise`` (B, C, H, W) in levels, clip and truncate; uint8 (B, C, H, W)."""
    return (images + noise).clamp_(0, 255).to(torch.uint8)


def solarize(images: Tensor, threshold: int = 128) -> Tensor:
    """Invert the levels from ``threshold`` upwards; uint8 (B, C, H, W)."""
    return torch.where(images >= threshold, 255 - images, images)


def to_gray(images: Tensor) -> Tensor:
    """Gray image in all three bands; uint8 (B, 3, H, W)."""
    return gray_image(images).to(torch.uint8).expand_as(images)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(images - mean) / std`` per band, both (C,) in levels; float32 (B, C, H, W)."""
    return (images.float() - mean.view(-1, 1, 1)) * std.reciprocal().view(-1, 1, 1)


def gray_image(images: Tensor) -> Tensor:
    """Luma of (B, 3, H, W) in OpenCV's 15-bit weights, whole float32 (B, 1, H, W)."""
    red, green, blue = images.float().split(1, dim=1)
    luma = red * 9798 + green * 19235 + blue * 3735
    return luma.add_(2**14).mul_(2**-15).floor_()


def mean_level(images: Tensor) -> Tensor:
    """Mean over bands and pixels, float64 (B,)."""
    total = images.sum(dim=(1, 2, 3), dtype=torch.float64)
    return total / math.prod(images.shape[1:])


def linear_table(gain: Tensor, offset: Tensor) -> Tensor:
    """``gain * level + offset`` for 256 levels, clipped, truncated; uint8 (B, 256)."""
    levels = torch.arange(256, device=gain.device, dtype=torch.float64)
    table = levels * _column(gain.double()) + _column(offset.double())
    return table.clamp_(0, 255).to(torch.uint8)


def look_up(images: Tensor, table: Tensor) -> Tensor:
    """Replace every level by its entry in the image's own table (B, 256)."""
    return table.gather(1, images.flatten(1).long()).view_as(images)


def blend_with_gray(images: Tensor, gray: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * gray``, rounded as cv2.addWeighted does.

    The product with the gray image is rounded to float32, then the other product is
    added with one rounding: ties such as 0.95 * 10 + 0.05 * 0 depend on it.
    """
    factor = _per_image(factor.double())
    other = gray * (1 - factor).float()
    # images.double() * float32 factor is exact in float64.
    mixed = images.double().mul_(factor.float().double()).add_(other).float()
    return mixed.round_().clamp_(0, 255).to(torch.uint8)


def _rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in [0, 180), saturation and value in [0, 255], whole float32 (B, H, W)."""
    red, green, blue = images.float().unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # OpenCV divides through tables of rounded 12-bit reciprocals; the quotients are
    # far enough from ties for float32 to round them the same way.
    per_value = (255 * 2**12 / value.clamp(min=1)).round_()
    saturation = (chroma * per_value).add_(2**11).mul_(2**-12).floor_()
    hue = torch.where(
        value == red, green - blue,
        torch.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma))
    per_chroma = (30 * 2**12 / chroma.clamp(min=1)).round_()
    hue = (hue * per_chroma).add_(2**11).mul_(2**-12).floor_()
    return torch.where(hue < 0, hue + 180, hue), saturation, value


def _unit_to_levels(values: Tensor) -> Tensor:
    """Values (B, H, W) in [0, 1] as uint8 levels, as computed by OpenCV's HSV2RGB.

    Its vector code handles 32 pixels of a row at a time and truncates; its scalar code,
    which handles the rest of the row, rounds. Sides of 224 pixels have no rest. In the
    rest about one value in 100 000 differs by a level, depending on the compiler of OpenCV.
    """
    levels = values * 255
    levels[..., levels.shape[-1] // 32 * 32:].round_()
    return levels.to(torch.uint8)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
