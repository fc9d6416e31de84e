"""Decodes a label image: one whole number a pixel, whatever the file's number type."""
import warnings
from typing import NamedTuple

import numpy as np
import rasterio
from PIL import Image, UnidentifiedImageError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from .image_header import is_tiff
from .image_reading import MAX_PIXELS, ImageError


class LabelImage(NamedTuple):
    """Labels of a file.

    Attributes:
        labels (np.ndarray): (H, W), of an integer type.
        nodata (int | None): Value that marks missing pixels in a GeoTIFF.
        lossy (bool): Whether the file is a JPEG, whose values are only nearly those that
            were saved.
    """
    labels: np.ndarray
    nodata: int | None
    lossy: bool


def read_labels(path: str, max_pixels: int = MAX_PIXELS) -> LabelImage:
    """Read a PNG, TIFF, BMP or JPEG of labels, told by its content and not its name.

    The numbers of a palette image are its labels; its colours are not looked at. Three
    equal bands count as one.

    Args:
        path (str): The file.
        max_pixels (int): Limit on width times height, tested before decoding.

    Raises:
        ImageError: The file is unreadable, damaged, too large, coloured, or does not
            hold whole numbers.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(32)
        if not head:
            raise ValueError('is empty (0 bytes)')
        bands, nodata, lossy = (_read_tiff if is_tiff(head) else _read_picture)(
            path, max_pixels)
        labels = _one_band(bands)
    except (RasterioError, UnidentifiedImageError, SyntaxError, EOFError) as error:
        raise ImageError(f'{path} is damaged, cut off or no image '
                         f'({" ".join(str(error).split())}): repair or remove it') from error
    except Image.DecompressionBombError as error:
        raise ImageError(f'{path} has too many pixels: cut it into tiles') from error
    except OSError as error:
        reason = error.strerror or f'it is damaged or cut off ({error})'
        raise ImageError(f'{path} cannot be read: {reason}') from error
    except ValueError as error:
        raise ImageError(f'{path} {error}') from error
    return LabelImage(labels, nodata, lossy)


def _read_tiff(path: str, max_pixels: int) -> tuple:
    with warnings.catch_warnings(), \
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR'):
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, driver='GTiff') as file:
            _check_size(file.width, file.height, max_pixels)
            lossy = str(file.compression).lower().endswith('jpeg')
            return file.read(), file.nodata, lossy


def _read_picture(path: str, max_pixels: int) -> tuple:
    # the check of size is our own, on the limit that is set here
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            _check_size(picture.width, picture.height, max_pixels)
            pixels = np.asarray(picture)
            lossy = picture.format == 'JPEG'
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), None, lossy


def _one_band(bands: np.ndarray) -> np.ndarray:
    labels = bands[0]
    # what follows three colours, or the one grey, is alpha
    colours = bands[:len(bands) - 1 + len(bands) % 2]
    if any(not np.array_equal(labels, other) for other in colours[1:]):
        raise ValueError(f'is a picture of {len(bands)} bands, but a mask has one: save '
                         'the number of the class in every pixel')
    if labels.dtype.kind == 'f' and not np.array_equal(labels, np.rint(labels)):
        raise ValueError(f'holds {labels.dtype} with fractions or NaN, but a mask holds '
                         'the number of the class: save whole numbers')
    return labels if labels.dtype.kind in 'iu' else labels.astype(np.int64)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ValueError(f'has {width} x {height} pixels, more than max_pixels='
                         f'{max_pixels}: cut it into tiles')
