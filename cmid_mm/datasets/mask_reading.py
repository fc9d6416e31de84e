"""Decoding of label images: one whole number per pixel, of any number type."""
from typing import NamedTuple

import numpy as np

from .file_limits import MAX_PIXELS, file_format, open_file, open_picture
from .image_reading import image_errors
from .raster_reading import check_memory, open_tiff

# stands for missing pixels where the file has NaN
_MISSING = -2**31
# Bits and colour type (grey) of a PNG -> factor by which Pillow multiplies the levels.
_SCALED = {b'\2\0': 85, b'\4\0': 17}


class LabelImage(NamedTuple):
    """Labels of a file."""
    labels: np.ndarray  # (H, W), of an integer type
    nodata: int | None  # value that marks missing pixels in a GeoTIFF
    lossy: bool  # compressed with loss: the values differ slightly from those that were saved


def read_labels(path: str, max_pixels: int = MAX_PIXELS) -> LabelImage:
    """Read a PNG, TIFF, BMP, WebP or JPEG of labels, recognised by content, not by name.

    The indices of a palette image are its labels; its colours are ignored. Three equal
    bands are read as one. Grey levels of 1, 2 or 4 bits are the numbers in the file, which
    other readers scale to 0..255.

    Args:
        path (str): The file.
        max_pixels (int): Limit on width times height, tested before decoding.

    Raises:
        ImageError: The file is unreadable, damaged, too large, coloured, or does not
            contain whole numbers.
    """
    with image_errors(path), open_file(path, max_pixels) as file:
        name = file_format(file.read(32))
        if name == 'TIFF':
            with open_tiff(path, max_pixels) as tiff:
                check_memory(tiff, tiff.count, max_pixels)
                structure = tiff.tags(ns='IMAGE_STRUCTURE')
                lossy = (structure.get('COMPRESSION', '').endswith('JPEG')
                         or structure.get('COMPRESSION_REVERSIBILITY', '').startswith('LOSSY'))
                labels, nodata = tiff.read(), tiff.nodata
                if nodata is not None and np.isnan(nodata):
                    nodata = _MISSING
                    labels = np.where(np.isnan(labels), nodata, labels)
                return LabelImage(_one_band(labels), nodata, lossy)
        file.seek(0)
        start = file.read(32)
        with open_picture(file, name, max_pixels) as picture:
            pixels = np.moveaxis(np.atleast_3d(np.asarray(picture)), 2, 0)
        if name == 'PNG' and start[24:26] in _SCALED:
            pixels = pixels // _SCALED[start[24:26]]
        # VP8L is the chunk of a WebP without loss, VP8X announces further chunks
        lossy = name == 'JPEG' or name == 'WEBP' and start[12:16] == b'VP8 '
        return LabelImage(_one_band(pixels), None, lossy)


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
