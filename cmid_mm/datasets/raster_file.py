"""An open raster that is read whole or in windows, and what is required of rasters."""
from collections.abc import Callable

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError

from .file_limits import ImageError
from .georeference import Georeference, corner_distance
from .raster_paths import Window
from .raster_reading import (
    ChooseBands,
    Raster,
    block_bytes,
    block_shape,
    check_memory,
    has_alpha,
    is_mask,
    palette_colours,
    sample_last_band,
)

# what is known of the alpha bands of files, by path, time and size
_known: dict[tuple, bool] = {}
_MOST_KNOWN = 2**16


class BlockSizeError(ImageError):
    """A raster is stored in blocks that are too large to be decoded for a window."""


class RasterFile:
    """An open raster, created by :func:`.raster_opening.open_raster`.

    Attributes:
        path (str): The file, or the name of several, see :mod:`raster_paths`.
        width (int): Width in pixels; ``height`` likewise.
        georeference (Georeference): Georeference of the raster.
        dataset (rasterio.DatasetReader): The open file; of several, the one with the grid.
        parts (list[RasterFile]): The files that it consists of.
        band_names (list[str | None]): Names of the chosen bands, as far as the file has them.
    """

    def __init__(self, path: str, dataset: rasterio.DatasetReader, choose: ChooseBands,
                 max_pixels: int, colours: bool = True, identity: tuple | None = None):
        self.path, self.dataset, self.parts = path, dataset, [self]
        self.height, self.width = dataset.shape
        gcps, gcps_crs = dataset.gcps
        self.georeference = Georeference(gcps_crs if gcps else dataset.crs, dataset.transform,
                                         list(gcps))
        self._max_pixels = max_pixels
        palette = dataset.colorinterp[0] == ColorInterp.palette
        self._palette = colours and palette
        alpha = not palette and _once('alpha', identity, lambda: has_alpha(dataset))
        self._chosen = list(choose(3 if self._palette else dataset.count, alpha))
        flags = dataset.mask_flag_enums[0]
        # near infrared, which is often marked as alpha, hides nothing
        hides = (alpha and dataset.count - 1 not in self._chosen and _once(
            'mask', identity, lambda: is_mask(sample_last_band(dataset))))
        self._alpha = dataset.count if hides and MaskFlags.alpha not in flags else None
        self._masked = MaskFlags.per_dataset in flags and (hides or MaskFlags.alpha not in flags)
        self._nodata = tuple(None if self._palette else dataset.nodatavals[band]
                             for band in self._chosen)
        # grey levels of a PNG of 1, 2 or 4 bits
        bits = int(dataset.tags(1, ns='IMAGE_STRUCTURE').get('NBITS', 8))
        self._scale = 255 // (2**bits - 1) if colours and dataset.driver == 'PNG' else 1
        # rasterio's own type has no counterpart in NumPy
        self._dtype = np.result_type(*{dataset.dtypes[band].replace('complex_int16', 'complex64')
                                       for band in ([] if self._palette else self._chosen)}
                                     or {'uint8'})
        self.band_names = [None if self._palette else dataset.descriptions[band]
                           for band in self._chosen]

    @property
    def may_have_gaps(self) -> bool:
        """Whether the file can mark pixels as missing by other values than NaN."""
        return bool(self._masked or self._alpha or self.dataset.nodata is not None
                    or any(value is not None for value in self._nodata))

    def read(self, window: Window | None = None, size: tuple | None = None) -> Raster:
        """Chosen bands of the raster or of a part of it.

        Args:
            window (Window, optional): Defaults to None: the whole raster.
            size (tuple[int, int], optional): (rows, columns) of the result, by nearest
                neighbours. Defaults to None: every pixel.

        Returns:
            Raster: Pixels as stored. A pixel is not valid where it is nodata, not a number in
            every band, or masked.

        Raises:
            ImageError: The file is damaged there, or smaller, or the part is too large.
        """
        window = window or Window(0, 0, self.width, self.height)
        if (window.left + window.width > self.width or window.top + window.height > self.height
                or min(window[2:]) < 1):
            raise ImageError(f'{self.path} has {self.width} x {self.height} pixels and no '
                             f'window {tuple(window)} (left, top, width, height): was it '
                             'replaced by another one?')
        try:
            check_memory(self.dataset, len(self._chosen), *(size or window[:1:-1]),
                         self._max_pixels)
            return self._read(dict(window=rasterio.windows.Window(*window), out_shape=size,
                                   resampling=Resampling.nearest))
        except RasterioError as error:
            raise ImageError(f'{self.path} is damaged or cut off near row {window.top}, column '
                             f'{window.left} ({error.__cause__ or error}): repair or replace '
                             'it') from error
        except ValueError as error:
            raise ImageError(f'{self.path} {error}') from error

    def _read(self, how: dict) -> Raster:
        if self._palette:
            index = self.dataset.read(1, **how)
            pixels = palette_colours(self.dataset)[:, self._chosen][index]
            values, nodata = index[None], self.dataset.nodatavals[:1]
        else:
            window = how['window']
            shape = how['out_shape'] or (window.height, window.width)
            pixels = np.empty((*shape, len(self._chosen)), self._dtype)
            # GDAL writes into the array as it lies, which saves a copy
            values, nodata = pixels.transpose(2, 0, 1), self._nodata
            self.dataset.read([band + 1 for band in self._chosen], out=values, window=window,
                              resampling=how['resampling'])
            if self._scale > 1:
                # as the decoder of whole images
                pixels *= self._scale
        valid = []
        if values.dtype.kind == 'f' or any(value is not None for value in nodata):
            valid.append(np.any([*map(has_value, values, nodata)], axis=0))
        if self._masked:
            valid.append(self.dataset.dataset_mask(**how) > 0)
        if self._alpha:
            valid.append(self.dataset.read(self._alpha, **how) > 0)
        return Raster(pixels, self._nodata, np.logical_and.reduce(valid) if valid else None)


