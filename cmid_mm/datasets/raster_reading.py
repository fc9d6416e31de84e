"""Reading of TIFF files with GDAL: any bands and number type, pixels as stored."""
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Interleaving, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from .file_limits import BYTES_PER_PIXEL, FIX_PIXELS, check_pixels

# No sensor has more, and GDAL needs hours for a TIFF of some kilobytes with 65,535 bands.
_MAX_BANDS = 4096
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_SIDE_OF_SAMPLE = 256

ChooseBands = Callable[[int, bool], Sequence[int]]


class Raster(NamedTuple):
    """Pixels of a file."""
    # (H, W, bands), of the file's number type; colours of photographs in the order red, green,
    # blue, alpha.
    pixels: np.ndarray
    nodata: tuple  # of every band the value that marks missing pixels, or None


@contextmanager
def open_tiff(source: str | bytes, max_pixels: int) -> Iterator[rasterio.DatasetReader]:
    """Context manager: a TIFF of at most ``max_pixels``, from its path or its content.

    Raises:
        RasterioError: The file cannot be read.
        ValueError: It has no pixels, too many pixels or bands, or several pages.
    """
    # By default GDAL lists the file's whole folder to find sidecar files (.aux.xml, .msk, ...),
    # which takes seconds in a folder of a million images; now it tries their names. The given
    # driver refuses other formats with a TIFF's name; some of them, for example VRT, refer to
    # further files.
    with warnings.catch_warnings(), \
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='TRUE'), ExitStack() as stack:
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        if isinstance(source, str):
            check_name(source)
            file = stack.enter_context(rasterio.open(source, driver='GTiff'))
        else:
            memory = stack.enter_context(MemoryFile(bytes(source)))
            file = stack.enter_context(memory.open(driver='GTiff'))
        check_pixels(file.width, file.height, max_pixels)
        if file.count > _MAX_BANDS:
            raise ValueError(f'has {file.count} bands, more than {_MAX_BANDS}: save only the '
                             'bands that you need')
        check_pages(file)
        yield file


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


def read_tiff(source: str | bytes, choose: ChooseBands, max_pixels: int) -> Raster:
    """Read the chosen bands of a TIFF; arguments as of ``read_image``, errors as of open_tiff."""
    with open_tiff(source, max_pixels) as file:
        if file.colorinterp[0] == ColorInterp.palette:
            chosen = list(choose(3, False))
            check_memory(file, len(chosen), max_pixels)
            colours = palette_colours(file)[:, chosen]
            return Raster(colours[file.read(1)], (None, ) * len(chosen))
        check_memory(file, 1, max_pixels)
        chosen = list(choose(file.count, has_alpha(file)))
        check_memory(file, len(chosen), max_pixels)
        pixels = file.read([band + 1 for band in chosen])
        nodata = tuple(file.nodatavals[band] for band in chosen)
    return Raster(np.ascontiguousarray(pixels.transpose(1, 2, 0)), nodata)


def check_memory(file: rasterio.DatasetReader, bands: int, max_pixels: int) -> None:
    """Raise ValueError where some bands of a TIFF take more than 16 bytes per allowed pixel.

    Width and height do not bound the memory: a file may have thousands of bands, and a small
    image may be stored in one huge tile.
    """
    height, width = file.block_shapes[0]
    block = width * height
    if file.interleaving == Interleaving.pixel:
        block *= file.count
    size = max(block, file.width * file.height * bands) * bytes_per_value(file)
    if size > BYTES_PER_PIXEL * max_pixels:
        raise ValueError(
            f'unfolds to {size:,} bytes, more than {BYTES_PER_PIXEL} for each of '
            f'max_pixels={max_pixels}: {FIX_PIXELS}')


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
    """At most 256 x 256 evenly spaced pixels of the last band."""
    size = tuple(min(side, _SIDE_OF_SAMPLE) for side in file.shape)
    return file.read(file.count, out_shape=size, resampling=Resampling.nearest)


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
