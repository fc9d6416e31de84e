"""Looks at every image of a data set before a training does."""
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from .file_limits import open_file
from .folder_scan import IMAGE_EXTENSIONS, scan_folder
from .image_header import file_format
from .image_reading import MAX_PIXELS, ImageError, Raster, all_bands, read_image
from .image_statistics import common_bands
from .list_file import read_list
from .packed_images import find_packed
from .parallel_reading import read_in_parallel
from .transforms.loading import LoadRSImage, map_to_255

# That two of a million files share a digest by chance has a probability of 10^-27.
_DIGEST_BYTES = 16
_CHUNK = 2**20


class Kind(NamedTuple):
    """What an image is made of.

    Attributes:
        bands (int): Bands of the file, alpha included.
        alpha (bool): Whether the last one is alpha.
        dtype (str): Type of its numbers.
    """
    bands: int
    alpha: bool
    dtype: str


class Look(NamedTuple):
    """What one image says about itself.

    Attributes:
        kind (Kind): Bands and numbers.
        format (str): 'JPEG', 'PNG', ...
        height, width (int): In pixels.
        size (int): Of the file, in bytes.
        digest (bytes): Of the file's content, 16 bytes.
        constant (bool): Whether all valid pixels have one colour.
        empty (bool): Whether a band has no valid pixel: all are NaN or nodata.
    """
    kind: Kind
    format: str
    height: int
    width: int
    size: int
    digest: bytes
    constant: bool
    empty: bool


def list_files(root: str, list_file: str = '', allow_outside: bool = False) -> list[str]:
    """Images of a folder, or those that a list names, as ``ImageFolder`` finds them.

    Args:
        root (str): The folder.
        list_file (str): ``ann_file`` of ``ImageFolder``, which starts from ``root``.
        allow_outside (bool): As in ``ImageFolder``.

    Returns:
        list[str]: Paths relative to ``root``.

    Raises:
        FileNotFoundError: The folder, the list or an image of the list is missing.
        ValueError: There is no image, or a path of the list leaves the folder.
    """
    if list_file:
        path = os.path.join(root, list_file)
        return read_list(path, root, IMAGE_EXTENSIONS, False, allow_outside)[0]
    files = scan_folder(root)
    if not files:
        raise ValueError(f'{root} holds no image ({", ".join(sorted(IMAGE_EXTENSIONS))})')
    return files


