"""Overlapping tiles of a raster of any size, and the combination of their predictions.

The weights of two neighbours change linearly over half of their overlap; a quarter on either
side, where a tile lacks context, is not used. The weights of a pixel sum to one, so equal
predictions of both tiles are not changed.
"""
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..utils.errors import CMIDError


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


class Mosaic:
    """Joins score maps of tiles, one row of tiles after the other.

    Between two rows it stores only the seam, so that the memory grows with the width of the
    raster, not with its height.

    Args:
        columns (list[Span]): Tiles of a row.
        classes (int): Number of maps of each tile.
    """

    def __init__(self, columns: list[Span], classes: int):
        self.columns = columns
        self.classes = classes
        self.below = None

    def join(self, row: Span,
             tiles: Iterable[Tensor | None]) -> Iterator[tuple[slice, Tensor]]:
        """Add a row of tiles and return the pixels that are final.

        Args:
            row (Span): Position of the row; rows must be given in their order.
            tiles (Iterable[Tensor | None]): (classes, h, w) float32 on the CPU, from left to
                right; None where a tile has no data.

        Yields:
            tuple[slice, Tensor]: Columns of the raster and the weighted means of the scores,
            (classes, rows from ``row.low`` to ``row.settled``, columns).
        """
        beside, below = None, self.below
        if row.fade_out:
            self.below = torch.empty(self.classes, row.fade_out, self.columns[-1].stop)
        for span, scores in zip(self.columns, tiles):
            part = self._weighted(row, span, scores)
            if span.fade_in:
                part[..., :span.fade_in] += beside
            width = span.settled - span.low
            beside, part = part[..., width:], part[..., :width]
            columns = slice(span.low, span.settled)
            if row.fade_in:
                part[:, :row.fade_in] += below[..., columns]
            height = row.settled - row.low
            if row.fade_out:
                self.below[..., columns] = part[:, height:]
            yield columns, part[:, :height]

    def _weighted(self, row: Span, span: Span, scores: Tensor | None) -> Tensor:
        """Scores of the pixels with a weight, times their weights."""
        if scores is None:
            return torch.zeros(self.classes, row.high - row.low, span.high - span.low)
        inner = scores[:, row.low - row.start:row.high - row.start,
                       span.low - span.start:span.high - span.start]
        return inner * row.weights()[:, None] * span.weights()
