"""Decoding of label images: one whole number per pixel, of any number type."""
from typing import BinaryIO, NamedTuple

import numpy as np
from rasterio.errors import RasterioError

from .file_limits import MAX_PIXELS, ImageError, file_format, open_file, open_picture
from .raster_reading import check_memory, open_tiff


class LabelImage(NamedTuple):
    """Labels of a file.

    Attributes:
        labels (np.ndarray): (H, W), of an integer type.
        nodata (int | None): Value that marks missing pixels in a GeoTIFF.
        lossy (bool): Whether the file is a JPEG, whose values differ slightly from those
            that were saved.
    """
    labels: np.ndarray
    nodata: int | None
    lossy: bool


def read_labels(path: str, max_pixels: int = MAX_PIXELS) -> LabelImage:
    """Read a PNG, TIFF, BMP, WebP or JPEG of labels, recognised by content, not by name.

    The indices of a palette image are its labels; its colours are ignored. Three equal
    bands are read as one.

    Args:
        path (str): The file.
        max_pixels (int): Limit on width times height, tested before decoding.

    Raises:
        ImageError: The file is unreadable, damaged, too large, coloured, or does not
            contain whole numbers.
    """
    try:
        with open_file(path, max_pixels) as file:
            name = file_format(file.read(32))
            if name == 'TIFF':
                bands, nodata, lossy = _read_tiff(path, max_pixels)
            else:
                file.seek(0)
                bands, nodata, lossy = _read_picture(file, name, max_pixels), None, name == 'JPEG'
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


def _read_tiff(path: str, max_pixels: int) -> tuple[np.ndarray, float | None, bool]:
    """Pixels (bands, H, W), nodata value, and whether the compression is JPEG."""
    with open_tiff(path, max_pixels) as file:
        check_memory(file, file.count, max_pixels)
        lossy = str(file.compression).lower().endswith('jpeg')
        return file.read(), file.nodata, lossy


def _read_picture(file: BinaryIO, name: str, max_pixels: int) -> np.ndarray:
    """Pixels (bands, H, W)."""
    with open_picture(file, name, max_pixels) as picture:
        pixels = np.asarray(picture)
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _one_band(bands: np.ndarray) -> np.ndarray:
    """Labels (H, W) of pixels (bands, H, W) whose colour bands are equal."""
    labels = bands[0]
    # A band after one grey or three colours is alpha.
    colours = bands[:len(bands) - 1 + len(bands) % 2]
    if any(not np.array_equal(labels, other) for other in colours[1:]):
        raise ValueError(f'is a picture of {len(bands)} bands, but a mask has one: save '
                         'the number of the class in every pixel')
    if labels.dtype.kind == 'f' and not np.array_equal(labels, np.rint(labels)):
        raise ValueError(f'holds {labels.dtype} with fractions or NaN, but a mask holds '
                         'the number of the class: save whole numbers')
    return labels if labels.dtype.kind in 'iu' else labels.astype(np.int64)