def check_images(root: str,
                 files: Sequence[str],
                 bands: int | None = None,
                 band_indices: Sequence[int] | None = None,
                 value_range: Sequence | None = None,
                 size: int = 224,
                 max_pixels: int = MAX_PIXELS,
                 workers: int | None = None,
                 show_progress: bool = True) -> tuple[dict[str, Any], list[str]]:
    """Read every image and tell which of them a training can use, and what they are.

    Usable is what ``LoadRSImage`` takes. Where ``bands`` is open, that of most images is
    assumed; without ``value_range``, images that are not 8-bit are usable only where
    most are not: the training then needs a range anyway.

    Args:
        root (str): The folder.
        files (Sequence[str]): Images, relative to ``root``.
        bands (int, optional): As in ``LoadRSImage``. Defaults to None.
        band_indices (Sequence[int], optional): As in ``LoadRSImage``.
        value_range (Sequence, optional): As in ``LoadRSImage``.
        size (int): Images with a side below it are counted as small. Defaults to 224.
        max_pixels (int): As in ``LoadRSImage``.
        workers (int, optional): Processes that read; None takes one per core.
        show_progress (bool): Whether a progress bar goes to the standard error output.

    Returns:
        tuple[dict, list[str]]: A report, ready for JSON, and the usable images in their
        order. The report has

        - ``root``, and the counts ``images`` and ``usable``;
        - ``unusable`` ([path, reason], ...);
        - ``formats`` {name: images} and ``kinds`` ([bands, alpha, dtype, images], ...)
          of all that can be decoded;
        - ``bands`` and ``value_range_needed``, what a config must say;
        - ``width`` and ``height`` [min, median, max] in pixels of the usable images, None
          without any, and ``size``;
        - of the usable images those that are worth a look, as lists of paths: ``small``,
          ``constant`` (one colour), ``empty_bands`` (a band of NaN or nodata only) and
          ``unlistable`` (no list file can hold the path);
        - ``duplicates``, lists of equal files, and ``duplicate_bytes``, what all but the
          first of each take.

    Raises:
        ValueError: An argument has no meaning.
    """
    if band_indices is not None:
        bands = len(band_indices)
    loader = LoadRSImage(bands or 1, band_indices, value_range, max_pixels)
    choose = all_bands if bands is None else loader.choose_bands
    table = _Table(files)
    looks = _Looks(root, files, choose, loader.value_range, max_pixels)
    for look in read_in_parallel(looks, workers, show_progress):
        table.add(look)

    kinds, formats = table.count('kind'), table.count('format')
    if bands is None and kinds:
        bands = common_bands(table.column('kind', lambda kind: kind.bands - kind.alpha))
        table.refuse(lambda kind: _refusal(LoadRSImage(bands), kind))
    deep = sum(count for kind, count in kinds.items() if kind.dtype != 'uint8')
    needed = value_range is None and 2 * deep > sum(kinds.values())
    if value_range is None and not needed:
        table.refuse(lambda kind: kind.dtype != 'uint8' and (
            f'holds {kind.dtype} and not 8-bit numbers, as most do: set value_range=(low, '
            'high) in LoadRSImage, or move the file away'))

    rows, usable = table.usable(), table.names()
    duplicates, bytes_of_duplicates = table.duplicates()
    report = dict(
        root=str(root), images=len(files), usable=len(usable), unusable=table.unusable(),
        formats=formats, kinds=[[*kind, count] for kind, count in kinds.items()],
        bands=bands, value_range_needed=needed,
        width=_spread(rows['width']), height=_spread(rows['height']), size=size,
        small=table.names(np.minimum(rows['width'], rows['height']) < size),
        constant=table.names(rows['constant']), empty_bands=table.names(rows['empty']),
        duplicates=duplicates, duplicate_bytes=bytes_of_duplicates,
        unlistable=[file for file in usable if not listable(file)])
    return report, usable


def listable(file: str) -> bool:
    """Whether a list file can hold a path: a line of its own, without a blank at its ends."""
    return (file == file.strip() and not file.startswith('\ufeff')
            and '\n' not in file and '\r' not in file)


class _Looks(Dataset):
    """Item i is the ``Look`` at image i, or the reason why it cannot be used."""

    def __init__(self, root, files, choose, value_range, max_pixels) -> None:
        self.root = root
        self.files = files
        self.choose = choose
        self.value_range = value_range
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Look | str:
        path = os.path.join(self.root, self.files[index])
        found = []

        def choose(bands: int, alpha: bool) -> Sequence[int]:
            found[:] = bands, bool(alpha)
            return self.choose(bands, alpha)

        try:
            raster = read_image(path, choose, self.max_pixels)
            pixels = raster.pixels
            if pixels.dtype.kind == 'c':
                return 'holds complex numbers: save their magnitude'
            name, size, digest = _read_file(path, self.max_pixels)
        except ImageError as error:
            return str(error).removeprefix(path).strip()
        except (OSError, ValueError) as error:
            return f'cannot be read: {error}'
        return Look(Kind(*found, str(pixels.dtype)), name, *pixels.shape[:2], size, digest,
                    *_constant_and_empty(raster, self.value_range))


def _read_file(path: str, max_pixels: int) -> tuple[str, int, bytes]:
    """Format, size and digest of a file."""
    digest, size, name = blake2b(digest_size=_DIGEST_BYTES), 0, ''
    packed = find_packed(path)
    if packed is not None:
        entry = packed[0].entry(packed[1])
        digest.update(entry.data)
        name = file_format(entry.data) if entry.shape is None else 'packed pixels'
        return name, len(entry.data), digest.digest()
    with open_file(path, max_pixels) as file:
        while chunk := file.read(_CHUNK):
            name = name or file_format(chunk)
            digest.update(chunk)
            size += len(chunk)
    return name, size, digest.digest()


