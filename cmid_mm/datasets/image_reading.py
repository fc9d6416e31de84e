"""Decodes one image file as it is: any bands, any type of number, no conversion."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from .file_limits import check_bytes, check_file_size, check_pixels, open_file, open_tiff
from .image_header import Header, file_format, read_header
from .packed_entry import Entry
from .packed_images import PackedImages, find_packed

MAX_PIXELS = 2**28

_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
# OpenCV 4.10 cannot decode to RGB; the others need no second pass over the pixels.
_JPEG_AS_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', None)
# Reduction of both sides -> flag; those of colours differ in the bit of colours only.
_REDUCTIONS = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
               2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 1: cv2.IMREAD_GRAYSCALE}

ChooseBands = Callable[[int, bool], Sequence[int]]


class ImageError(ValueError):
    """An image file cannot be used; the message names the file and the cure."""


class Raster(NamedTuple):
    """Pixels of a file.

    Attributes:
        pixels (np.ndarray): (H, W, bands), of the file's own type; colours of
            photographs in the order red, green, blue, alpha.
        nodata (tuple[float | None]): Per band, the value that marks missing pixels.
    """
    pixels: np.ndarray
    nodata: tuple


def all_bands(bands: int, alpha: bool) -> Sequence[int]:
    """Choose every band but alpha."""
    return range(bands - alpha)


def read_image(path: str,
               choose: ChooseBands = all_bands,
               max_pixels: int = MAX_PIXELS,
               shortest_side: int | None = None) -> Raster:
    """Read a JPEG, PNG, BMP, WebP or TIFF file, told by its content and not its name.

    Palettes are resolved to colours. In a TIFF, a band that is marked as alpha but does
    not look like a mask is a band like all others. The orientation tag of cameras is not applied.

    Args:
        path (str): The file; ``images.lmdb/field/1.jpg`` is one of a packed data set.
        choose (Callable): From the number of bands in the file and whether the last one
            is alpha to the indices of the bands to give; may raise ``ValueError``.
        max_pixels (int): Limit on width times height, tested before decoding. A TIFF
            may besides take 16 bytes of memory for each.
        shortest_side (int, optional): A JPEG is decoded at 1/2, 1/4 or 1/8 of its width
            and height, the smallest of them at which its shorter side has at least so
            many pixels: each then holds about the mean of 2 x 2, 4 x 4 or 8 x 8. None,
            and other formats, decode every pixel. Defaults to None.

    Raises:
        ImageError: The file cannot be read, is no image or damaged, exceeds
            ``max_pixels``, or ``choose`` refuses its bands.
        ImportError: The library for packed data sets is missing.
    """
    packed = find_packed(path)
    try:
        if packed is not None:
            return _read_packed(*packed, choose, max_pixels, shortest_side)
        with open_file(path, max_pixels) as file:
            data = file.read(32)
            if not data:
                raise ValueError('is empty (0 bytes)')
            if file_format(data) == 'TIFF':
                return _read_tiff(path, choose, max_pixels)
            data += file.read()
        return _read_photograph(data, choose, max_pixels, shortest_side)
    except (RasterioError, cv2.error) as error:
        if 'CV_IO_MAX_IMAGE' in str(error):
            raise ImageError(
                f'{path} has more pixels than OpenCV decodes: set OPENCV_IO_MAX_IMAGE_PIXELS '
                'in the environment to as many, or cut it into tiles') from error
        reason = ' '.join(str(error.__cause__ or error).split())
        raise ImageError(f'{path} is damaged or cut off ({reason}): repair or remove '
                         'it') from error
    except OSError as error:
        raise ImageError(f'{path} cannot be read: {error.strerror}') from error
    except ValueError as error:
        raise ImageError(f'{path} {error}') from error


def _read_packed(packed: PackedImages, name: str, choose: ChooseBands, max_pixels: int,
                 shortest_side: int | None) -> Raster:
    entry = packed.entry(name)
    if entry.shape is not None:
        return _choose_pixels(entry, choose, max_pixels)
    check_file_size(len(entry.data), max_pixels)
    if file_format(entry.data) == 'TIFF':
        return _read_tiff(bytes(entry.data), choose, max_pixels)
    return _read_photograph(entry.data, choose, max_pixels, shortest_side)


def _choose_pixels(entry: Entry, choose: ChooseBands, max_pixels: int) -> Raster:
    height, width, bands = entry.shape
    check_pixels(width, height, max_pixels)
    chosen = list(choose(bands, entry.alpha))
    pixels = _take_bands(entry.pixels(), chosen)
    return Raster(pixels, tuple(entry.nodata[band] for band in chosen))


def _read_photograph(data: bytes, choose: ChooseBands, max_pixels: int,
                     shortest_side: int | None) -> Raster:
    header = read_header(data)
    check_pixels(header.width, header.height, max_pixels)
    if len(data) < header.least_bytes:
        raise ValueError(f'is damaged or cut off: {len(data):,} bytes cannot hold '
                         f'{header.width} x {header.height} pixels; repair or remove it')
    if file_format(data) == 'JPEG':
        pixels = _decode_jpeg(data, header, shortest_side)
    else:
        pixels = _decode(data, header)
    if pixels is None:
        raise ValueError('is damaged or cut off: decoding fails; repair or remove it')
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    bands = pixels.shape[2]
    chosen = list(choose(bands, bands in (2, 4)))
    return Raster(_take_bands(pixels, chosen), (None,) * len(chosen))


def _take_bands(pixels: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Bands of (H, W, bands); the very same array where all are taken in their order."""
    return pixels if chosen == list(range(pixels.shape[2])) else pixels.take(chosen, axis=2)


