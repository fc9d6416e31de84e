"""Packs the images of a folder into one file; packed_images.py says how it is read."""
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from torch.utils.data import Dataset

from cmid_mm.checkpoints.files import check_output, atomic_write

from .dataset_check import list_files
from .file_limits import open_file
from .image_reading import MAX_PIXELS, ImageError, Raster, read_image
from .packed_entry import DTYPES, LARGEST_ENTRY, seal
from .packed_images import (
    ABOUT,
    ENDING,
    LONGEST_PATH,
    PATHS,
    VERSION,
    find_packed,
    lmdb_library,
)
from .parallel_reading import read_in_parallel

# The database first gets so much room, and twice as much whenever that is full.
_ROOM = 2**30
_BYTES_BETWEEN_COMMITS = 2**25
_JPEG_BANDS = (1, 3)
# Types that OpenCV can average.
_AVERAGED = ('uint8', 'uint16', 'int16', 'float32', 'float64')


class Packed(NamedTuple):
    """One image, ready to be written.

    Attributes:
        how (str): 'original', 'JPEG' or 'pixels'.
        shrunk (bool | None): Whether it was; None where it should be and cannot.
        description (dict | None): What ``seal`` wants to know.
        data (bytes): The content.
        size (int): Bytes of the file in the folder.
    """
    how: str
    shrunk: bool | None
    description: dict | None
    data: bytes
    size: int


def pack_folder(root: str,
                out: str,
                shortest_side: int | None = None,
                quality: int = 95,
                raw: bool = False,
                max_pixels: int = MAX_PIXELS,
                workers: int | None = None,
                show_progress: bool = True) -> dict[str, Any]:
    """Write all images of a folder that can be read to one file.

    An image that is not shrunk keeps the bytes of its file, unless ``raw``. One that is
    shrunk becomes a JPEG where a JPEG can hold it: 8 bits, one or three bands, nothing
    marked as missing. Others keep their file and their size, or with ``raw`` are shrunk to
    pixels of their type. What cannot be averaged (values that mark missing pixels, types of
    32 and 64-bit integers) is never shrunk.

    Args:
        root (str): The folder.
        out (str): File to write, ``*.lmdb``. It appears complete or not at all.
        shortest_side (int, optional): Images whose shorter side has more pixels are shrunk
            to it by averaging areas, in their aspect. Defaults to None.
        quality (int): Of the JPEGs of shrunk images, 1 to 100. Defaults to 95.
        raw (bool): Whether pixels of the file's own type are written, which need no
            decoding but 5 to 20 times the room. Defaults to False.
        max_pixels (int): As in ``LoadRSImage``.
        workers (int, optional): Processes that read; None takes one per core.
        show_progress (bool): Whether a progress bar goes to the standard error output.

    Returns:
        dict: ``images`` in the folder; ``packed``; ``unusable`` ([path, reason], ...), left
        out; ``how`` {'original': images, 'JPEG': images, 'pixels': images}; ``shrunk`` and
        ``not_shrunk``, which should be and cannot; ``bytes`` of the packed images' files and
        ``packed_bytes`` of what was written.

    Raises:
        ImportError: The library is missing.
        FileNotFoundError: The folder does not exist.
        OSError: ``out`` cannot be written.
        ValueError: There is no usable image, or an argument has no meaning.
    """
    if not str(out).endswith(ENDING):
        raise ValueError(f'{out} does not end in {ENDING}, by which packed data sets are '
                         f'known: name it {out}{ENDING}')
    if shortest_side is not None and shortest_side < 1:
        raise ValueError(f'shortest_side={shortest_side}: give at least 1 pixel')
    if not 1 <= quality <= 100:
        raise ValueError(f'quality={quality}: JPEG knows 1 to 100')
    lmdb_library()
    check_output(out, root)
    if find_packed(os.path.abspath(root)) is not None:
        raise ValueError(f'{root} is packed already: give the folder that it was made of')
    files = list_files(root)
    items = _Items(root, files, shortest_side, quality, raw, max_pixels)
    report = dict(images=len(files), packed=0, unusable=[], how=Counter(), shrunk=0,
                  not_shrunk=0, bytes=0, packed_bytes=0)
    results = read_in_parallel(items, workers, show_progress)
    paths = []
    with atomic_write(out) as path, _database(path, out) as write:
        for file, item in zip(files, results, strict=True):
            if isinstance(item, str):
                report['unusable'].append([file, item])
                continue
            name = os.fsencode(file)
            write(b'/' + name, seal(len(paths), item.description, item.data))
            paths.append(name + b'\0')
            report['how'][item.how] += 1
            report['shrunk'] += item.shrunk is True
            report['not_shrunk'] += item.shrunk is None
            report['bytes'] += item.size
            report['packed_bytes'] += len(item.data)
        if not paths:
            file, reason = report['unusable'][0]
            raise ValueError(f'{root} holds no usable image; the first: {file} {reason}')
        about = dict(version=VERSION, images=len(paths), shortest_side=shortest_side,
                     quality=quality, raw=raw)
        write(ABOUT, seal(0, None, json.dumps(about).encode()))
        write(PATHS, seal(0, None, b''.join(paths)))
    return report | dict(packed=len(paths), how=dict(report['how']))


