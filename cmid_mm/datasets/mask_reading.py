"""Decoding of label images: one whole number per pixel, of any number type."""
from typing import NamedTuple

import numpy as np

from .file_limits import MAX_PIXELS, file_format, image_errors, open_file, open_picture
from .raster_file import RasterFile
from .raster_opening import open_raster
from .raster_paths import split_window
from .raster_reading import every_band

# stands for missing pixels where the file has NaN
_MISSING = -2**31
# Bits and colour type (grey) of a PNG -> factor by which Pillow multiplies the levels.
_SCALED = {b'\2\0': 85, b'\4\0': 17}


class LabelImage(NamedTuple):
    """Labels of a file."""
    labels: np.ndarray  # (H, W), of an integer type
    nodata: int | None  # value that marks missing pixels in a GeoTIFF
    lossy: bool  # compressed with loss: the values differ slightly from those that were saved


def read_labels(path: str, max_pixels: int = MAX_PIXELS, colours: bool = False) -> LabelImage:
    """Read a PNG, TIFF, BMP, WebP or JPEG of labels, recognised by content, not by name.

    The indices of a palette image are its labels; its colours are ignored. Three equal
    bands are read as one. Grey levels of 1, 2 or 4 bits are the numbers in the file, which
    other readers scale to 0..255.

    Args:
        path (str): The file, or the name of a window, see :mod:`raster_paths`.
        max_pixels (int): Limit on width times height, tested before decoding.
        colours (bool): Whether the labels are colours, as numbers 65536 R + 256 G + B.
            Defaults to False.

    Raises:
        ImageError: The file is unreadable, damaged, too large, coloured without ``colours``, or
            does not contain whole numbers.
    """
    path, window = split_window(path)
    with image_errors(path), open_file(path, None if window else max_pixels) as file:
        name = file_format(file.read(32))
        if name == 'TIFF':
            with open_raster(path, every_band, max_pixels, window is None, colours) as raster:
                return _of_raster(raster, window, colours)
        file.seek(0)
        start = file.read(32)
        with open_picture(file, name, max_pixels) as picture:
            if picture.mode == 'P' and colours:
                picture = picture.convert('RGB')
            pixels = np.moveaxis(np.atleast_3d(np.asarray(picture)), 2, 0)
        if window is not None:
            left, top, width, height = window
            pixels = pixels[:, top:top + height, left:left + width]
        if name == 'PNG' and start[24:26] in _SCALED:
            pixels = pixels // _SCALED[start[24:26]]
        # VP8L is the chunk of a WebP without loss, VP8X announces further chunks
        lossy = name == 'JPEG' or name == 'WEBP' and start[12:16] == b'VP8 '
        return LabelImage(_one_band(pixels, colours), None, lossy)


def _of_raster(raster: RasterFile, window, colours: bool) -> LabelImage:
    file = raster.dataset
    structure = file.tags(ns='IMAGE_STRUCTURE')
    lossy = (structure.get('COMPRESSION', '').endswith('JPEG')
             or structure.get('COMPRESSION_REVERSIBILITY', '').startswith('LOSSY'))
    labels, nodata = raster.read(window).pixels.transpose(2, 0, 1), file.nodata
    if nodata is not None and np.isnan(nodata):
        nodata = _MISSING
        labels = np.where(np.isnan(labels), nodata, labels)
    return LabelImage(_one_band(labels, colours), nodata, lossy)


def _one_band(bands: np.ndarray, colours: bool) -> np.ndarray:
    """Labels (H, W) of pixels (bands, H, W) whose colour bands are equal, or of colours."""
    labels = bands[0]
    # A band after one grey or three colours is alpha.
    shown = bands[:len(bands) - 1 + len(bands) % 2]
    if colours:
        red, green, blue = np.broadcast_to(shown, (3, *labels.shape)).astype(np.int64)
        return red << 16 | green << 8 | blue
    if any(not np.array_equal(labels, other) for other in shown[1:]):
        raise ValueError(f'is a picture of {len(bands)} bands, but a mask has one: save '
                         'the number of the class in every pixel, or give the colours of the '
                         'classes in values={...} of MaskFolder')
    if labels.dtype.kind == 'f' and not np.array_equal(labels, np.rint(labels)):
        raise ValueError(f'holds {labels.dtype} with fractions or NaN, but a mask holds '
                         'the number of the class: save whole numbers')
    return labels if labels.dtype.kind in 'iu' else labels.astype(np.int64)
