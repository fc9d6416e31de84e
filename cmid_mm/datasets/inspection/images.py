"""Report and band statistics of a folder or list of images, each read once."""
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from cmid_mm.utils.errors import CMIDError

from ..file_limits import MAX_PIXELS, ImageError, file_format
from ..folder_scan import list_images
from ..image_reading import read_image
from ..list_file import is_listable
from ..packed_images import read_bytes
from ..parallel_reading import FolderItems, read_in_parallel, spread_places
from ..raster_paths import files_of, split_window
from ..raster_reading import ChooseBands, Raster, every_band, is_mask
from ..transforms.loading import LoadRSImage, map_to_255
from .band_statistics import BandSample, sample_bands, summarise

# least share of pixels with data in an image of the statistics
_MIN_VALID = 0.5


class Kind(NamedTuple):
    """Bands of a file (alpha included), whether the last one is alpha, and the number type."""
    bands: int
    alpha: bool
    dtype: str


class ImageRecord(NamedTuple):
    """Properties of an inspected image."""
    kind: Kind
    format: str  # 'JPEG', 'PNG', ..., 'window' or 'one file per band'
    height: int
    width: int
    size: int  # bytes of the file; 0 for a window or several files
    # Two of a million files share a digest by chance with a probability of 10^-27.
    digest: bytes
    constant: bool  # all valid pixels have one colour
    empty: bool  # a band has no valid pixel: all are NaN or nodata


