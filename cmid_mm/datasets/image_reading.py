"""Decoding of an image file with any bands and number type, without conversion."""
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image
from rasterio.errors import RasterioError

from .file_limits import MAX_PIXELS, ImageError, file_format, open_file, open_picture
from .packed_images import find_packed, read_bytes
from .raster_reading import ChooseBands, Raster, open_tiff, read_tiff

_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
# OpenCV 4.10 lacks this flag; newer versions need no second pass over the pixels.
_JPEG_AS_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', None)
# Reduction of both sides -> flag; the flags of colour images differ only in the colour bit.
_REDUCTIONS = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
               2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 1: cv2.IMREAD_GRAYSCALE}
# Colour type of a PNG -> values per pixel.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_GREY_ALPHA = 4
# Largest compression ratio of the deflate format.
_DEFLATE = 1032


def all_bands(bands: int, alpha: bool) -> range:
    """Choose every band but alpha."""
    return range(bands - alpha)


def read_image(path: str,
               choose: ChooseBands = all_bands,
               max_pixels: int = MAX_PIXELS,
               shortest_side: int | None = None) -> Raster:
    """Read a JPEG, PNG, BMP, WebP or TIFF file, recognised by content and not by name.

    Palettes are resolved to colours. The orientation tag of cameras is not applied.

    Args:
        path (str): The file; ``images.lmdb/field/1.jpg`` is one of a packed data set.
        choose (Callable): Takes the number of bands in the file and whether the last one is
            alpha, returns the indices of the bands to read; may raise ``ValueError``.
        max_pixels (int): Limit on width times height, tested before decoding. A TIFF
            may also take at most 16 bytes of memory for each.
        shortest_side (int, optional): As in ``LoadRSImage``; each pixel of a reduced JPEG is
            about the mean of 2 x 2, 4 x 4 or 8 x 8 pixels. Defaults to None.

    Raises:
        ImageError: The file cannot be read, is damaged or no image, exceeds
            ``max_pixels``, or ``choose`` refuses its bands.
        ImportError: The library for packed data sets is missing.
    """
    with image_errors(path):
        if find_packed(path) is not None:
            data = source = read_bytes(path, max_pixels)
        else:
            # GDAL opens a TIFF file by its path and reads only the parts that it needs.
            source = path
            with open_file(path, max_pixels) as file:
                data = file.read(32)
                if file_format(data) != 'TIFF':
                    data += file.read()
        if file_format(data) == 'TIFF':
            return read_tiff(source, choose, max_pixels)
        return _decode(data, choose, max_pixels, shortest_side)


class Header(NamedTuple):
    """What the start of an image file states."""
    height: int  # in pixels, as they are stored
    width: int
    orientation: int  # EXIF tag of cameras: 1 as stored, 5 to 8 turned by a quarter


def read_header(path: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Size of an image without decoding its pixels.

    Raises:
        ImageError: As of :func:`read_image`.
    """
    with image_errors(path):
        packed = find_packed(path) is not None
        source = read_bytes(path, max_pixels) if packed else path
        with io.BytesIO(source) if packed else open_file(path, max_pixels) as file:
            name = file_format(file.read(32))
            if name == 'TIFF':
                with open_tiff(source, max_pixels) as tiff:
                    return Header(tiff.height, tiff.width, 1)
            file.seek(0)
            with open_picture(file, name, max_pixels) as picture:
                # that of a PNG would decode the pixels to look behind them
                exif = Image.Image.getexif(picture)
                orientation = exif.get(ExifTags.Base.Orientation)
                turned = isinstance(orientation, int) and 1 < orientation <= 8
                return Header(picture.height, picture.width, orientation if turned else 1)


@contextmanager
def image_errors(path: str) -> Iterator[None]:
    """Context manager that converts errors of reading a file to :class:`ImageError`."""
    try:
        yield
    except (RasterioError, cv2.error, SyntaxError, EOFError) as error:
        if 'CV_IO_MAX_IMAGE' in str(error):
            raise ImageError(
                f'{path} has more pixels than OpenCV decodes: set OPENCV_IO_MAX_IMAGE_PIXELS '
                'in the environment to as many, or cut it into tiles') from error
        reason = ' '.join(str(error.__cause__ or error).split())
        raise ImageError(f'{path} is damaged or cut off ({reason}): repair or remove '
                         'it') from error
    except OSError as error:
        reason = error.strerror or f'it is damaged or cut off ({error})'
        raise ImageError(f'{path} cannot be read: {reason}') from error
    except ValueError as error:
        raise ImageError(f'{path} {error}') from error


def _decode(data: bytes, choose: ChooseBands, max_pixels: int,
            shortest_side: int | None) -> Raster:
    """Decode the content of a file of a format other than TIFF."""
    name = file_format(data)
    with open_picture(io.BytesIO(data), name, max_pixels) as picture:
        size, grey = picture.size, picture.mode == 'L'
    if name == 'PNG':
        _check_png(data, *size)
    if name == 'JPEG':
        pixels = _decode_jpeg(data, min(size), grey, shortest_side)
    else:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError('is damaged or cut off: decoding fails; repair or remove it')
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif name == 'PNG' and data[25] == _PNG_GREY_ALPHA:
        pixels = pixels.take((0, -1), axis=2)
    elif name != 'JPEG':
        pixels = cv2.cvtColor(pixels, _TO_RGB[pixels.shape[2]])
    bands = pixels.shape[2]
    chosen = list(choose(bands, bands in (2, 4)))
    if chosen != list(range(bands)):
        pixels = pixels.take(chosen, axis=2)
    return Raster(pixels, (None, ) * len(chosen))


def _check_png(data: bytes, width: int, height: int) -> None:
    """Raise ValueError where the bytes cannot hold the pixels, or end within a chunk."""
    bits, colour = data[24], data[25]
    row = width * bits * _PNG_CHANNELS.get(colour, 0) // 8
    if len(data) < row * height // _DEFLATE:
        raise ValueError(f'is damaged or cut off: {len(data):,} bytes cannot hold '
                         f'{width} x {height} pixels; repair or remove it')
    position, kind = 8, b''
    while kind != b'IEND' and position + 8 <= len(data):
        # OpenCV may allocate a chunk's length before it reads the chunk.
        length, kind = struct.unpack_from('>I4s', data, position)
        position += 12 + length
    if position > len(data):
        raise ValueError('is damaged or cut off: it ends within a chunk; repair or remove it')


def _decode_jpeg(data: bytes, side: int, grey: bool,
                 shortest_side: int | None) -> np.ndarray | None:
    """Decode to uint8 (H, W) or (H, W, 3), RGB, perhaps at a reduced size; None on failure.

    Most of a decoder's work is proportional to the pixels that it produces; at a reduced
    size the shorter inverse cosine transform also averages. ``side`` is the shorter side of
    the image, and ``grey`` means one component.
    """
    # The decoder rounds up: a rest at the border gives one more pixel.
    reduction = 1 if shortest_side is None else next(
        (by for by in _REDUCTIONS if -(-side // by) >= shortest_side), 1)
    flags = _REDUCTIONS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    if not grey:
        flags |= _JPEG_AS_RGB or cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or grey or _JPEG_AS_RGB:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
