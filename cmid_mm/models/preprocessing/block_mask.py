"""Random block masks. Polarity everywhere: True or 1 = masked, hidden from the student."""
import math

import torch
from torch import Tensor

from cmid_mm.utils.keyed_random import Stream, uniform


def block_mask(keys: Tensor, grid: tuple[int, int], ratio: float) -> Tensor:
    """Mask ``ceil(ratio * rows * columns)`` cells of every view, all sets equally likely.

    Args:
        keys (Tensor): Keys of the views, int64 (B,), on any device.
        grid (tuple[int, int]): Rows and columns of cells.
        ratio (float): Share of masked cells, from 0 to 1.

    Returns:
        Tensor: bool (B, rows, columns), True = masked.

    Raises:
        ValueError: If the ratio or the grid is impossible.
    """
    rows, columns = grid
    if min(grid) < 1:
        raise ValueError(f'the mask needs at least one cell, got a grid of {rows} x '
                         f'{columns}: the image is smaller than a cell')
    return mask_of_lowest(uniform(keys, Stream.BLOCK_MASK, rows, columns), ratio)


def mask_of_lowest(scores: Tensor, ratio: float) -> Tensor:
    """Mask the cells of lowest score, exactly ``ceil(ratio * cells)`` in every view.

    Args:
        scores (Tensor): Real scores (B, rows, columns); equal ones go by position.
        ratio (float): Share of masked cells, from 0 to 1.

    Returns:
        Tensor: bool (B, rows, columns), True = masked.

    Raises:
        ValueError: If the ratio lies outside of [0, 1].
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f'the mask ratio must lie between 0 and 1, got {ratio}')
    flat = scores.flatten(1)
    order = flat.argsort(dim=1, stable=True)
    masked = math.ceil(ratio * flat.shape[1])
    ranked = torch.arange(flat.shape[1], device=flat.device) < masked
    mask = torch.empty_like(flat, dtype=torch.bool)
    return mask.scatter_(1, order, ranked.expand_as(mask)).view_as(scores)


def upsample_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeat every cell until the mask has a finer resolution.

    Args:
        mask (Tensor): (B, rows, columns), of any type.
        size (tuple[int, int]): Wanted height and width, multiples of the mask's.

    Returns:
        Tensor: (B, height, width), of the type of ``mask``.

    Raises:
        ValueError: If the size is no multiple of the mask's.
    """
    rows, columns = mask.shape[-2:]
    height, width = size
    if height % rows or width % columns or not height or not width:
        raise ValueError(
            f'a mask of {rows} x {columns} cells cannot be repeated to {height} x {width}: '
            'choose an image side and a cell size that are multiples of that resolution')
    return (mask.repeat_interleave(height // rows, dim=-2)
            .repeat_interleave(width // columns, dim=-1))


def fill_masked(images: Tensor, mask: Tensor, fill: str | None = 'mean') -> Tensor:
    """Replace the masked pixels, so that the student cannot see them.

    Args:
        images (Tensor): Normalised images, floating point (B, C, H, W).
        mask (Tensor): bool or 0/1 (B, rows, columns), True = masked; rows and columns
            divide H and W.
        fill (str, optional): 'mean': each image's own mean of each band over all of its
            pixels; 'zero'; None: the pixels stay visible.

    Returns:
        Tensor: (B, C, H, W), of the type of ``images``, which stay as they are.

    Raises:
        ValueError: If the fill is unknown or the mask does not divide the images.
    """
    if fill is None:
        return images
    if fill not in ('mean', 'zero'):
        raise ValueError(f"fill must be 'mean', 'zero' or None, got {fill!r}")
    masked = upsample_mask(mask, images.shape[-2:])[:, None].bool()
    if fill == 'zero':
        return images.masked_fill(masked, 0)
    return torch.where(masked, images.mean(dim=(2, 3), keepdim=True), images)
