"""Decodes a label image: one whole number a pixel, whatever the file's number type."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from rasterio.errors import RasterioError

from .file_limits import check_bytes, check_pixels, open_file, open_tiff
from .image_header import file_format
from .image_reading import MAX_PIXELS, ImageError

# Pillow knows dozens of formats, and some of them start other programs: EPS, for one.
_FORMATS = ('PNG', 'BMP', 'JPEG', 'WEBP')


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
    """Read a PNG, TIFF, BMP, WebP or JPEG of labels, told by its content and not its name.

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
        with open_file(path, max_pixels) as file:
            head = file.read(32)
            if not head:
                raise ValueError('is empty (0 bytes)')
            if file_format(head) == 'TIFF':
                bands, nodata, lossy = _read_tiff(path, max_pixels)
            else:
                file.seek(0)
                bands, nodata, lossy = _read_picture(file, max_pixels)
        labels = _one_band(bands)
    except (RasterioError, SyntaxError, EOFError) as error:
        raise ImageError(f'{path} is damaged, cut off or no image '
                         f'({" ".join(str(error).split())}): repair or remove it') from error
    except OSError as error:
        reason = error.strerror or f'it is damaged or cut off ({error})'
        raise ImageError(f'{path} cannot be read: {reason}') from error
    except ValueError as error:
        raise ImageError(f'{path} {error}') from error
    return LabelImage(labels, nodata, lossy)


def _read_tiff(path: str, max_pixels: int) -> tuple:
    with open_tiff(path, max_pixels) as file:
        check_bytes(file, file.count, max_pixels)
        lossy = str(file.compression).lower().endswith('jpeg')
        return file.read(), file.nodata, lossy


def _read_picture(file: BinaryIO, max_pixels: int) -> tuple:
    with _without_pillows_limit(), Image.open(file, formats=_FORMATS) as picture:
        check_pixels(picture.width, picture.height, max_pixels)
        pixels = np.asarray(picture)
        lossy = picture.format == 'JPEG'
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), None, lossy


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Opening a file tests Pillow's own limit, which is lower and of the whole process."""
    kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = kept


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
