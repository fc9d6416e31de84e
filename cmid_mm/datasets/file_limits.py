"""Opens image files that nobody vouches for: no pipes, no bombs, no foreign formats.

Every limit is tested before the memory that it protects is asked for, and grows with the
``max_pixels`` of the loading transform.
"""
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

# Of 16-bit RGBA a pixel has half of it, of four bands of 32 bits all of it.
_BYTES_PER_PIXEL = 16
# Cameras and programs write previews and colour profiles beside the pixels.
_BYTES_BESIDE_PIXELS = 2**26
# No sensor has more, and GDAL needs hours for the 65,535 bands of a TIFF of kilobytes.
_MOST_BANDS = 4096

_CURE = ('if you trust it, set a higher max_pixels in LoadRSImage (for a mask in LoadMask or '
         'LoadChangeMask), or cut it into tiles')


@contextmanager
def open_file(path: str, max_pixels: int) -> Iterator[BinaryIO]:
    """Context manager: a regular file, open for reading.

    Args:
        path (str): The file; links are followed.
        max_pixels (int): Limit on width times height. A file of more than 16 bytes for
            each, and 64 MiB, holds something else.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is a pipe or a device, whose reading may never end, or too large.
    """
    with open(path, 'rb', opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError('is a pipe or a device and no file: remove it')
        check_file_size(status.st_size, max_pixels)
        yield file


def check_file_size(size: int, max_pixels: int) -> None:
    """Raise ValueError for a file of more bytes than an image of ``max_pixels`` can have."""
    if size > _BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDE_PIXELS:
        raise ValueError(
            f'has {size:,} bytes, too many for max_pixels={max_pixels}: {_CURE}')


def _open_without_waiting(path: str, flags: int) -> int:
    # Without the flag, a pipe would hold up the process until someone writes to it.
    return os.open(path, flags | getattr(os, 'O_NONBLOCK', 0))


@contextmanager
def open_tiff(source: str | bytes, max_pixels: int) -> Iterator[rasterio.DatasetReader]:
    """Context manager: a TIFF of at most ``max_pixels``.

    Args:
        source (str | bytes): Its path, or its content.
        max_pixels (int): Limit on width times height.

    Raises:
        RasterioError: It cannot be read.
        ValueError: It has no pixels, or too many of them or of bands.
    """
    # Left to itself, GDAL lists the file's whole folder to look for companions, which
    # takes seconds beside a million images. Naming the driver keeps other formats,
    # some of which name further files, from being opened under a TIFF's name.
    with warnings.catch_warnings(), \
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR'), ExitStack() as stack:
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        if isinstance(source, str):
            file = stack.enter_context(rasterio.open(source, driver='GTiff'))
        else:
            memory = stack.enter_context(MemoryFile(source))
            file = stack.enter_context(memory.open(driver='GTiff'))
        check_pixels(file.width, file.height, max_pixels)
        if file.count > _MOST_BANDS:
            raise ValueError(f'has {file.count} bands, more than {_MOST_BANDS}: save '
                             'those that you need')
        yield file


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise ValueError for an image without pixels, or with more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise ValueError(f'has no pixels ({width} x {height})')
    if width * height > max_pixels:
        raise ValueError(f'has {width} x {height} pixels, more than max_pixels='
                         f'{max_pixels}: {_CURE}')


def check_bytes(file: rasterio.DatasetReader, bands: int, max_pixels: int) -> None:
    """Raise ValueError where reading some bands of a TIFF takes too much memory.

    Width and height do not tell it: there may be thousands of bands, and a small image
    may lie in one huge tile.

    Args:
        file (rasterio.DatasetReader): The open file.
        bands (int): Number of bands to read.
        max_pixels (int): 16 bytes are allowed for each.
    """
    height, width = file.block_shapes[0]
    block = width * height
    if file.interleaving == Interleaving.pixel:
        block *= file.count
    size = max(block, file.width * file.height * bands) * bytes_of_a_number(file)
    if size > _BYTES_PER_PIXEL * max_pixels:
        raise ValueError(
            f'unfolds to {size:,} bytes, more than {_BYTES_PER_PIXEL} for each of '
            f'max_pixels={max_pixels}: {_CURE}')


def bytes_of_a_number(file: rasterio.DatasetReader) -> int:
    """That a number of a TIFF takes in memory."""
    # rasterio names one type that NumPy does not have
    return np.dtype({'complex_int16': 'complex64'}.get(file.dtypes[0], file.dtypes[0])).itemsize