def _decode(data: bytes, header: Header) -> np.ndarray | None:
    """Every pixel: (H, W) or (H, W, bands) with colours in RGB; None where that fails."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim == 2:
        return pixels
    if header.grey_alpha:
        return pixels[..., [0, -1]]
    return cv2.cvtColor(pixels, _TO_RGB[pixels.shape[2]])


def _decode_jpeg(data: bytes, header: Header,
                 shortest_side: int | None) -> np.ndarray | None:
    """As :func:`_decode`, uint8, perhaps at a part of the size.

    Most of the work of a decoder grows with the pixels that it makes; the shorter inverse
    cosine transform of a reduced size even does without pixels to average.
    """
    reduction = 1
    if shortest_side is not None:
        side = min(header.width, header.height)
        # what remains at the border becomes a pixel of its own
        reduction = next((by for by in _REDUCTIONS if -(-side // by) >= shortest_side), 1)
    flags = _REDUCTIONS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    if not header.grey:
        flags |= _JPEG_AS_RGB or cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or header.grey or _JPEG_AS_RGB:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _read_tiff(source: str | bytes, choose: ChooseBands, max_pixels: int) -> Raster:
    with open_tiff(source, max_pixels) as file:
        if file.colorinterp[0] == ColorInterp.palette:
            return _read_palette(file, choose, max_pixels)
        check_bytes(file, 1, max_pixels)
        alpha = (file.count > 1 and file.colorinterp[-1] == ColorInterp.alpha
                 and is_mask(file.read(file.count)))
        chosen = list(choose(file.count, alpha))
        check_bytes(file, len(chosen), max_pixels)
        pixels = file.read([band + 1 for band in chosen])
        nodata = tuple(file.nodatavals[band] for band in chosen)
    return Raster(np.ascontiguousarray(pixels.transpose(1, 2, 0)), nodata)


def is_mask(band: np.ndarray) -> bool:
    """Whether a band marked as alpha is one: two levels, of which one is 0, or one level.

    GDAL marks the fourth band of every 8-bit TIFF so unless it is told otherwise, and
    that band is near infrared as often as alpha.
    """
    return bool(np.all((band == 0) | (band == band.max())))


def _read_palette(file: rasterio.DatasetReader, choose: ChooseBands,
                  max_pixels: int) -> Raster:
    chosen = list(choose(3, False))
    check_bytes(file, len(chosen), max_pixels)
    return Raster(palette_colours(file)[:, chosen][file.read(1)], (None,) * len(chosen))


def palette_colours(file: rasterio.DatasetReader) -> np.ndarray:
    """Colours of the entries of a palette: uint8 (entries that the type has, 3), RGB."""
    colours = np.zeros((np.iinfo(file.dtypes[0]).max + 1, 3), np.uint8)
    for entry, colour in file.colormap(1).items():
        colours[entry] = colour[:3]
    return colours
