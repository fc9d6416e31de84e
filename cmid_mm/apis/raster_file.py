"""Windows of a raster of any size, prepared as the model's training images."""
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform as change_coordinates
from rasterio.windows import Window

from ..datasets.file_limits import ImageError
from ..datasets.raster_reading import (
    Raster,
    bytes_per_value,
    check_name,
    check_pages,
    has_alpha,
    is_mask,
    palette_colours,
    sample_last_band,
)
from ..datasets.transforms.loading import LoadRSImage

# First bytes -> GDAL driver, for formats whose files contain their own pixels. Without a driver,
# GDAL would also open a VRT and follow it to any other file.
_DRIVERS = {b'II*\0': 'GTiff', b'MM\0*': 'GTiff', b'II+\0': 'GTiff', b'MM\0+': 'GTiff',
            b'\x89PNG': 'PNG', b'\xff\xd8\xff': 'JPEG', b'\0\0\0\x0cjP': 'JP2OpenJPEG'}
# One block is decoded as a whole, so it bounds the memory of a window.
_MOST_BLOCK_BYTES = 2**30
# GDAL would keep a twentieth of the machine's memory full of decoded blocks.
_CACHE_BYTES = 2**27


class Georeference(NamedTuple):
    """Georeference of a raster.

    Attributes:
        crs (rasterio.crs.CRS | None): System of ``transform``, or of ``gcps`` if there are any.
        transform (affine.Affine): From column and row to coordinates.
        gcps (list): Ground control points; empty where ``transform`` is used.
    """
    crs: object
    transform: object
    gcps: list

    @property
    def known(self) -> bool:
        """Whether the raster has any georeference."""
        return self.crs is not None or bool(self.gcps) or not self.transform.is_identity


class RasterFile:
    """An open raster, created by :func:`open_raster`.

    Attributes:
        path (str): The file.
        width (int): Width in pixels; ``height`` likewise.
        georeference (Georeference): Georeference of the raster.
    """

    def __init__(self, path: str, file: rasterio.DatasetReader, loading: LoadRSImage):
        self.path = path
        self.width, self.height = file.width, file.height
        gcps, gcps_crs = file.gcps
        self.georeference = Georeference(gcps_crs if gcps else file.crs, file.transform,
                                         list(gcps))
        self._file = file
        self._loading = loading
        self._palette = file.colorinterp[0] == ColorInterp.palette
        alpha = not self._palette and has_alpha(file)
        self._chosen = list(loading.choose_bands(3 if self._palette else file.count, alpha))
        flags = file.mask_flag_enums[0]
        # near infrared, which is often marked as alpha, hides nothing
        hides = (alpha and file.count - 1 not in self._chosen
                 and is_mask(sample_last_band(file)))
        self._alpha = file.count if hides and MaskFlags.alpha not in flags else None
        self._masked = MaskFlags.per_dataset in flags and (hides or MaskFlags.alpha not in flags)

    def read(self, window: Window, size: tuple | None = None) -> tuple:
        """Pixels of a part of the raster.

        Args:
            window (Window): Columns and rows, inside the raster.
            size (tuple[int, int], optional): (rows, columns) of the result, by nearest
                neighbours. Defaults to None: every pixel.

        Returns:
            tuple[ndarray, ndarray]: uint8 (H, W, bands) as ``LoadRSImage`` gives them, and
            bool (H, W), whether the pixel has data: false where it is nodata, not a number
            in every band, or masked.

        Raises:
            ImageError: The file is damaged there.
        """
        how = dict(window=window, out_shape=size, resampling=Resampling.nearest)
        try:
            raw, valid = self._read_bands(how)
            if self._masked:
                valid = valid & (self._file.dataset_mask(**how) > 0)
            if self._alpha:
                valid = valid & (self._file.read(self._alpha, **how) > 0)
        except RasterioError as error:
            raise ImageError(f'{self.path} is damaged or cut off near row '
                             f'{int(window.row_off)}, column {int(window.col_off)} '
                             f'({error.__cause__ or error}): repair or replace it') from error
        pixels = np.ascontiguousarray(raw.transpose(1, 2, 0))
        if pixels.dtype != np.uint8:
            pixels = self._loading.to_8_bits(self.path, Raster(pixels, self._nodata()))
        return pixels, valid

    def small(self, longest: int) -> tuple[np.ndarray, float]:
        """The whole raster for a picture.

        Args:
            longest (int): Largest length of its longer side; a smaller raster is not resized.

        Returns:
            tuple[ndarray, float]: uint8 (h, w, bands), and the number of raster pixels per
            picture pixel along one axis.
        """
        shrink = max(1, max(self.width, self.height) / longest)
        size = tuple(max(1, round(side / shrink)) for side in (self.height, self.width))
        return self.read(Window(0, 0, self.width, self.height), size)[0], shrink

    def _nodata(self) -> tuple:
        return tuple(None if self._palette else self._file.nodatavals[band]
                     for band in self._chosen)

    def _read_bands(self, how: dict) -> tuple[np.ndarray, np.ndarray]:
        """Chosen bands (bands, H, W), and bool (H, W), whether any of them has a value."""
        if self._palette:
            index = self._file.read(1, **how)
            colours = palette_colours(self._file)[:, self._chosen]
            return colours[index].transpose(2, 0, 1), has_value(index, self._file.nodatavals[0])
        raw = self._file.read([band + 1 for band in self._chosen], **how)
        return raw, np.any([*map(has_value, raw, self._nodata())], axis=0)


