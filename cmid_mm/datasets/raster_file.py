"""Rasters that are read whole or in windows: one file, or one file per band."""
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from .file_limits import MAX_PIXELS, ImageError, check_pixels, image_errors, open_file
from .georeference import Georeference, corner_distance
from .packed_images import find_packed, read_bytes
from .raster_paths import Window, split_bands
from .raster_reading import (
    ChooseBands,
    Raster,
    all_bands,
    block_bytes,
    block_shape,
    check_length,
    check_memory,
    check_name,
    check_pages,
    has_alpha,
    is_mask,
    palette_colours,
    sample_last_band,
)

# First bytes -> GDAL driver, for formats whose files contain their own pixels. Without a driver,
# GDAL would also open a VRT and follow it to any other file.
_DRIVERS = {rb'II[*+]\0|MM\0[*+]': 'GTiff', rb'\x89PNG': 'PNG', rb'\xff\xd8\xff': 'JPEG',
            rb'\0\0\0\x0cjP|\xff\x4f\xff\x51': 'JP2OpenJPEG'}
# GDAL would keep a twentieth of the machine's memory full of decoded blocks.
_CACHE_BYTES = 2**27
# what is known of the alpha bands of files, by path, time and size
_known: dict[tuple, bool] = {}
_MOST_KNOWN = 2**16


class BlockSizeError(ImageError):
    """A raster is stored in blocks that are too large to be decoded for a window."""


class RasterFile:
    """An open raster, created by :func:`open_raster`.

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


@contextmanager
def open_raster(path: str, choose: ChooseBands = all_bands, max_pixels: int = MAX_PIXELS,
                whole: bool = False, colours: bool = True) -> Iterator[RasterFile]:
    """Context manager: a GeoTIFF (BigTIFF, COG), JPEG 2000, PNG or JPEG file.

    Args:
        path (str): The file, in a folder or packed, or the name of several, one per band.
        choose (Callable): Takes the number of bands and whether the last one is alpha, returns
            the indices of the bands to read; may raise ``ValueError``. Defaults to all bands but
            alpha.
        max_pixels (int): Limit on width times height of a window; its values and a block of the
            file may take at most 16 bytes of memory for each pixel. Defaults to 2**28.
        whole (bool): Whether the limit applies to the whole raster. Defaults to False.
        colours (bool): Whether the numbers of a palette become its colours. Defaults to True.

    Raises:
        ImageError: It cannot be read, or ``choose`` refuses its bands.
    """
    paths, grid = split_bands(path)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        # By default GDAL lists the file's whole folder to find sidecar files (.aux.xml, .msk,
        # ...), which takes seconds in a folder of a million images; now it tries their names.
        stack.enter_context(rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='TRUE',
                                         GDAL_CACHEMAX=_CACHE_BYTES,
                                         # threads drop the errors of JPEG 2000 tiles
                                         GDAL_NUM_THREADS='1',
                                         # of strips without compression only the window is read
                                         GTIFF_DIRECT_IO='YES'))
        if len(paths) == 1:
            yield _open(stack, path, choose, max_pixels, whole, colours)
            return
        with image_errors(path):
            chosen = list(choose(len(paths), False))
        files = {place: _open(stack, paths[place], _only_band, max_pixels, whole)
                 for place in sorted({*chosen, grid})}
        yield BandFiles(path, files, grid, chosen)


def _only_band(bands: int, alpha: bool) -> range:
    if bands != 1:
        raise ValueError(f'has {bands} bands, but it is one band of an image of several files')
    return range(1)


def _open(stack: ExitStack, path: str, choose: ChooseBands, max_pixels: int, whole: bool,
          colours: bool = True) -> RasterFile:
    """A file that is closed with ``stack``."""
    with image_errors(path):
        if find_packed(path) is not None:
            data = read_bytes(path, max_pixels)
            memory = stack.enter_context(MemoryFile(bytes(data)))
            dataset, identity = memory.open(driver=_driver(bytes(data[:8]))), None
        else:
            check_name(path)
            with open_file(path, max_pixels if whole else None) as file:
                driver, status = _driver(file.read(8)), os.fstat(file.fileno())
            dataset = rasterio.open(path, driver=driver)
            identity = path, status.st_mtime_ns, status.st_size
        stack.enter_context(dataset)
        if whole:
            check_pixels(*dataset.shape[::-1], max_pixels)
        check_memory(dataset, 1, 1, 1, max_pixels)
        if dataset.driver == 'GTiff':
            check_pages(dataset)
            if identity is not None:
                check_length(dataset, identity[-1])
        return RasterFile(path, dataset, choose, max_pixels, colours, identity)


def _driver(start: bytes) -> str:
    for magic, driver in _DRIVERS.items():
        if re.match(magic, start):
            return driver
    raise ValueError('is no GeoTIFF, JPEG 2000, PNG or JPEG file: convert it with '
                     'gdal_translate')


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