def _constant_and_empty(raster: Raster,
                        value_range: np.ndarray | None) -> tuple[bool, bool]:
    """Whether all bands are constant, and whether one has no valid pixel.

    Args:
        raster (Raster): The image.
        value_range (np.ndarray, optional): float32 (bands, 2), or (1, 2) for all bands.
    """
    pixels = raster.pixels
    if pixels.dtype == np.uint8 and not any(value is not None for value in raster.nodata):
        return bool((pixels == pixels[:1, :1]).all()), False
    constant, empty = [], False
    for band, nodata in enumerate(raster.nodata):
        values = pixels[..., band]
        valid = np.isfinite(values)
        if nodata is not None:
            valid &= values != nodata
        values = values[valid]
        if not values.size:
            empty = True
            continue
        ends = np.stack([values.min(), values.max()])[:, None]
        if value_range is not None and pixels.dtype != np.uint8:
            # what lies outside of the range is clipped, so little may be left of an image
            ends = map_to_255(ends, value_range[[band % len(value_range)]])
        constant.append(bool(ends[0] == ends[1]))
    return bool(constant) and all(constant), empty


class _Table:
    """What was found, some sixty bytes for each image."""

    _ROW = np.dtype([('usable', '?'), ('kind', 'i4'), ('format', 'i4'), ('height', 'i4'),
                     ('width', 'i4'), ('size', 'i8'), ('digest', f'V{_DIGEST_BYTES}'),
                     ('constant', '?'), ('empty', '?')])

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.rows = np.zeros(len(files), self._ROW)
        self.reasons = {}
        # kinds and formats are few; a row has their numbers
        self.values = dict(kind=[], format=[])
        self._next = 0

    def add(self, look: Look | str) -> None:
        """The look at the next image."""
        place, self._next = self._next, self._next + 1
        if isinstance(look, str):
            self.reasons[place] = look
            return
        for name, value in look._asdict().items():
            if name in self.values:
                known = self.values[name]
                if value not in known:
                    known.append(value)
                value = known.index(value)
            self.rows[name][place] = np.void(value) if name == 'digest' else value
        self.rows['usable'][place] = True

    def refuse(self, judge: Callable[[Kind], str | bool | None]) -> None:
        """Take images out for what ``judge`` says of their kind."""
        for number, kind in enumerate(self.values['kind']):
            reason = judge(kind)
            if reason:
                places = np.flatnonzero(self.rows['usable'] & (self.rows['kind'] == number))
                self.reasons.update(dict.fromkeys(places.tolist(), reason))
                self.rows['usable'][places] = False

    def usable(self) -> np.ndarray:
        """Rows of the usable images."""
        return self.rows[self.rows['usable']]

    def names(self, chosen: np.ndarray | None = None) -> list[str]:
        """Files of the usable images, or of those among them that a mask chooses."""
        places = np.flatnonzero(self.rows['usable'])
        return [self.files[i] for i in (places if chosen is None else places[chosen])]

    def unusable(self) -> list[list[str]]:
        return [[self.files[place], self.reasons[place]] for place in sorted(self.reasons)]

    def column(self, name: str, convert: Callable) -> Iterator:
        """Something about the kind or format of every usable image."""
        values = [convert(value) for value in self.values[name]]
        return (values[number] for number in self.usable()[name])

    def count(self, name: str) -> dict:
        """Usable images of every kind or format, most first."""
        return dict(Counter(self.column(name, lambda value: value)).most_common())

    def duplicates(self) -> tuple[list[list[str]], int]:
        """Groups of usable files of equal content, and bytes of all but one of each."""
        rows = self.usable()
        order = np.argsort(rows['digest'], kind='stable')
        digests = rows['digest'][order]
        starts = np.flatnonzero(np.append(True, digests[1:] != digests[:-1]))
        ends = np.append(starts[1:], len(order))
        several = ends - starts > 1
        groups = [order[start:end] for start, end in zip(starts[several], ends[several])]
        groups.sort(key=lambda group: group[0])
        names = self.names()
        wasted = sum(int(rows['size'][group[1:]].sum()) for group in groups)
        return [[names[i] for i in group] for group in groups], wasted


def _refusal(loader: LoadRSImage, kind: Kind) -> str | None:
    try:
        loader.choose_bands(kind.bands, kind.alpha)
    except ValueError as error:
        return str(error)
    return None


def _spread(values: np.ndarray) -> list[int] | None:
    return [int(values.min()), int(np.median(values)), int(values.max())] if len(values) else None
