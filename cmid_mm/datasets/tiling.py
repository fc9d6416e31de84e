"""Tiles of equal size that cover an axis of a raster and may overlap."""
from typing import NamedTuple

import torch
from torch import Tensor

from cmid_mm.utils.errors import CMIDError


class Span(NamedTuple):
    """A tile along one axis, in pixels of the raster.

    Attributes:
        start (int): First pixel of the tile.
        stop (int): Pixel after its last.
        low (int): First pixel for which the tile has a weight.
        high (int): Pixel after the last of these.
        fade_in (int): Number of pixels from ``low`` on that are shared with the tile before.
        fade_out (int): Number of pixels before ``high`` that are shared with the next tile.
    """
    start: int
    stop: int
    low: int
    high: int
    fade_in: int
    fade_out: int

    @property
    def settled(self) -> int:
        """Pixel after the last one that no later tile changes."""
        return self.high - self.fade_out

    def weights(self) -> Tensor:
        """float32 (high - low,), rising over the fade before and falling over the next."""
        weights = torch.ones(self.high - self.low)
        if self.fade_in:
            weights[:self.fade_in] = _rise(self.fade_in)
        if self.fade_out:
            weights[-self.fade_out:] = 1 - _rise(self.fade_out)
        return weights


def _rise(pixels: int) -> Tensor:
    return (torch.arange(pixels) + 0.5) / pixels


def cut_axis(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles along one axis, as few as possible and evenly spread.

    Args:
        length (int): Length of the raster in pixels.
        tile (int): Length of a tile; a shorter raster is one tile of its own length.
        overlap (int): Least overlap of neighbours, at most half a tile.

    Raises:
        CMIDError: The overlap does not fit the tile.
    """
    if not 0 <= overlap <= tile // 2:
        raise CMIDError(f'an overlap of {overlap} px does not fit tiles of {tile} px: give '
                        f'0 to {tile // 2}')
    if length <= tile:
        return [Span(0, length, 0, length, 0, 0)]
    steps = -(-(length - tile) // (tile - overlap))
    starts = [round(step * (length - tile) / steps) for step in range(steps + 1)]
    fade = overlap // 2
    # middle of each overlap, minus half the fade
    bounds = [(starts[i + 1] + starts[i] + tile) // 2 - fade // 2 for i in range(steps)]
    lows = [0, *bounds]
    highs = [*(bound + fade for bound in bounds), length]
    return [
        Span(start, start + tile, low, high, fade if low else 0, fade if high < length else 0)
        for start, low, high in zip(starts, lows, highs)
    ]
