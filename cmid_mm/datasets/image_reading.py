"""Decoding of an image file with any bands and number type, without conversion."""
import io
import struct
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

from .file_limits import MAX_PIXELS, file_format, image_errors, open_file, open_picture
from .packed_images import find_packed, read_bytes
from .raster_opening import open_raster
from .raster_paths import files_of, split_bands, split_window
from .raster_reading import ChooseBands, Raster, all_bands, every_band

_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
# OpenCV 4.10 lacks this flag; newer versions need no second pass over the pixels.
_JPEG_AS_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', None)
# Reduction of both sides -> flag; the flags of colour images differ only in the colour bit.
_REDUCTIONS = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
               2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 1: cv2.IMREAD_GRAYSCALE}
# Colour type of a PNG -> values per pixel.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_GREY_ALPHA = 4
# formats that GDAL reads
_RASTERS = ('TIFF', 'JPEG2000')
# Largest compression ratio of the deflate format.
_DEFLATE = 1032


def read_image(path: str,
               choose: ChooseBands = all_bands,
               max_pixels: int = MAX_PIXELS,
               shortest_side: int | None = None) -> Raster:
    """Read a JPEG, PNG, BMP, WebP, TIFF or JPEG 2000 file, recognised by content, not by name.

    Palettes are resolved to colours. The orientation tag of cameras is not applied.

    Args:
        path (str): The file; ``images.lmdb/field/1.jpg`` is one of a packed data set. The name
            of a window or of an image with one file per band, see :mod:`raster_paths`.
        choose (Callable): Takes the number of bands in the file and whether the last one is
            alpha, returns the indices of the bands to read; may raise ``ValueError``.
        max_pixels (int): Limit on width times height of the result, tested before decoding. A
            raster may also take at most 16 bytes of memory for each.
        shortest_side (int, optional): As in ``LoadRSImage``; each pixel of a reduced JPEG is
            about the mean of 2 x 2, 4 x 4 or 8 x 8 pixels. Defaults to None.

    Raises:
        ImageError: The file cannot be read, is damaged or no image, exceeds
            ``max_pixels``, or ``choose`` refuses its bands.
        ImportError: The library for packed data sets is missing.
    """
    file, window = split_window(path)
    data = None if window or len(files_of(file)) > 1 else _content(file, max_pixels)
    if data is None:
        with open_raster(file, choose, max_pixels, whole=window is None) as raster:
            return raster.read(window)
    with image_errors(path):
        return _decode(data, choose, max_pixels, shortest_side)


def _content(path: str, max_pixels: int) -> bytes | None:
    """Content of a file, None of one that GDAL reads."""
    with image_errors(path):
        if find_packed(path) is not None:
            data = read_bytes(path, max_pixels)
            return None if file_format(data) in _RASTERS else data
        with open_file(path, max_pixels) as file:
            data = file.read(32)
            # GDAL opens a file by its path and reads only the parts that it needs
            return None if file_format(data) in _RASTERS else data + file.read()


class Header(NamedTuple):
    """What the start of an image file states."""
    height: int  # in pixels, as they are stored
    width: int
    orientation: int  # EXIF tag of cameras: 1 as stored, 5 to 8 turned by a quarter


def read_header(path: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Size of an image or a window without decoding its pixels; errors as of ``read_image``."""
    file, window = split_window(path)
    if window is not None:
        return Header(window.height, window.width, 1)
    files, grid = split_bands(file)
    path = files[grid]
    with image_errors(path):
        packed = find_packed(path) is not None
        source = read_bytes(path, max_pixels) if packed else path
        with io.BytesIO(source) if packed else open_file(path, max_pixels) as file:
            name = file_format(file.read(32))
            if name in _RASTERS:
                with open_raster(path, every_band, max_pixels, whole=True) as raster:
                    return Header(raster.height, raster.width, 1)
            file.seek(0)
            with open_picture(file, name, max_pixels) as picture:
                # that of a PNG would decode the pixels to look behind them
                exif = Image.Image.getexif(picture)
                orientation = exif.get(ExifTags.Base.Orientation)
                turned = isinstance(orientation, int) and 1 < orientation <= 8
                return Header(picture.height, picture.width, orientation if turned else 1)


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