def inspect_images(root: str, files: Sequence[str] | None = None, bands: int | None = None,
                   band_indices: Sequence[int] | None = None,
                   value_range: Sequence | None = None, min_side: int = 224,
                   max_pixels: int = MAX_PIXELS, max_images: int | None = None,
                   max_measured: int = 2000, workers: int | None = None,
                   show_progress: bool = True) -> tuple[dict[str, Any], list[str]]:
    """Report the images that a training can use, their kinds, and statistics of their bands.

    An image is usable if ``LoadRSImage`` accepts it. Where ``bands`` is None, that of most
    images is assumed; without ``value_range``, images that are not 8-bit are usable only
    where most are not 8-bit: the training then needs a range anyway.

    Args:
        root (str): The folder.
        files (Sequence[str], optional): Images, relative to ``root``; None takes all. Windows
            of rasters are named by :func:`list_samples`.
        bands, band_indices, value_range, max_pixels: As in ``LoadRSImage``, but ``bands`` is
            by default None.
        min_side (int): Images with a shorter side are counted as small. Defaults to 224.
        max_images (int, optional): Largest number of ``files`` to read, evenly spaced.
            Defaults to None, all.
        max_measured (int): Largest number of these, evenly spaced, for the statistics of the
            bands. Defaults to 2000.
        workers, show_progress: As in :func:`read_in_parallel`.

    Returns:
        tuple[dict, list[str]]: A report, ready for JSON, and the usable images in their
        order. The report has

        - ``root``, and the numbers of images: ``found``, ``images`` (read) and ``usable``;
        - ``unusable`` ([path, reason], ...);
        - ``formats`` {name: images} and ``kinds`` ([bands, alpha, dtype, images], ...)
          of all that can be decoded;
        - ``bands`` and ``value_range_needed``, for the config;
        - ``width`` and ``height`` [min, median, max] in pixels of the usable images, None
          without any, and ``min_side``;
        - of the usable images those that deserve attention, as lists of paths: ``small``,
          ``constant`` (one colour), ``empty_bands`` (a band of NaN or nodata only) and
          ``unlistable`` (no list file can hold the path);
        - ``duplicates``, lists of equal files, and ``duplicate_bytes``, the size of all but
          the first of each;
        - ``measured``, the number of usable images without empty bands in the statistics,
          and ``statistics``: ``bands`` and the result of :func:`summarise`, None where
          ``measured`` is 0.

    Raises:
        MissingFileError: The folder does not exist.
        CMIDError: There is no image, or an argument is invalid.
    """
    if band_indices is not None:
        bands = len(band_indices)
    loader = LoadRSImage(bands or 1, band_indices, value_range, max_pixels)
    found = list_images(root) if files is None else files
    files = [found[place] for place in spread_places(len(found), max_images or len(found))]
    items = _Items(root, files, every_band if bands is None else loader.choose_bands,
                   loader.value_range, max_pixels, set(spread_places(len(files), max_measured)))
    records, reasons, samples = {}, {}, {}
    for place, item in enumerate(read_in_parallel(items, workers, show_progress)):
        if isinstance(item, str):
            reasons[place] = item
        else:
            records[place], samples[place] = item
    kinds = Counter(record.kind for record in records.values())
    formats = Counter(record.format for record in records.values())

    def refuse(judge: Callable[[Kind], str | None]) -> None:
        """Move the images of the kinds for which ``judge`` returns a reason to ``reasons``."""
        refused = {kind: judge(kind) for kind in kinds}
        for place in [place for place, record in records.items() if refused[record.kind]]:
            reasons[place] = refused[records.pop(place).kind]

    if bands is None and kinds:
        bands = common_bands(kind.bands - kind.alpha for kind in kinds.elements())
        refuse(lambda kind: _refusal(LoadRSImage(bands), kind))
    deep = sum(count for kind, count in kinds.items() if kind.dtype != 'uint8')
    value_range_needed = value_range is None and 2 * deep > kinds.total()
    if value_range is None and not value_range_needed:
        refuse(lambda kind: None if kind.dtype == 'uint8' else (
            f'holds {kind.dtype} and not 8-bit numbers, as most do: set value_range=(low, '
            'high) in LoadRSImage, or move the file away'))

    def names(chosen: Callable[[ImageRecord], bool] = lambda record: True) -> list[str]:
        return [files[place] for place, record in records.items() if chosen(record)]

    # The sample of an image whose alpha is loaded as a band lacks this band.
    samples = [samples[place] for place in records if samples[place] is not None
               and len(samples[place].min) in ((1, 3) if bands == 3 else (bands, ))]
    equal = defaultdict(list)
    for place, record in records.items():
        equal[record.digest].append(place)
    equal = [places for places in equal.values() if len(places) > 1]
    report = dict(
        root=str(root), found=len(found), images=len(files), usable=len(records),
        unusable=[[files[place], reasons[place]] for place in sorted(reasons)],
        formats=dict(formats.most_common()),
        kinds=[[*kind, count] for kind, count in kinds.most_common()],
        bands=bands, value_range_needed=value_range_needed,
        width=_spread([record.width for record in records.values()]),
        height=_spread([record.height for record in records.values()]), min_side=min_side,
        small=names(lambda record: min(record.width, record.height) < min_side),
        constant=names(lambda record: record.constant),
        empty_bands=names(lambda record: record.empty),
        duplicates=[[files[place] for place in places] for places in equal],
        duplicate_bytes=sum(records[place].size for places in equal for place in places[1:]),
        unlistable=[file for file in names() if not is_listable(file)],
        measured=len(samples),
        statistics=dict(bands=bands, **summarise(samples, bands, value_range))
        if samples else None)
    return report, names()


def inspect_dataset_images(dataset: BaseDataset, min_side: int = 224,
                           max_pixels: int = MAX_PIXELS, workers: int | None = None,
                           show_progress: bool = True) -> dict[str, Any]:
    """Report of :func:`inspect_images` on the images of a data set, of all dates.

    Bands and range are those of the ``LoadRSImage`` in its pipeline; other loaders read any.
    """
    infos = [dataset.get_data_info(place) for place in range(len(dataset))]
    paths = [info[key] for key in ('img_path', 'img_path2') for info in infos if key in info]
    files = dict.fromkeys(path for entry in paths
                          for path in (entry if isinstance(entry, (list, tuple)) else [entry]))
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    settings = next((step.settings() for step in steps if isinstance(step, LoadRSImage)), {})
    report, _ = inspect_images(
        getattr(dataset, 'data_root', None) or '', [os.path.abspath(file) for file in files],
        **settings, min_side=min_side, max_pixels=max_pixels, workers=workers,
        show_progress=show_progress)
    return report


