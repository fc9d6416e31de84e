"""A raster whose bands are files of their own."""
import os

import numpy as np

from .file_limits import ImageError
from .georeference import corner_distance
from .raster_file import RasterFile
from .raster_paths import Window
from .raster_reading import Raster


class BandFiles(RasterFile):
    """A raster whose bands are files of their own, all brought to the grid of one of them.

    Bands of another grid are interpolated linearly between the middles of their pixels, at the
    places that the transforms give, without them at those of equal extents. A pixel depends on its
    position alone, and not on the window in which it is read. Next to missing pixels the nearest
    pixel is taken.
    """

    def __init__(self, path: str, files: dict[int, RasterFile], grid: int, chosen: list[int]):
        base = files[grid]
        self.path, self.dataset, self.georeference = path, base.dataset, base.georeference
        self.height, self.width = base.height, base.width
        self._files, self._base = [files[place] for place in chosen], base
        self.parts = list(files.values())
        self.band_names = [os.path.splitext(os.path.basename(file.path))[0]
                           for file in self._files]
        # of each file, (scale, shift) of rows and of columns: from pixels of the grid to its own
        self._axes = [_axes(base, file) for file in self._files]
        for file in (base, *self._files):
            _check_extent(base, file)

    @property
    def may_have_gaps(self) -> bool:
        return any(file.may_have_gaps for file in self._files)

    def read(self, window: Window | None = None, size: tuple | None = None) -> Raster:
        window = window or Window(0, 0, self.width, self.height)
        bands = [file.read(window, size) if _same_grid(self._base, file, axes)
                 else _interpolate(file, axes, window, size or (window.height, window.width))
                 for file, axes in zip(self._files, self._axes)]
        valid = [band.valid for band in bands]
        return Raster(
            np.concatenate([band.pixels for band in bands], axis=2),
            sum((band.nodata for band in bands), ()),
            None if any(part is None for part in valid) else np.logical_or.reduce(valid))


def _axes(base: RasterFile, file: RasterFile) -> list[tuple[float, float]]:
    """(scale, shift) of rows and of columns, from positions in ``base`` to those in ``file``."""
    places = base.georeference, file.georeference
    if not all(place.known and not place.gcps for place in places):
        return [(file.height / base.height, 0.), (file.width / base.width, 0.)]
    systems = [place.crs for place in places]
    matrix = np.linalg.solve(places[1].matrix, places[0].matrix)
    turned = max(abs(matrix[0, 1]) * base.height, abs(matrix[1, 0]) * base.width)
    if turned > 0.1 or (all(systems) and systems[0] != systems[1]):
        raise ImageError(f'{file.path} is turned against {base.path}, of which it is another band, '
                         'or in another coordinate system: bring both onto one grid with gdalwarp')
    return [(matrix[1, 1], matrix[1, 2]), (matrix[0, 0], matrix[0, 2])]


def _same_grid(base: RasterFile, file: RasterFile, axes: list) -> bool:
    """Whether the pixels of two bands are the same, up to a tenth of a pixel."""
    ends = [abs(scale * length + shift - length) for (scale, shift), length in zip(
        axes, (base.height, base.width))]
    return ((file.height, file.width) == (base.height, base.width)
            and max(*ends, *(abs(shift) for _, shift in axes)) < 0.1)


def _interpolate(file: RasterFile, axes: list, window: Window, size: tuple) -> Raster:
    """A part of a band with another grid, at the middles of the pixels of the image."""
    found = []
    for (scale, shift), start, length, count, other in zip(
            axes, (window.top, window.left), (window.height, window.width), size,
            (file.height, file.width)):
        places = start + (np.arange(count) + 0.5) * (length / count)
        places = (places * scale + shift - 0.5).clip(0, other - 1)
        low = np.floor(places).astype(int)
        found.append((low, np.minimum(low + 1, other - 1), (places - low).astype(np.float32)))
    (top, bottom, down), (left, right, across) = found
    part = file.read(Window(int(left[0]), int(top[0]), int(right[-1] - left[0] + 1),
                            int(bottom[-1] - top[0] + 1)))
    values, valid = part.pixels[..., 0], part.valid
    rows, columns = (top - top[0], bottom - top[0]), (left - left[0], right - left[0])
    across, down = across, down[:, None]
    # float32 holds numbers of up to 24 bits exactly
    exact = np.result_type(values.dtype, np.float32)
    upper, lower = (
        values[row][:, columns[0]].astype(exact) * (1 - across)
        + values[row][:, columns[1]].astype(exact) * across for row in rows)
    mixed = upper * (1 - down) + lower * down
    if values.dtype.kind in 'iu':
        mixed = np.rint(mixed)
    result = mixed.astype(values.dtype)
    if valid is not None:
        near = np.ix_(np.where(down[:, 0] < 0.5, *rows), np.where(across < 0.5, *columns))
        whole = np.logical_and.reduce([valid[np.ix_(row, column)]
                                       for row in rows for column in columns])
        result = np.where(whole, result, values[near])
        valid = valid[near]
    return Raster(result[..., None], part.nodata, valid)


def _check_extent(base: RasterFile, file: RasterFile) -> None:
    """Raise ImageError where two bands of an image do not cover the same ground."""
    # in pixels of the coarser one
    coarse, fine = sorted((base, file), key=lambda raster: raster.width)
    distance = corner_distance(coarse.georeference, fine.georeference,
                               (coarse.height, coarse.width), (fine.height, fine.width))
    known = all(raster.georeference.known and not raster.georeference.gcps
                for raster in (coarse, fine))
    ratio = [one / other for one, other in zip(*((raster.width, raster.height)
                                                 for raster in (fine, coarse)))]
    # sides are rounded to whole pixels
    stretched = abs(ratio[0] - ratio[1]) > max(ratio) * 2 / min(coarse.height, coarse.width)
    if not distance <= 1 or (not known and stretched):
        raise ImageError(
            f'{file.path} ({file.width} x {file.height} pixels) does not cover the ground of '
            f'{base.path} ({base.width} x {base.height}), of which it is another band: bring it '
            'there with gdalwarp -te ..., or is it of another scene?')
