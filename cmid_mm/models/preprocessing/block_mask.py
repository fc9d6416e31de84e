"""Random block masks. Polarity everywhere: True or 1 = masked, invisible to the student."""
import math

import torch
from torch import Tensor

from cmid_mm.utils.keyed_random import Stream, uniform

from .photometric_functional import select


def block_mask(keys: Tensor, grid: tuple[int, int], ratio: float) -> Tensor:
    """Mask ``ceil(ratio * rows * columns)`` cells of every view, all sets equally likely.

    Args:
        keys (Tensor): Keys of the views, int64 (B,), on any device.
        grid (tuple[int, int]): Rows and columns of cells.
        ratio (float): Share of masked cells, from 0 to 1.

    Returns:
        Tensor: bool (B, rows, columns), True = masked.
    """
    return mask_of_lowest(uniform(keys, Stream.BLOCK_MASK, *grid), ratio)


def mask_of_lowest(scores: Tensor, ratio: float) -> Tensor:
    """Mask the cells of lowest score, exactly ``ceil(ratio * cells)`` in every view.

    Args:
        scores (Tensor): Real scores (B, rows, columns); equal ones are ordered by position.
        ratio (float): Share of masked cells, from 0 to 1.

    Returns:
        Tensor: bool (B, rows, columns), True = masked.
    """
    flat = scores.flatten(1)
    order = flat.argsort(dim=1, stable=True)
    masked = math.ceil(ratio * flat.shape[1])
    ranked = torch.arange(flat.shape[1], device=flat.device) < masked
    mask = torch.empty_like(flat, dtype=torch.bool)
    return mask.scatter_(1, order, ranked.expand_as(mask)).view_as(scores)


def upsample_mask(mask: Tensor, side: int) -> Tensor:
    """Repeat every cell: (B, rows, columns) to (B, rows * side, columns * side)."""
    return mask.repeat_interleave(side, dim=-2).repeat_interleave(side, dim=-1)


def fill_masked(images: Tensor, mask: Tensor, fill: str | None = 'mean') -> Tensor:
    """Replace the masked pixels.

    Args:
        images (Tensor): Normalised images, floating point (B, C, H, W).
        mask (Tensor): bool (B, H, W), True = masked.
        fill (str, optional): 'mean': each image's own mean of each band over all of its
            pixels; 'zero'; None: the pixels stay visible.

    Returns:
        Tensor: (B, C, H, W), of the type of ``images``, which are not changed.
    """
    if fill is None:
        return images
    value = images.mean(dim=(2, 3), keepdim=True) if fill == 'mean' else images.new_zeros(1)
    return select(mask[:, None], value, images)
