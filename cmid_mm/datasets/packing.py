"""Packing of a folder's images into one file; packed_images.py describes and reads it."""
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from cmid_mm.checkpoints.files import atomic_write, check_output
from cmid_mm.utils.errors import CMIDError

from .file_limits import MAX_PIXELS, ImageError, open_file
from .folder_scan import list_images
from .image_reading import read_image
from .packed_images import ENDING, FORMAT, MAX_PATH_BYTES, encode, find_packed, import_lmdb
from .parallel_reading import FolderItems, read_in_parallel
from .raster_paths import files_of
from .raster_reading import Raster

# Address space that LMDB reserves; the file grows only as it is filled.
_MAP_SIZE = 2**40
_IMAGES_PER_COMMIT = 500
# Number types that OpenCV can average.
_AVERAGED = ('uint8', 'uint16', 'int16', 'float32', 'float64')


def pack_folder(root: str, out: str, shortest_side: int | None = None, quality: int = 95,
                raw: bool = False, max_pixels: int = MAX_PIXELS, workers: int | None = None,
                show_progress: bool = True, files: Sequence[str] | None = None,
                min_valid: float = 0.5) -> dict[str, Any]:
    """Write all readable images of a folder to one file.

    An image that is not shrunk keeps the bytes of its file, unless ``raw``. A shrunk image is
    written as a JPEG where that is possible (8 bits, one or three bands), with ``raw`` as an
    uncompressed BMP or TIFF file. Images that cannot be averaged (with alpha or with values that
    mark missing pixels, integers of 32 or 64 bits) are never shrunk. A window of a raster, and an
    image of several files, becomes a TIFF of its own, compressed without loss unless ``raw``.

    Args:
        root (str): The folder.
        out (str): File to write, ``*.lmdb``. It appears complete or not at all.
        shortest_side (int, optional): Images whose shorter side has more pixels are shrunk
            to it by averaging areas, keeping their aspect. Defaults to None.
        quality (int): Quality of the JPEGs of shrunk images, 1 to 100. Defaults to 95.
        raw (bool): Whether images are written uncompressed: they load faster, but take 5 to
            20 times the space. Images with alpha keep their file. Defaults to False.
        max_pixels: As in ``LoadRSImage``.
        workers, show_progress: As in :func:`read_in_parallel`.
        files (Sequence[str], optional): Names from :func:`list_samples`. Defaults to None: all
            images of the folder.
        min_valid (float): Windows with a smaller share of pixels with data are left out.
            Defaults to 0.5.

    Returns:
        dict: ``images`` in the folder; ``packed``; ``empty`` windows and ``unusable``
        ([path, reason], ...), left out; ``forms`` {'original': images, 'JPEG': images,
        'uncompressed': images, 'window': images};
        ``shrunk`` and ``not_shrunk``, which should be but cannot; ``bytes`` of the packed
        images' files and ``packed_bytes`` written.

    Raises:
        ImportError: The library is missing.
        CMIDError: The folder does not exist or holds no usable image, ``out`` cannot be
            written, or an argument is invalid.
    """
    if not str(out).endswith(ENDING):
        raise CMIDError(f'{out} does not end in {ENDING}, which marks packed data sets: name '
                        f'it {out}{ENDING}')
    if shortest_side is not None and shortest_side < 1:
        raise CMIDError(f'shortest_side={shortest_side}: give at least 1 pixel')
    if not 1 <= quality <= 100:
        raise CMIDError(f'quality={quality}: JPEG has qualities from 1 to 100')
    import_lmdb()
    check_output(out, root)
    if find_packed(os.path.abspath(root)) is not None:
        raise CMIDError(f'{root} is packed already: give the folder from which it was created')
    files = sorted(list_images(root) if files is None else files,
                   key=lambda file: os.fsencode(_packed_name(file)))
    packer = _Packer(root, files, shortest_side, quality, raw, max_pixels, min_valid)
    results = zip(files, read_in_parallel(packer, workers, show_progress))
    with atomic_write(out) as path:
        report = _write(path, out, results)
        if not report['forms']:
            file, reason = report['unusable'][0]
            raise CMIDError(f'{root} holds no usable image; the first: {file} {reason}')
    return dict(report, images=len(files))


def _packed_name(file: str) -> str:
    """Name of an image in the packed data set, where a window is a file of its own."""
    if files_of(file) == [file]:
        return file
    return file.replace('{', '(').replace('}', ')') + '.tif'


class _PackedImage(NamedTuple):
    form: str  # 'original', 'JPEG', 'uncompressed' or 'window'
    data: bytes  # an image file
    original_size: int  # bytes of the file in the folder
    shrunk: bool
    not_shrunk: bool  # it should be but cannot


def _write(path: Path, out: str, results) -> dict:
    """Fill a database with (file, ``_PackedImage`` or reason); return the report."""
    lmdb = import_lmdb()
    forms, totals, unusable = Counter(), Counter(), []
    try:
        # The caller flushes the whole file to the disk at the end.
        with lmdb.open(str(path), subdir=False, lock=False, sync=False,
                       map_size=_MAP_SIZE) as database:
            writer = database.begin(write=True)
            for file, item in results:
                if item is None:
                    totals['empty'] += 1
                    continue
                if isinstance(item, str):
                    unusable.append([file, item])
                    continue
                writer.put(*encode(_packed_name(file), totals['packed'], item.data), append=True)
                forms[item.form] += 1
                totals.update(packed=1, shrunk=item.shrunk, not_shrunk=item.not_shrunk,
                              bytes=item.original_size, packed_bytes=len(item.data))
                if totals['packed'] % _IMAGES_PER_COMMIT == 0:
                    writer.commit()
                    writer = database.begin(write=True)
            writer.put(FORMAT, b'', append=True)
            writer.commit()
            database.sync(True)
    except lmdb.Error as error:
        raise CMIDError(f'{out} cannot be written ({error}): free some space, or choose '
                        'another place') from error
    return dict(totals, unusable=unusable, forms=dict(forms))


