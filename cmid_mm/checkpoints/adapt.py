"""Tensors of a backbone adapted to other sizes: positions, windows, input bands."""
import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITIONS = re.compile(r'(^|\.)(absolute_)?pos_embed$')
MAX_EXTRA_TOKENS = 2  # class and distillation
BIAS_TABLE = re.compile(r'relative_position_bias_table$')


def adapt(module: nn.Module, key: str, tensor: Tensor,
          own: Tensor) -> tuple[str, Tensor] | None:
    """Adapt a tensor of a file to the shape that the model has.

    Args:
        module (nn.Module): The backbone; its settings give the grid of its positions.
        key (str): Name of the tensor in ``module``.
        tensor (Tensor): Tensor of the file, of another shape than ``own``.
        own (Tensor): Tensor of the model.

    Returns:
        tuple[str, Tensor] | None: The kind of change, and the tensor in the shape of
        ``own``; None where no rule applies.
    """
    if POSITIONS.search(key):
        return _positions(module, tensor, own)
    if BIAS_TABLE.search(key) and tensor.shape[1:] == own.shape[1:]:
        sides = [math.isqrt(len(table)) for table in (tensor, own)]
        if all(side**2 == len(table) for side, table in zip(sides, (tensor, own))):
            return 'relative position tables', resize_bias_table(tensor, sides[1])
    stem = next((name for name, child in module.named_modules()
                 if isinstance(child, nn.Conv2d)), None)
    if key == f'{stem}.weight' and tensor.ndim == 4 and (
            tensor[:, 0].shape == own[:, 0].shape):
        return (f'stem of {tensor.shape[1]} bands to {own.shape[1]}',
                adapt_stem(tensor, own.shape[1]))
    return None


def resize_grid(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic interpolation between the centres of grid cells, without aliasing.

    Keys' kernel with a = -1/2, as in Pillow and timm, keeps a linear ramp linear; that of the
    mm frameworks (a = -3/4) adds steps to it.

    Args:
        grid (Tensor): (1, C, h, w), float.
        size (tuple[int, int]): Rows and columns of the result.

    Returns:
        Tensor: (1, C, \\*size), dtype of ``grid``; ``grid`` itself at its own size.
    """
    if tuple(grid.shape[2:]) == tuple(size):
        return grid
    resized = F.interpolate(grid.float(), size=size, mode='bicubic', antialias=True)
    return resized.to(grid.dtype)


def resize_bias_table(table: Tensor, side: int) -> Tensor:
    """Relative position biases of windows of another size, bicubic along both offsets.

    Args:
        table (Tensor): (s * s, heads) with s = 2 * window - 1.
        side (int): s of the result.

    Returns:
        Tensor: (side * side, heads).
    """
    old = math.isqrt(len(table))
    grid = table.t().reshape(1, -1, old, old)
    return resize_grid(grid, (side, side)).flatten(2)[0].t().contiguous()


def resize_positions(positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Position embeddings on another grid; extra tokens at the start are not changed.

    Args:
        positions (Tensor): (1, extra + s * s, C), of the largest square that fits.
        size (tuple[int, int]): Rows and columns of the result.

    Returns:
        Tensor: (1, extra + size[0] * size[1], C).
    """
    side = math.isqrt(positions.shape[1])
    extra = positions.shape[1] - side**2
    places = positions[:, extra:].transpose(1, 2).unflatten(2, (side, side))
    places = resize_grid(places, size).flatten(2).transpose(1, 2)
    return torch.cat([positions[:, :extra], places], dim=1)


def adapt_stem(weight: Tensor, bands: int) -> Tensor:
    """Adapt the first convolution to another number of bands.

    Band b of the new stem has the weights of band b mod I of the old one. With fewer bands, the
    old bands that share a new one are summed; with more bands, an old band is divided equally::

        bands <= I:  new[b] = sum of old[c] over c = b (mod bands)
        bands >= I:  new[b] = old[b mod I] / #{b' : b' = b (mod I)}

    The sum over bands is not changed: an image with the same value in every band gives
    the same response as before. A single band is the sum of all of them.

    Args:
        weight (Tensor): (out, I, k, k).
        bands (int): Number of bands of the result.

    Returns:
        Tensor: (out, bands, k, k).
    """
    old = weight.shape[1]
    source = torch.arange(max(old, bands)) % old
    target = torch.arange(max(old, bands)) % bands
    share = 1 / torch.bincount(source)[source].to(weight)
    new = weight.new_zeros(weight.shape[0], bands, *weight.shape[2:])
    return new.index_add_(1, target.to(weight.device),
                          weight[:, source] * share.view(-1, 1, 1))


def _positions(module: nn.Module, tensor: Tensor, own: Tensor) -> tuple | None:
    if tensor.ndim != 3 or own.ndim != 3 or tensor.shape[2] != own.shape[2]:
        return None
    if tensor.shape[1] - math.isqrt(tensor.shape[1])**2 > MAX_EXTRA_TOKENS:
        return None
    size = _grid_of(module, own.shape[1])
    places = size[0] * size[1]
    resized = resize_positions(tensor, size)
    # Extra tokens that only the file has are dropped; those that only the model has are kept.
    extra = own.shape[1] - places
    known = resized.shape[1] - places >= extra
    start = resized[:, :extra] if known else own[:, :extra].to(resized)
    return 'position embeddings', torch.cat([start, resized[:, -places:]], dim=1)


def _grid_of(module: nn.Module, length: int) -> tuple[int, int]:
    """Rows and columns of the model's positions."""
    grid = getattr(getattr(module, 'patch_embed', None), 'init_out_size', None)
    if grid is None and hasattr(module, 'img_size') and hasattr(module, 'patch_size'):
        patch = module.patch_size
        patch = patch if isinstance(patch, (tuple, list)) else (patch, patch)
        grid = tuple(side // step for side, step in zip(module.img_size, patch))
    if grid and 0 <= length - grid[0] * grid[1] <= MAX_EXTRA_TOKENS:
        return tuple(grid)
    return (math.isqrt(length), ) * 2
