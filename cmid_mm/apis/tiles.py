"""Overlapping tiles of a raster of any size, and the combination of their predictions.

The weights of two neighbours change linearly over half of their overlap; a quarter on either
side, where a tile lacks context, is not used. The weights of a pixel sum to one, so equal
predictions of both tiles are not changed.
"""
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..datasets.tiling import Span


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