def has_value(band: np.ndarray, nodata: float | None) -> np.ndarray:
    """bool, the shape of ``band``: neither nodata nor not a number."""
    valid = np.ones(band.shape, bool) if nodata is None else band != nodata
    return valid & ~np.isnan(band) if band.dtype.kind == 'f' else valid


def _once(what: str, identity: tuple | None, compute: Callable[[], bool]) -> bool:
    """``compute()``, once for each file of this process."""
    if identity is None:
        return compute()
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    key = what, *identity
    if key not in _known:
        _known[key] = compute()
    return _known[key]


def check_blocks(file: RasterFile, most: int) -> None:
    """Raise BlockSizeError where a block, which a window decodes whole, has over ``most`` bytes."""
    for part in file.parts:
        size = block_bytes(part.dataset)
        if size <= most:
            continue
        height, width = block_shape(part.dataset)
        raise BlockSizeError(
            f'{part.path} is stored in blocks of {width} x {height} pixels, '
            f'{size / 2**20:,.0f} MiB each, which every window decodes: store it in tiles, '
            'gdal_translate -co TILED=YES -co COMPRESS=DEFLATE')


def require_same_grid(first: RasterFile, second: RasterFile) -> None:
    """Raise ImageError where two rasters do not cover the same pixels of the ground."""
    sizes = [f'{file.width} x {file.height}' for file in (first, second)]
    if sizes[0] != sizes[1]:
        raise ImageError(
            f'{second.path} has {sizes[1]} pixels, but {first.path}, which it belongs to, has '
            f'{sizes[0]}: bring the two onto one grid with gdalwarp -te ... -tr ...')
    size = first.height, first.width
    # NaN where the systems have nothing in common
    if not corner_distance(first.georeference, second.georeference, size, size) <= 0.5:
        raise ImageError(
            f'{second.path} is not at the location of {first.path} (coordinates or their '
            'system differ): bring the two onto one grid with gdalwarp -t_srs ... -te ... '
            '-tr ...')
