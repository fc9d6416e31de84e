"""Photometric operations on batches of uint8 images, each image with its own parameter.

The published pipeline runs OpenCV 4 and albumentations 1.2 on one image at a time. Here
the same 8-bit arithmetic is written as tensor operations on whole batches, so that the
results are equal to the last grey level on every device. Sums of integers below 2^24 are
exact in float32; where OpenCV rounds once after a multiplication and an addition (a fused
multiply-add), float64 is used.

Images are uint8 (B, C, H, W), bands in the order red, green, blue where there are three.
Parameters are tensors (B,) on the images' device. No function changes its arguments,
none waits for the device, none contains an operation that autocast would change.
torch.where, comparisons of floating-point numbers and the conversion from float32 to uint8
are not vectorised on CPUs and are avoided.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scale the differences from the mean of the gray image; uint8 (B, C, H, W).

    Where there are not three bands, the mean is that of all bands.
    """
    gray = gray_image(images) if images.shape[1] == 3 else images
    mean = gray.sum(dim=(1, 2, 3), dtype=torch.float64) / gray.shape[1:].numel()
    return look_up(images.byte(), linear_table(factor, mean * (1 - factor.double())))


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * gray``, rounded as cv2.addWeighted does.

    The product with the gray image is rounded to float32, then the other product is
    added with one rounding: ties such as 0.95 * 10 + 0.05 * 0 depend on it.
    """
    factor = _per_image(factor.double())
    other = gray_image(images).mul_((1 - factor).float()).double()
    # The float32 factor times a level is exact in float64.
    mixed = images.byte().double().mul_(factor.float().double()).add_(other)
    return _to_uint8(mixed.float().round_().clamp_(0, 255))


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue by ``shift`` of a full circle, in [-0.5, 0.5]; uint8 (B, 3, H, W).

    OpenCV's 8-bit HSV has hues in steps of two degrees, so every shift quantises the
    colours, even a shift of 0.
    """
    hue, saturation, value = _rgb_to_hsv(images.byte())
    hues = torch.arange(-30, 180, device=images.device, dtype=torch.float64) % 180
    turned = torch.remainder(hues + 180 * _column(shift.double()), 180).floor()
    turned = turned.float() * (6 / 180)
    # A band is value * (1 - saturation * weight). The weight depends on hue and band alone and
    # is tabulated, because an image has fewer hues than pixels.
    offset = torch.arange(5, 0, -2, device=images.device).view(-1, 1)
    phase = torch.remainder(turned.double()[:, None] + offset, 6)
    weights = torch.minimum(phase, 4 - phase).clamp_(0, 1).float().double()
    part = look_up(hue.expand_as(images), -weights)
    part = part.mul_(saturation.mul_(1 / 255).double()).add_(1).float()
    levels = part.mul_(value.mul_(1 / 255)).mul_(255)
    # OpenCV's vector code handles 32 pixels of a row at a time and truncates; its scalar code,
    # which handles the rest of the row, rounds. Sides of 224 pixels have no rest. In the rest
    # about one value in 100 000 differs by a level, depending on the compiler of OpenCV.
    levels[..., levels.shape[-1] // 32 * 32:].round_()
    return _to_uint8(levels)


def gaussian_blur(images: Tensor, weights: Tensor) -> Tensor:
    """Blur with ``gaussian_weights``, odd (B, n), n // 2 < H, W; uint8 (B, C, H, W)."""
    radius = weights.shape[1] // 2
    blurred = F.pad(images.float(), (radius,) * 4, mode='reflect')
    # Sums of shifted copies instead of a convolution: whole numbers below 2^24 (here divided
    # by 2^16) are exact in any order, where a GPU's convolution may round its inputs to ten bits.
    for dim, length in ((-1, images.shape[-1]), (-2, images.shape[-2])):
        window = [blurred.narrow(dim, i, length) for i in range(2 * radius + 1)]
        blurred = window[0] * _per_image(weights[:, 0])
        for i in range(1, 2 * radius + 1):
            blurred.addcmul_(window[i], _per_image(weights[:, i]))
    return _to_uint8(blurred.add_(0.5))


def gaussian_weights(size: Tensor, sigma: Tensor, largest: int) -> Tensor:
    """OpenCV's bit-exact 8-bit kernels: multiples of 1/256 of sum 1, float32 (B, largest).

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
    return torch.stack([*side, middle, *side[::-1]], dim=1).float().mul_(1 / 256)


def add_noise(images: Tensor, noise: Tensor) -> Tensor:
    """Add ``noise`` (B, C, H, W) in levels, clip and truncate; uint8 (B, C, H, W)."""
    return _to_uint8((images + noise).clamp_(0, 255))


def solarize(images: Tensor, threshold: int = 128) -> Tensor:
    """Invert the levels from ``threshold`` upwards; uint8 (B, C, H, W)."""
    # 255 - level inverts every bit
    return images ^ (images >= threshold).view(torch.uint8) * 255


def to_gray(images: Tensor) -> Tensor:
    """Gray image in all three bands; uint8 (B, 3, H, W)."""
    return gray_image(images).to(torch.uint8).expand_as(images)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(images - mean) / std`` per band, both (C,) in levels; float32 (B, C, H, W)."""
    levels = images.to(torch.float32, copy=True)
    return levels.sub_(mean.view(-1, 1, 1)).mul_(std.reciprocal().view(-1, 1, 1))


def gray_image(images: Tensor) -> Tensor:
    """Luma of (B, 3, H, W) in OpenCV's 15-bit weights, whole float32 (B, 1, H, W)."""
    red, green, blue = images.float().split(1, dim=1)
    luma = (red * 9798).add_(green, alpha=19235).add_(blue, alpha=3735)
    return luma.add_(2**14).mul_(2**-15).floor_()


def look_up(levels: Tensor, table: Tensor) -> Tensor:
    """Replace levels by their entries in a table of each image, or of each of its bands.

    Args:
        levels (Tensor): Whole numbers (B, C, H, W), integers.
        table (Tensor): (B, n) or (B, C, n).

    Returns:
        Tensor: (B, C, H, W), of the type of ``table``.
    """
    tables, length = table.shape[:-1], table.shape[-1]
    first = torch.arange(
        0, table.numel(), length, dtype=torch.int32, device=table.device)
    first = first.view(*tables, *[1] * (levels.ndim - len(tables)))
    return table.flatten().index_select(0, (levels.int() + first).flatten()).view(levels.shape)


def select(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """``torch.where`` of finite floating-point numbers, which is vectorised on CPUs."""
    return torch.lerp(other, one, chosen.view(torch.uint8).to(other.dtype))


def linear_table(gain: Tensor, offset: Tensor) -> Tensor:
    """``gain * level + offset`` for 256 levels, clipped, truncated; uint8 (B, 256)."""
    levels = torch.arange(256, device=gain.device, dtype=torch.float64)
    table = levels * _column(gain.double()) + _column(offset.double())
    return table.clamp_(0, 255).to(torch.uint8)


def _rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue + 30, int32 in [0, 210); saturation, value, whole float32 in [0, 255]; (B, 1, H, W).

    The hue is that before 180 is added to negative ones.
    """
    red, green, blue = images.float().split(1, dim=1)
    largest = images.amax(1, keepdim=True)
    value, chroma = largest.float(), (largest - images.amin(1, keepdim=True)).float()
    is_red, is_green, _ = (largest == images).split(1, dim=1)
    hue = (red - green).add_(chroma, alpha=4)
    hue = select(is_green, (blue - red).add_(chroma, alpha=2), hue)
    hue = select(is_red, green - blue, hue)
    # OpenCV divides through tables of rounded 12-bit reciprocals; the quotients are
    # far enough from ties for float32 to round them the same way.
    saturation = value.clamp(min=1).reciprocal_().mul_(255 * 2**12).round_().mul_(chroma)
    per_chroma = chroma.clamp_(min=1).reciprocal_().mul_(30 * 2**12).round_()
    saturation = saturation.add_(2**11).mul_(2**-12).floor_()
    hue = hue.mul_(per_chroma).add_(2**11 + 30 * 2**12).mul_(2**-12)
    return hue.int(), saturation, value


def _to_uint8(levels: Tensor) -> Tensor:
    """Truncate levels in [0, 256); through int16, which torch converts faster on CPUs."""
    return levels.short().byte()


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