def folder_statistics(root: str, **options) -> dict[str, Any]:
    """Report of :func:`inspect_images`; a folder without a usable image is a CMIDError."""
    report, _ = inspect_images(root, **options)
    if report['statistics'] is None:
        reasons = [f'{file} {reason}' for file, reason in report['unusable']]
        reasons += [f'{file} has a band without any valid pixel' for file in
                    report['empty_bands']]
        raise CMIDError(f'{root} holds no usable image; the first: {reasons[0]}')
    return report


def common_bands(bands: Iterable[int]) -> int:
    """Most frequent number of bands (without alpha); three where there are grey and RGB images."""
    counts = Counter(bands)
    # Grey images among RGB images are loaded as RGB.
    return 3 if set(counts) == {1, 3} else counts.most_common(1)[0][0]


@dataclass
class _Items(FolderItems):
    """Item i is the record of image i and its sample, or the reason why it cannot be used."""

    choose: ChooseBands
    value_range: np.ndarray | None
    max_pixels: int
    measured: set[int]

    def read_item(self, index: int, path: str) -> tuple[ImageRecord, BandSample | None]:
        kinds = []
        raster = read_image(path, lambda *kind: kinds.append(kind) or self.choose(*kind),
                            self.max_pixels)
        bands, alpha = kinds[0]
        if files_of(path) == [path]:
            data = read_bytes(path, self.max_pixels)
            name, size = file_format(data), len(data)
        else:
            # a part of a file, or several
            data, name, size = raster.pixels.tobytes(), 'window', 0
            if split_window(path)[1] is None:
                name = 'one file per band'
        if alpha and self.choose is every_band:
            # a band of a TIFF may be marked as alpha without being it
            photograph = name in ('PNG', 'WEBP', 'BMP')
            alpha = photograph or is_mask(raster.pixels[..., -1])
            # that of a photograph hides nothing in a training either
            valid = raster.pixels[..., -1] > 0 if alpha and not photograph else raster.valid
            raster = Raster(raster.pixels[..., :bands - alpha], raster.nodata[:bands - alpha],
                            valid)
        pixels = raster.pixels
        if pixels.dtype.kind == 'c':
            raise ImageError(f'{path} holds complex numbers: save their magnitude')
        constant, empty = _constant_and_empty(raster, self.value_range)
        record = ImageRecord(Kind(bands, alpha, str(pixels.dtype)), name, *pixels.shape[:2], size,
                             blake2b(data, digest_size=16).digest(), constant, empty)
        # as the windows of a training
        full = raster.valid is None or raster.valid.mean() >= _MIN_VALID
        measure = index in self.measured and not empty and full
        return record, sample_bands(raster) if measure else None


def _constant_and_empty(raster: Raster,
                        value_range: np.ndarray | None) -> tuple[bool, bool]:
    """Whether all bands are constant, and whether one has no valid pixel.

    ``value_range`` is float32 (bands, 2), or (1, 2) for all bands.
    """
    constant, empty = [], False
    for band, nodata in enumerate(raster.nodata):
        values = raster.pixels[..., band]
        if nodata is not None:
            values = values[values != nodata]
        if values.dtype.kind == 'f':
            values = values[np.isfinite(values)]
        if not values.size:
            empty = True
            continue
        ends = np.stack([values.min(), values.max()])[:, None]
        if value_range is not None and values.dtype != np.uint8:
            # Values outside the range are clipped, so an image may have one colour only.
            ends = map_to_255(ends, value_range[[band % len(value_range)]])
        constant.append(bool(ends[0] == ends[1]))
    return bool(constant) and all(constant), empty


def _refusal(loader: LoadRSImage, kind: Kind) -> str | None:
    """Reason why the loader refuses a kind of images."""
    try:
        loader.choose_bands(kind.bands, kind.alpha)
    except ValueError as error:
        return str(error)


def _spread(values: list[int]) -> list[int] | None:
    """[min, median, max]; None for no values."""
    return [min(values), int(np.median(values)), max(values)] if values else None