class _Items(Dataset):
    """Item i is image i, ``Packed``, or the reason why it cannot be."""

    def __init__(self, root: str, files: list[str], shortest_side: int | None, quality: int,
                 raw: bool, max_pixels: int) -> None:
        self.root = root
        self.files = files
        self.shortest_side = shortest_side
        self.quality = quality
        self.raw = raw
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Packed | str:
        file = self.files[index]
        path = os.path.join(self.root, file)
        if len(os.fsencode(file)) > LONGEST_PATH:
            return f'has a path of more than {LONGEST_PATH} bytes: shorten it'
        try:
            packed = self._pack(path)
        except ImageError as error:
            return str(error).removeprefix(path).strip()
        except (OSError, ValueError) as error:
            return f'cannot be read: {error}'
        if len(packed.data) > LARGEST_ENTRY:
            return f'takes {len(packed.data):,} bytes, too many for LMDB: cut it into tiles'
        return packed

    def _pack(self, path: str) -> Packed:
        alphas = []

        def every_band(bands: int, alpha: bool) -> range:
            alphas.append(bool(alpha))
            return range(bands)

        # Decoding is the proof that a training can use the image.
        raster = read_image(path, every_band, self.max_pixels)
        with open_file(path, self.max_pixels) as opened:
            original = opened.read()
        pixels, shrunk = raster.pixels, False
        if self.shortest_side is not None and min(pixels.shape[:2]) > self.shortest_side:
            pixels = shrink(raster, self.shortest_side)
            shrunk = None if pixels is None else True
            pixels = raster.pixels if pixels is None else pixels
        if self.raw and str(pixels.dtype) in DTYPES:
            nodata = [None if value is None else float(value) for value in raster.nodata]
            description = dict(shape=list(pixels.shape), dtype=str(pixels.dtype),
                               alpha=alphas[-1], nodata=nodata)
            data = pixels.astype(pixels.dtype.newbyteorder('<'), copy=False).tobytes()
            return Packed('pixels', shrunk, description, data, len(original))
        if shrunk and pixels.dtype == np.uint8 and pixels.shape[2] in _JPEG_BANDS:
            return Packed('JPEG', True, None, _jpeg(pixels, self.quality), len(original))
        return Packed('original', None if shrunk else shrunk, None, original, len(original))


def shrink(raster: Raster, side: int) -> np.ndarray | None:
    """Shrink an image by averaging areas.

    Args:
        raster (Raster): The image, (H, W, bands).
        side (int): Pixels of the shorter side of the result, less than that of the image.

    Returns:
        np.ndarray | None: Of the same type and aspect; None where an average has no meaning
        or OpenCV does not know the type.
    """
    pixels = raster.pixels
    if str(pixels.dtype) not in _AVERAGED or any(n is not None for n in raster.nodata):
        return None
    height, width, bands = pixels.shape
    scale = side / min(height, width)
    size = round(width * scale), round(height * scale)
    # band by band, for OpenCV takes a limited number of them
    planes = [cv2.resize(np.ascontiguousarray(pixels[..., band]), size,
                         interpolation=cv2.INTER_AREA) for band in range(bands)]
    return np.stack(planes, axis=2)


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    colours = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', colours, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


@contextmanager
def _database(path: Path, out: str) -> Iterator:
    """Context manager: ``write(key, value)``, keys of images in rising order."""
    lmdb = lmdb_library()
    try:
        # What is on the disk is asked for once, at the end, by who gives the file its name.
        database = lmdb.open(str(path), subdir=False, lock=False, sync=False, map_size=_ROOM)
    except lmdb.Error as error:
        raise OSError(f'{out} cannot be written ({error}): give another place') from error
    waiting, size = [], 0

    def commit() -> None:
        nonlocal size
        size = 0
        while True:
            try:
                with database.begin(write=True) as writer:
                    for key, value in waiting:
                        writer.put(key, value)
                return waiting.clear()
            except lmdb.MapFullError:
                database.set_mapsize(2 * database.info()['map_size'])

    def write(key: bytes, value: bytes) -> None:
        nonlocal size
        waiting.append((key, value))
        size += len(value)
        if size >= _BYTES_BETWEEN_COMMITS:
            commit()

    try:
        yield write
        commit()
        database.sync(True)
    except lmdb.Error as error:
        raise OSError(f'{out} cannot be written ({error}): make room, or give another '
                      'place') from error
    finally:
        database.close()
