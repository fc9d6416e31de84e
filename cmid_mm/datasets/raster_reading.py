"""What GDAL does not say about a raster, and limits on reading one."""
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Interleaving, Resampling
from rasterio.windows import Window

from .file_limits import BYTES_PER_PIXEL, FIX_PIXELS

# No sensor has more, and GDAL needs hours for a TIFF of some kilobytes with 65,535 bands.
_MAX_BANDS = 4096
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_SIDE_OF_SAMPLE = 256
# a sample of a larger raster without overviews consists of _PARTS x _PARTS parts
_SMALL = 2**22
_PARTS = 4
# rows of a TIFF that are looked at to find out whether it has several strips
_ROWS = 8

ChooseBands = Callable[[int, bool], Sequence[int]]


class Raster(NamedTuple):
    """Pixels of a file or of a window."""
    # (H, W, bands), of the file's number type; colours of photographs in the order red, green,
    # blue, alpha.
    pixels: np.ndarray
    nodata: tuple  # of every band the value that marks missing pixels, or None
    valid: np.ndarray | None = None  # bool (H, W), whether a pixel has data; None: all have


def all_bands(bands: int, alpha: bool) -> range:
    """Choose every band but alpha."""
    return range(bands - alpha)


def every_band(bands: int, alpha: bool) -> range:
    """Choose every band, alpha too."""
    return range(bands)


def check_name(path: str) -> None:
    """Raise ValueError for a name that GDAL cannot open."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise ValueError('has a name that is not UTF-8, which GDAL cannot open: rename '
                         'it') from error


def check_pages(file: rasterio.DatasetReader) -> None:
    """Raise ValueError where further pages of a TIFF have the size of the first one.

    GDAL would read the first alone. Previews of another size, overviews and masks are no pages.
    """
    sizes = [re.search(r'\((\d+)P x (\d+)L', value) for name, value in file.tags(
        ns='SUBDATASETS').items() if name.endswith('DESC')]
    pages = sum(size is not None and tuple(map(int, size.groups())) == (file.width, file.height)
                for size in sizes)
    if pages > 1:
        raise ValueError(
            f'has {pages} pages of {file.width} x {file.height} pixels, of which only the first '
            'would be read: save each as a file (tiffsplit), or all as the bands of one page')


def check_memory(file: rasterio.DatasetReader, bands: int, height: int, width: int,
                 max_pixels: int) -> None:
    """Raise ValueError where a part of a raster takes more than 16 bytes per allowed pixel.

    Width and height do not bound the memory: a file may have thousands of bands, and a small
    image may be stored in one huge tile.
    """
    if file.count > _MAX_BANDS:
        raise ValueError(f'has {file.count} bands, more than {_MAX_BANDS}: save only the '
                         'bands that you need')
    size = max(block_bytes(file), width * height * bands * bytes_per_value(file))
    if size > BYTES_PER_PIXEL * max_pixels:
        raise ValueError(
            f'unfolds to {size:,} bytes, more than {BYTES_PER_PIXEL} for each of '
            f'max_pixels={max_pixels}: {FIX_PIXELS}')


def block_bytes(file: rasterio.DatasetReader) -> int:
    """Bytes of the part of a raster that is decoded at once."""
    height, width = block_shape(file)
    together = file.count if file.interleaving == Interleaving.pixel else 1
    return height * width * together * bytes_per_value(file)


def block_shape(file: rasterio.DatasetReader) -> tuple[int, int]:
    """Height and width of the part of a raster that is decoded at once.

    GDAL shows a compressed TIFF of a single strip as one block per row, of which each decodes all
    rows before it.
    """
    height, width = file.block_shapes[0]

    def stored(row: int) -> bool:
        return file.get_tag_item(f'BLOCK_OFFSET_0_{row}', 'TIFF', bidx=1) is not None

    single = (file.driver == 'GTiff' and height == 1 < file.height and width == file.width
              and file.compression and stored(0) and not any(map(stored, range(1, _ROWS))))
    return (file.height if single else height), width


def check_length(file: rasterio.DatasetReader, size: int) -> None:
    """Raise ValueError where a TIFF without compression is shorter than its pixels.

    GDAL reads windows of such a file directly, and what is cut off as zeros.
    """
    if file.compression:
        return
    height, width = file.block_shapes[0]
    row, column = ((side - 1) // block for side, block in zip(file.shape, (height, width)))
    last = 1 if file.interleaving == Interleaving.pixel else file.count
    # the last block is the last of the file, unless it was never written; rows of one large
    # strip are shown as blocks, of which the first has the strip's length
    for x, y, band in ((column, row, last), (0, 0, 1)):
        offset, length = (file.get_tag_item(f'BLOCK_{what}_{x}_{y}', 'TIFF', bidx=band)
                          for what in ('OFFSET', 'SIZE'))
        if offset is not None and int(offset) + int(length or 0) > size:
            raise ValueError(f'is damaged or cut off: {size:,} bytes are fewer than those of its '
                             'pixels; repair or remove it')


def bytes_per_value(file: rasterio.DatasetReader) -> int:
    """Bytes of one pixel of one band in memory."""
    # NumPy lacks this type of rasterio.
    return np.dtype({'complex_int16': 'complex64'}.get(file.dtypes[0], file.dtypes[0])).itemsize


def has_alpha(file: rasterio.DatasetReader) -> bool:
    """Whether the last band of a TIFF is alpha.

    It is where the file marks it so. A fourth band behind red, green and blue that has no mark is
    alpha if it holds one level, or two of which one is 0; a few thousand pixels decide.
    """
    if file.count < 2 or file.colorinterp[-1] == ColorInterp.alpha:
        return file.count > 1
    if file.colorinterp[:3] != _COLOURS or file.colorinterp[3:] != (ColorInterp.undefined, ):
        return False
    band = sample_last_band(file)
    return bool(np.all((band == 0) | (band == band.max())))


def sample_last_band(file: rasterio.DatasetReader) -> np.ndarray:
    """At most 256 x 256 pixels of the last band, spread over the raster."""
    band, size = file.count, tuple(min(side, _SIDE_OF_SAMPLE) for side in file.shape)
    if file.width * file.height <= _SMALL or file.overviews(band):
        return file.read(band, out_shape=size, resampling=Resampling.nearest)
    # without overviews the whole raster would be decoded
    height, width = (side // _PARTS for side in size)
    tops, lefts = (np.linspace(0, whole - part, _PARTS).astype(int).tolist()
                   for whole, part in zip(file.shape, (height, width)))
    return np.block([[file.read(band, window=Window(left, top, width, height)) for left in lefts]
                     for top in tops])


def is_mask(band: np.ndarray) -> bool:
    """Whether the values of a band marked as alpha are those of a mask.

    GDAL marks the fourth band of every 8-bit TIFF as alpha unless the writer sets another
    meaning, although that band is often near infrared. Nine tenths of a mask are near nothing or
    everything, with soft borders and compression too.
    """
    full = np.iinfo(band.dtype).max if band.dtype.kind in 'iu' else max(band.max(), 1)
    near = full / 16
    opaque = band >= full - near
    return bool(opaque.any() and np.mean((band <= near) | opaque) >= 0.9
                or np.all((band == 0) | (band == band.max())))


def palette_colours(file: rasterio.DatasetReader) -> np.ndarray:
    """Colours of a palette: uint8 (number of values of the type, 3), RGB."""
    colours = np.zeros((np.iinfo(file.dtypes[0]).max + 1, 3), np.uint8)
    for entry, colour in file.colormap(1).items():
        colours[entry] = colour[:3]
    return colours
