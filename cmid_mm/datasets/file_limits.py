"""Limits on untrusted image files: regular files of known formats and bounded size.

Every limit is tested before the memory that it protects is allocated. The messages do
not contain the file's name; the callers prepend it and raise :class:`ImageError`.
"""
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import cv2
from PIL import Image
from rasterio.errors import RasterioError

from cmid_mm.utils.errors import CMIDError

# Limit on width times height; 16384 x 16384.
MAX_PIXELS = 2**28
# 16-bit RGBA needs 8 bytes per pixel, four bands of 32 bits need 16.
BYTES_PER_PIXEL = 16
# Files contain previews and colour profiles besides the pixels.
_BYTES_BESIDE_PIXELS = 2**26

FIX_PIXELS = ('if you trust it, set a higher max_pixels in LoadRSImage (for a mask in LoadMask '
              'or LoadChangeMask), cut it into tiles, or set window in the data set, '
              'which reads a part of a raster')
_SIGNATURES = dict(JPEG=rb'\xff\xd8', PNG=rb'\x89PNG\r\n\x1a\n', BMP=rb'BM',
                   WEBP=rb'RIFF....WEBP', TIFF=rb'II[*+]\0|MM\0[*+]',
                   JPEG2000=rb'\0\0\0\x0cjP|\xff\x4f\xff\x51')


class ImageError(CMIDError):
    """An image file cannot be used; the message names the file and the fix."""


class EmptyImageError(ImageError):
    """Too few pixels of an image have data."""


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


@contextmanager
def open_file(path: str, max_pixels: int | None) -> Iterator[BinaryIO]:
    """Context manager: a regular file, open for reading; links are followed.

    With ``max_pixels`` None it may have any size.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is a pipe or a device, whose reading may never end, or too large.
    """
    with open(path, 'rb', opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError('is a pipe or a device and no file: remove it')
        if max_pixels is not None:
            check_file_size(status.st_size, max_pixels)
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    # Without the flag, opening a pipe would block until another process writes to it.
    return os.open(path, flags | getattr(os, 'O_NONBLOCK', 0))


def check_file_size(size: int, max_pixels: int) -> None:
    """Raise ValueError for a file of more than 16 bytes per pixel plus 64 MiB."""
    if size > BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDE_PIXELS:
        raise ValueError(
            f'has {size:,} bytes, too many for max_pixels={max_pixels}: {FIX_PIXELS}')


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise ValueError for an image without pixels, or with more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise ValueError(f'has no pixels ({width} x {height})')
    if width * height > max_pixels:
        raise ValueError(f'has {width} x {height} pixels, more than max_pixels='
                         f'{max_pixels}: {FIX_PIXELS}')


def file_format(data: bytes) -> str:
    """Name of the format: 'JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF' (BigTIFF included) or
    'JPEG2000'.

    ``data`` is the file or at least its first twelve bytes.

    Raises:
        ValueError: The file is empty or of another format.
    """
    if not data:
        raise ValueError('is empty (0 bytes)')
    for name, start in _SIGNATURES.items():
        if re.match(start, data, re.DOTALL):
            return name
    raise ValueError('is not a JPEG, PNG, TIFF, BMP, WebP or JPEG 2000 image')


@contextmanager
def open_picture(file: BinaryIO, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """Context manager: a JPEG, PNG, BMP or WebP file whose pixels are not decoded yet.

    ``name`` is its format, see :func:`file_format`. Pillow reads dozens of formats, and some of
    them, for example EPS, start other programs.

    Raises:
        ValueError: The header is damaged, or there are no or too many pixels.
    """
    # Pillow's own limit is lower, and applies to the whole process.
    kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        picture = Image.open(file, formats=(name, ))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError('is damaged or cut off (its header cannot be read): repair or remove '
                         'it') from error
    finally:
        Image.MAX_IMAGE_PIXELS = kept
    with picture:
        check_pixels(picture.width, picture.height, max_pixels)
        yield picture
