"""Windows of large rasters as samples of a data set."""
import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from cmid_mm.utils.errors import CMIDError

from .band_files import group_bands
from .file_limits import ImageError
from .folder_scan import Progress, list_images
from .raster_file import BlockSizeError, RasterFile, check_blocks, require_same_grid
from .raster_opening import open_raster
from .raster_paths import Window, split_window, window_path
from .tiling import cut_axis

# a block of 4096 x 4096 pixels and four bytes
_MOST_BLOCK_BYTES = 2**26
# Validity is looked at before a training at this many places along a window where overviews make
# that cheap, and at every pixel of a small raster.
_PLACES = 8
# single pixels of an overview are no bound on the share of data
_SLACK = 0.5
_SMALL = 2**22


class Grid(NamedTuple):
    """Windows of a raster, in rows and columns of equal parts of it.

    A window lies within half a part around the middle position of its own part, and inside the
    raster. A raster smaller than a window has one window, as large as the raster.
    """
    width: int  # of the raster, in pixels
    height: int
    side: int  # of a window, in pixels
    kept: tuple | None = None  # numbers of the windows that may have data; None: all

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return max(1, self.height // self.side), max(1, self.width // self.side)

    @property
    def numbers(self) -> Sequence[int]:
        """Numbers of the windows, row by row."""
        return range(int(np.prod(self.shape))) if self.kept is None else self.kept

    def places(self, number: int) -> list[tuple[int, int, int, int]]:
        """(first, middle, last, length) of the places of a window, of rows and of columns."""
        rows, columns = self.shape
        return [_places(length, count, place, self.side) for length, count, place in zip(
            (self.height, self.width), (rows, columns), divmod(number, columns))]

    def window(self, number: int, shift: Sequence[float] | None = None) -> Window:
        """A window.

        Args:
            number (int): One of ``numbers``.
            shift (Sequence[float], optional): Row and column from 0 to 1 between the first and
                the last place. Defaults to None: the middle of the window's part.
        """
        tops, lefts = self.places(number)
        top, left = (
            middle if shift is None else first + int(shift[axis] * (last - first + 1))
            for axis, (first, middle, last, _) in enumerate((tops, lefts)))
        return Window(left, top, lefts[-1], tops[-1])


def _places(length: int, count: int, place: int, side: int) -> tuple[int, int, int, int]:
    if length <= side:
        return 0, 0, 0, length
    part = length / count
    middle = place * part + (part - side) / 2
    return (max(0, round(middle - part / 2)), round(middle),
            min(length - side, round(middle + part / 2)), side)


def read_grids(paths: Sequence[str], side: int, min_valid: float) -> list[Grid | None]:
    """Grids of the windows of rasters, from their headers.

    Windows are left out where no position has enough data, as far as overviews tell it.

    Args:
        paths (Sequence[str]): Images of any size, or windows.
        side (int): Side of a window in pixels.
        min_valid (float): Least share of pixels with data, from 0 to 1.

    Returns:
        list[Grid | None]: For each path; None for an image that is a single sample, because it
        is no larger than a window, is a window or cannot be read.

    Raises:
        BlockSizeError: A raster is stored in too large blocks.
        CMIDError: The side is not positive.
    """
    if not isinstance(side, int) or side < 1:
        raise CMIDError(f'window={side!r}: give the side of a window in pixels')
    grids, slow, progress = [], [], Progress('Reading the headers of rasters')
    for path in paths:
        grids.append(None)
        progress.update(len(grids))
        if split_window(path)[1] is not None:
            continue
        try:
            with open_raster(path, _any_bands) as raster:
                grid = Grid(raster.width, raster.height, side)
                if max(raster.width, raster.height) > side:
                    check_blocks(raster, _MOST_BLOCK_BYTES)
                    slow += [path] * (raster.dataset.driver in ('PNG', 'JPEG'))
                    grids[-1] = grid._replace(kept=_with_data(raster, grid, min_valid))
        except BlockSizeError:
            raise
        except ImageError:
            continue
    total = sum(int(np.prod(grid.shape)) for grid in grids if grid is not None)
    empty = total - sum(len(grid.numbers) for grid in grids if grid is not None)
    if total:
        print_log(f'{total:,} windows of {side} px, of which {empty:,} have too little data '
                  f'(min_valid={min_valid:g}) and are left out', logger='current')
    if slow:
        print_log(f'{len(slow)} of {len(paths)} images are PNG or JPEG files, of which every '
                  f'window decodes all pixels above it: {os.path.basename(slow[0])}, ...; '
                  'gdal_translate -co TILED=YES -co COMPRESS=DEFLATE makes them faster',
                  logger='current', level=logging.WARNING)
    return grids


def list_samples(root: str, files: Sequence[str] | None = None, window: int | None = None,
                 band_files: Sequence[str] | None = None, band_pattern: str = '*{band}.*',
                 grid_band: str | None = None) -> list[str]:
    """Names, relative to a folder, of its images or of the windows of its rasters.

    Args:
        root (str): The folder.
        files (Sequence[str], optional): Files in it; None takes all images.
        window (int, optional): As in ``ImageFolder``; windows are at their middle positions.
        band_files, band_pattern, grid_band: As in ``ImageFolder``.

    Raises:
        CMIDError: As of ``ImageFolder``.
    """
    names = list_images(root) if files is None else list(files)
    if band_files is not None:
        names = group_bands(names, band_files, band_pattern, grid_band)
    if window is None:
        return names
    grids = read_grids([os.path.join(root, name) for name in names], window, 0.)
    return [name if number is None else window_path(name, grid.window(number))
            for name, grid in zip(names, grids)
            for number in ([None] if grid is None else grid.numbers)]


def cover(height: int, width: int, side: int,
          overlap: int = 0) -> list[tuple[Window, tuple[int, int, int, int]]]:
    """Windows of equal size that cover a raster, and the part of each that counts.

    Args:
        height (int): Of the raster in pixels; ``width`` likewise.
        side (int): Side of a window; a smaller raster is one window of its own size.
        overlap (int): Least overlap of neighbours, at most half a window. Defaults to 0.

    Returns:
        list[tuple]: Windows with (left, top, width, height) in their pixels; these parts have
        every pixel of the raster once.
    """
    rows, columns = (cut_axis(length, min(side, length), min(overlap, length // 2))
                     for length in (height, width))
    return [(Window(column.start, row.start, column.stop - column.start, row.stop - row.start),
             (column.low - column.start, row.low - row.start, column.settled - column.low,
              row.settled - row.low)) for row in rows for column in columns]


def same_grid(paths: Sequence[str]) -> tuple[int, int]:
    """Height and width of an image, which its masks and its other dates must have too.

    Args:
        paths (Sequence[str]): The image first.

    Raises:
        ImageError: A file cannot be read, covers other pixels or is stored in too large blocks.
    """
    with ExitStack() as stack:
        rasters = [stack.enter_context(open_raster(path, _any_bands)) for path in paths]
        for raster in rasters:
            check_blocks(raster, _MOST_BLOCK_BYTES)
        for other in rasters[1:]:
            require_same_grid(rasters[0], other)
        return rasters[0].height, rasters[0].width


def _any_bands(bands: int, alpha: bool) -> range:
    return range(bands - alpha or 1)


def _with_data(raster: RasterFile, grid: Grid, min_valid: float) -> tuple | None:
    """Numbers of the windows that have enough data at some position; None where unknown."""
    small = raster.width * raster.height <= _SMALL
    if not (raster.may_have_gaps and min_valid and (small or raster.dataset.overviews(1))):
        return None
    size, slack = (raster.height, raster.width), 1
    if not small:
        size = tuple(min(side, count * _PLACES) for side, count in zip(size, grid.shape))
        slack = _SLACK
    valid = raster.read(size=size).valid
    if valid is None:
        # a band without missing pixels
        return None
    scales = [count / side for count, side in zip(size, (raster.height, raster.width))]
    kept = []
    for number in grid.numbers:
        rows, columns = (
            slice(int(first * scale), int(np.ceil((last + length) * scale)))
            for (first, _, last, length), scale in zip(grid.places(number), scales))
        reach = valid[rows, columns]
        height, width = (places[-1] for places in grid.places(number))
        # pixels with data that a window can have at most
        most = reach.sum() / (scales[0] * scales[1])
        if most >= slack * min_valid * height * width:
            kept.append(number)
    return None if len(kept) == len(grid.numbers) else tuple(kept)