def has_value(band: np.ndarray, nodata: float | None) -> np.ndarray:
    """bool, the shape of ``band``: neither nodata nor not a number."""
    valid = np.ones(band.shape, bool) if nodata is None else band != nodata
    return valid & ~np.isnan(band) if band.dtype.kind == 'f' else valid


@contextmanager
def open_raster(path: str, loading: LoadRSImage) -> Iterator[RasterFile]:
    """Context manager: a GeoTIFF (BigTIFF, COG), JPEG 2000, PNG or JPEG file.

    Args:
        path (str): The file.
        loading (LoadRSImage): Bands, and the conversion of raw values to 0..255.

    Raises:
        ImageError: It cannot be read, lacks the required bands, or is not 8-bit and there is
            no ``value_range``.
    """
    with warnings.catch_warnings(), rasterio.Env(
            GDAL_DISABLE_READDIR_ON_OPEN='TRUE', GDAL_CACHEMAX=_CACHE_BYTES):
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        try:
            check_name(path)
        except ValueError as error:
            raise ImageError(f'{path} {error}') from error
        try:
            file = rasterio.open(path, driver=_driver(path))
        except (RasterioError, OSError) as error:
            raise ImageError(f'{path} cannot be read ({error}): repair or replace it') from error
        with file:
            try:
                _check_blocks(file)
                check_pages(file)
                raster = RasterFile(path, file, loading)
            except ValueError as error:
                raise ImageError(f'{path} {error}') from error
            # fails for the same reasons as any later window
            raster.read(Window(0, 0, 1, 1))
            yield raster


def _driver(path: str) -> str:
    with open(path, 'rb') as file:
        start = file.read(8)
    for magic, driver in _DRIVERS.items():
        if start.startswith(magic):
            return driver
    raise ImageError(f'{path} is no GeoTIFF, JPEG 2000, PNG or JPEG file: convert it with '
                     'gdal_translate')


def _check_blocks(file: rasterio.DatasetReader) -> None:
    height, width = file.block_shapes[0]
    size = height * width * file.count * bytes_per_value(file)
    if size > _MOST_BLOCK_BYTES:
        raise ValueError(
            f'is stored in blocks of {width} x {height} pixels, {size / 2**30:.1f} GiB each: '
            'store it in tiles, gdal_translate -co TILED=YES')


def change_system(points: np.ndarray, source, target) -> np.ndarray:
    """Coordinates (N, 2) in another system; NaN or infinite where it has none for them."""
    try:
        return np.stack(change_coordinates(source, target, *points.T), axis=1)
    except Exception:  # GDAL's own errors, whose classes rasterio does not export
        return np.full(points.shape, np.nan)


def require_same_grid(first: RasterFile, second: RasterFile) -> None:
    """Raise ImageError where two rasters do not cover the same pixels of the ground."""
    sizes = [f'{file.width} x {file.height}' for file in (first, second)]
    if sizes[0] != sizes[1]:
        raise ImageError(
            f'{second.path} has {sizes[1]} pixels, but {first.path}, of the other date, has '
            f'{sizes[0]}: bring the two onto one grid with gdalwarp -te ... -tr ...')
    ours, theirs = first.georeference, second.georeference
    if not (ours.known and theirs.known) or ours.gcps or theirs.gcps:
        return
    # corners of the second raster in pixels of the first
    corners = np.array([(0, 0, 1), (first.width, 0, 1), (0, first.height, 1)], float).T
    to_ground = [np.reshape(where.transform, (3, 3)) for where in (ours, theirs)]
    ground = to_ground[1] @ corners
    if ours.crs and theirs.crs and ours.crs != theirs.crs:
        # one system may be written in several ways
        ground[:2] = change_system(ground[:2].T, theirs.crs, ours.crs).T
    moved = np.linalg.solve(to_ground[0], ground)
    # NaN where the systems have nothing in common
    if not np.abs(moved - corners).max() <= 0.5:
        raise ImageError(
            f'{second.path} is not at the location of {first.path} (coordinates or their '
            'system differ): bring the two onto one grid with gdalwarp -t_srs ... -te ... '
            '-tr ...')