@dataclass
class _Packer(FolderItems):
    """Item i is image i as a ``_PackedImage``, or the reason why it cannot be packed."""

    shortest_side: int | None
    quality: int
    raw: bool
    max_pixels: int
    min_valid: float

    def read_item(self, index: int, path: str) -> _PackedImage | None:
        if len(os.fsencode(_packed_name(self.files[index]))) > MAX_PATH_BYTES:
            raise ImageError(f'{path} has a path of more than {MAX_PATH_BYTES} bytes: shorten it')
        kinds = []
        if files_of(path) != [path]:
            # without alpha, which then marks missing pixels
            raster = _one_nodata(path, read_image(path, max_pixels=self.max_pixels))
            if raster.valid is not None and raster.valid.mean() < self.min_valid:
                return None
            data = encode_tiff(raster, None if self.raw else 'deflate')
            return _PackedImage('window', data, raster.pixels.nbytes, False, False)
        # Decoding verifies that a training can use the image.
        raster = read_image(path, lambda *kind: kinds.append(kind) or range(kind[0]),
                            self.max_pixels)
        with open_file(path, self.max_pixels) as file:
            original = file.read()
        pixels, (_, alpha), smaller = raster.pixels, kinds[0], None
        large = self.shortest_side is not None and min(pixels.shape[:2]) > self.shortest_side
        if large and not alpha:
            smaller = shrink(raster, self.shortest_side)
            pixels = pixels if smaller is None else smaller
        form, data = 'original', original
        if self.raw and not alpha and pixels.dtype.kind != 'c':
            form, data = 'uncompressed', encode_uncompressed(Raster(pixels, raster.nodata))
        elif smaller is not None and _is_photograph(pixels):
            form, data = 'JPEG', _encode(pixels, '.jpg', cv2.IMWRITE_JPEG_QUALITY, self.quality)
        shrunk = form != 'original' and smaller is not None
        return _PackedImage(form, data, len(original), shrunk, large and not shrunk)


def _one_nodata(path: str, raster: Raster) -> Raster:
    """The raster with one value that marks missing pixels in all bands, as a TIFF has it.

    Raises:
        ImageError: Values of some bands would become missing.
    """
    different = set(raster.nodata)
    if len(different) == 1:
        return raster
    marks = [value for value in raster.nodata if value is not None]
    pixels = raster.pixels.copy()
    for band, own in enumerate(raster.nodata):
        values = pixels[..., band]
        missing = np.zeros(values.shape, bool) if own is None else values == own
        if np.any(values[~missing] == marks[0]):
            raise ImageError(f'{path} has different nodata values in its bands '
                             f'({", ".join(map(str, raster.nodata))}), and {marks[0]:g} is data in '
                             'one of them: pack it with one nodata value for all bands')
        values[missing] = marks[0]
    return Raster(pixels, (marks[0], ) * len(raster.nodata), raster.valid)


def shrink(raster: Raster, side: int) -> np.ndarray | None:
    """Shrink an image (H, W, bands) by averaging areas.

    Args:
        raster (Raster): The image.
        side (int): Pixels of the shorter side of the result, less than that of the image.

    Returns:
        np.ndarray | None: Image of the same type and aspect; None where an average is meaningless
        or OpenCV cannot average the type.
    """
    pixels = raster.pixels
    if str(pixels.dtype) not in _AVERAGED or any(n is not None for n in raster.nodata):
        return None
    height, width, bands = pixels.shape
    scale = side / min(height, width)
    # Band by band, because OpenCV limits their number.
    planes = [cv2.resize(np.ascontiguousarray(pixels[..., band]), (
        round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        for band in range(bands)]
    return np.stack(planes, axis=2)


def encode_uncompressed(raster: Raster) -> bytes:
    """Bytes of a BMP file where possible, else an uncompressed TIFF, of an image without alpha."""
    pixels = raster.pixels
    if _is_photograph(pixels) and not any(n is not None for n in raster.nodata):
        return _encode(pixels, '.bmp')
    return encode_tiff(raster, None)


def encode_tiff(raster: Raster, compress: str | None) -> bytes:
    """Bytes of a TIFF file, with GDAL's name of a compression without loss, or None.

    Where nodata does not mark the missing pixels, a mask in the file does.
    """
    pixels, nodata = raster.pixels, raster.nodata
    height, width, bands = pixels.shape
    with (rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory,
          warnings.catch_warnings()):
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        # Set the meaning of the bands: by default GDAL would mark the fourth one as alpha.
        with memory.open(driver='GTiff', height=height, width=width, count=bands,
                         dtype=pixels.dtype, nodata=nodata[0], photometric='MINISBLACK',
                         interleave='pixel', BIGTIFF='IF_SAFER', compress=compress) as file:
            file.write(pixels.transpose(2, 0, 1))
            if raster.valid is not None and any(value is None for value in nodata):
                file.write_mask(raster.valid)
        return memory.read()


def _is_photograph(pixels: np.ndarray) -> bool:
    return pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3)


def _encode(pixels: np.ndarray, ending: str, *options: int) -> bytes:
    return cv2.imencode(ending, pixels[..., ::-1], options)[1].tobytes()
