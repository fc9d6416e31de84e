"""Opens rasters: one file, or one file per band."""
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from .file_limits import MAX_PIXELS, check_pixels, image_errors, open_file
from .packed_images import find_packed, read_bytes
from .raster_bands import BandFiles
from .raster_file import RasterFile
from .raster_paths import split_bands
from .raster_reading import (
    ChooseBands,
    all_bands,
    check_length,
    check_memory,
    check_name,
    check_pages,
)

# First bytes -> GDAL driver, for formats whose files contain their own pixels. Without a driver,
# GDAL would also open a VRT and follow it to any other file.
_DRIVERS = {rb'II[*+]\0|MM\0[*+]': 'GTiff', rb'\x89PNG': 'PNG', rb'\xff\xd8\xff': 'JPEG',
            rb'\0\0\0\x0cjP|\xff\x4f\xff\x51': 'JP2OpenJPEG'}
# GDAL would keep a twentieth of the machine's memory full of decoded blocks.
_CACHE_BYTES = 2**27


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
