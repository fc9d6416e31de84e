"""A folder tree of images, of any size, without an annotation file."""
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex, generator, seed_globally, view_key

from .band_files import group_bands
from .file_limits import EmptyImageError, ImageError
from .folder_scan import IMAGE_EXTENSIONS, on_first_process, scan_folder
from .list_file import read_list
from .raster_paths import files_of, split_window, window_path
from .raster_windows import Grid, read_grids
from .transforms.loading import LoadRSImage

# If one image in ten is broken, all of these fail for one sample in 10^11; if all are broken,
# the error is still raised at once.
_REPLACEMENTS = 10
# Nearly all windows of a scene may be empty; each try reads one.
_REPLACEMENTS_OF_EMPTY = 1000
# Views count from 0, so these keys differ from those of all views.
_REPLACEMENT_VIEW, _OTHER_TRANSFORMS_VIEW, _WINDOW_VIEW = -1, -2, -3


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images or rasters under a folder, at any depth, in an order that is equal on all machines.

    Without a list file the first process scans the folder, with progress in the log, and
    sends the result to the others.

    The data info of an image has ``img_path``; ``gt_label`` with labels; ``split``
    ('gallery' or 'query') with labels or a chosen split, for the probes; ``sample_key``
    (seed, epoch, sample) where the sampler gives seed and epoch. ``sample`` counts in the
    outermost data set, so that no two images of a ``ConcatDataset`` and no two repetitions
    of a ``RepeatDataset`` share their views.

    A broken image ends the run, unless ``replace_broken`` replaces it by another one of
    this data set, which depends on seed, epoch and sample alone and keeps the sample's key. The
    data info then has ``broken``, that sample, for ``BrokenImagesHook`` to count. Samples
    without seed and epoch, those of a test, are never replaced.

    With ``window`` every raster is a grid of windows, which are samples of their own: their
    number follows from the headers alone. Each epoch moves a window by a draw from seed, epoch
    and sample, at most half the distance to its neighbours. A window with too few pixels with
    data is replaced as a broken image is, in every training; the data info then has ``empty``,
    its sample.

    ``metainfo['loading']`` holds the settings of the first ``LoadRSImage`` of the pipeline.
    mmengine writes it into checkpoints, for users of the weights.

    Args:
        data_root (str): The folder, or a file ``*.lmdb`` of tools/pack_dataset.py.
        data_prefix (str | dict): Sub-folder of ``data_root``. Defaults to ''.
        ann_file (str): Optional list file, relative to ``data_root``: one path per line,
            relative to ``data_prefix``, with labels followed by an integer. Its order is kept.
        with_label (bool): Whether images have labels, from folder names or from the
            list. Defaults to False.
        label_level (str): Folder that names the class: 'first', the one directly under the
            root, or 'parent', the one that contains the image. Defaults to 'first'.
        split (str, optional): 'gallery' keeps the images to which probes are fitted,
            'query' the held-out ones, None all. Defaults to None.
        query_every (int, optional): Every ``query_every``-th image of each class is a
            query. With None the whole folder or list is the part that ``split`` names.
            Defaults to 5.
        allow_outside (bool): Whether the list may name files outside the folder.
            Defaults to False.
        replace_broken (bool): Whether another image replaces a broken one in training.
            Defaults to False.
        extensions (Sequence[str]): Endings of images, in any case.
        window (int, optional): Side in pixels of the windows of larger rasters. Defaults to
            None: every image is one sample.
        min_valid (float): Least share of pixels with data in a window. Defaults to 0.5.
        band_files (Sequence[str], optional): Names of the bands of an image of which each is a
            file, as in the names of the files: ``('B04', 'B03', 'B02')``. ``LoadRSImage`` gets
            them in this order. Defaults to None: a file has all bands.
        band_pattern (str), grid_band (str, optional): As in :func:`group_bands`.
        sensor (str, optional): Name of the sensor, for the checkpoints.
        metainfo (dict, optional): ``classes`` fixes names and order of the classes.
        **kwargs: Passed to mmpretrain's ``CustomDataset``: ``pipeline``, ``indices``, ...

    Raises:
        MissingFileError: The folder, the list or an image of the list does not exist.
        CMIDError: There is no image, an image is not in a class folder, or an argument is
            invalid.
    """

    def __init__(self, data_root: str = '', data_prefix: str | dict = '', ann_file: str = '',
                 with_label: bool = False, label_level: str = 'first', split: str | None = None,
                 query_every: int | None = 5, allow_outside: bool = False,
                 replace_broken: bool = False, extensions: Sequence[str] = IMAGE_EXTENSIONS,
                 window: int | None = None, min_valid: float = 0.5,
                 band_files: Sequence[str] | None = None, band_pattern: str = '*{band}.*',
                 grid_band: str | None = None, sensor: str | None = None,
                 metainfo: dict | None = None,
                 **kwargs) -> None:
        for name, value, known in (('label_level', label_level, ('first', 'parent')),
                                   ('split', split, (None, 'gallery', 'query'))):
            if value not in known:
                raise CMIDError(f'{name} is one of {known}, not {value!r}')
        if query_every is not None and query_every < 2:
            raise CMIDError(f'query_every is {query_every}: only from 2 on is the gallery '
                            'not empty')
        self.label_level = label_level
        self.split = split
        self.query_every = query_every
        self.allow_outside = allow_outside
        self.replace_broken = replace_broken
        if not 0 <= min_valid <= 1:
            raise CMIDError(f'min_valid={min_valid}: give a share of the pixels, from 0 to 1')
        self.window, self.min_valid = window, min_valid
        self.band_files, self.band_pattern = band_files, band_pattern
        self.grid_band, self.sensor = grid_band, sensor
        super().__init__(data_root=os.path.expanduser(data_root), data_prefix=data_prefix,
                         ann_file=ann_file, with_label=with_label, extensions=extensions,
                         metainfo=metainfo, **kwargs)
        loader = next((step for step in self.pipeline.transforms
                       if isinstance(step, LoadRSImage)), None)
        if loader is not None:
            self._metainfo['loading'] = loader.settings()

    def load_data_list(self) -> list[dict]:
        """List the images, their labels and their part in the split."""
        if self.ann_file:
            files, labels = on_first_process(
                read_list, self.ann_file, self.img_prefix, self.extensions, self.with_label,
                self.allow_outside)
            if self.band_files is not None:
                files = [self._in_order(file) for file in files]
            if self.with_label:
                self._check_listed_classes(labels)
        else:
            files = on_first_process(self._scan)
            labels = self._labels_of_folders(files) if self.with_label else None
        # windows of one raster, in a list or packed, are in one part
        data_list, rasters = [], defaultdict(dict)
        for file, label in zip(files, labels or [None] * len(files)):
            raster = split_window(file)[0]
            if '#xywh=' in raster:
                raster = raster[:raster.rindex('#xywh=')]
            number = rasters[label].setdefault(raster, len(rasters[label]) + 1)
            info = dict(img_path=os.path.join(self.img_prefix, file))
            if label is not None:
                info['gt_label'] = label
            part = self.split
            if self.query_every is not None and (self.with_label or self.split is not None):
                # counted among the rasters of this class
                part = 'gallery' if number % self.query_every else 'query'
            if self.split not in (None, part):
                continue
            if part is not None:
                info['split'] = part
            data_list.append(info)
        if not data_list:
            raise CMIDError(f'the {self.split} part of {self.img_prefix} is empty: no class has '
                            f'{self.query_every} images; choose a smaller query_every')
        return data_list if self.window is None else self._windows_of(data_list)

    def _scan(self) -> list[str]:
        """Names of the images of the folder."""
        files = scan_folder(self.img_prefix, self.extensions)
        if not files:
            endings = ', '.join(sorted(self.extensions))
            raise CMIDError(f'{self.img_prefix} holds no image ({endings}); check '
                            'data_root and data_prefix, or name other extensions')
        if self.band_files is None:
            return files
        try:
            return group_bands(files, self.band_files, self.band_pattern, self.grid_band)
        except CMIDError as error:
            raise CMIDError(f'{self.img_prefix}: {error}') from None

    def _in_order(self, file: str) -> str:
        """Name of an image of a list, its bands in the order of ``band_files``."""
        path, window = split_window(file)
        try:
            path, = group_bands(files_of(path), self.band_files, self.band_pattern, self.grid_band)
        except CMIDError as error:
            raise CMIDError(f'{self.ann_file} names {file}: {error}; with band_files a list has '
                            'names of images, as tools/check_dataset.py --band-files writes them'
                            ) from None
        return path if window is None else window_path(path, window)

    def _windows_of(self, images: list[dict]) -> list[dict]:
        """Data infos of all windows of the images."""
        grids = on_first_process(read_grids, [info['img_path'] for info in images],
                                 self.window, self.min_valid)
        windows = []
        for info, grid in zip(images, grids):
            if grid is None:
                windows.append(info)
            else:
                windows += [dict(info, window=(*grid[:3], number)) for number in grid.numbers]
        if not windows:
            raise CMIDError(f'no window of {self.img_prefix} has data in {self.min_valid:.0%} of '
                            'its pixels: choose a smaller min_valid or window')
        return windows

    def get_data_info(self, idx: int) -> dict:
        """Data info of an image, or of a window at its middle position."""
        info = super().get_data_info(idx)
        if 'window' in info:
            info['img_path'] = _window_of(info)
        return info

    def prepare_data(self, idx: int, replaced: dict | None = None) -> Any:
        """Run the pipeline on one image, with the key of the sample if ``idx`` is a SampleIndex.

        ``replaced`` is 'broken' or 'empty' with the sample that the image replaces.
        """
        info = self.get_data_info(idx)
        info['sample_idx'] = int(info['sample_idx'])
        if isinstance(idx, SampleIndex):
            info['sample_key'] = (idx.seed, idx.epoch, self._sample(idx))
            if self.window is not None:
                info['min_valid'] = self.min_valid
            if 'window' in info:
                draw = generator(view_key(*info['sample_key'], _WINDOW_VIEW))
                info['img_path'] = _window_of(info, draw.random(2).tolist())
            # Transforms of other packages use the global generators, none of them on a
            # device.
            seed_globally(view_key(*info['sample_key'], _OTHER_TRANSFORMS_VIEW), devices=False)
        info.update(replaced or {})
        return self.pipeline(info)

    def __getitem__(self, idx: int) -> Any:
        """Result of the pipeline for an image, in training possibly for its replacement.

        An ImageError names an image that must not be replaced, or a broken one for which ten
        others cannot be used either.
        """
        try:
            data = self.prepare_data(idx)
        except ImageError as error:
            replaced = self.replace_broken or isinstance(error, EmptyImageError)
            if not (replaced and isinstance(idx, SampleIndex)):
                raise
            data = self._replacement(idx, error)
        if data is None:
            # mmengine's method uses a random image here.
            raise CMIDError(f'the pipeline returns nothing for '
                            f'{self.get_data_info(idx)["img_path"]}: one of its transforms '
                            'returns None')
        return data

    def _sample(self, idx: SampleIndex) -> int:
        """The requested sample; a negative index is resolved here."""
        return idx.sample if idx.sample >= 0 else int(idx) % len(self)

    def _replacement(self, idx: SampleIndex, reason: ImageError) -> Any:
        """Result of the pipeline for another image, under the key of this sample."""
        count = len(self)
        place, sample = int(idx) % count, self._sample(idx)
        empty = isinstance(reason, EmptyImageError)
        tries = _REPLACEMENTS_OF_EMPTY if empty else _REPLACEMENTS
        draw = generator(view_key(idx.seed, idx.epoch, sample, _REPLACEMENT_VIEW))
        # A uniform choice among all images except the broken one.
        steps = draw.integers(1, count, tries).tolist() if count > 1 else []
        for step in steps:
            other = SampleIndex((place + step) % count, idx.seed, idx.epoch, sample)
            try:
                return self.prepare_data(other, {'empty' if empty else 'broken': sample})
            except EmptyImageError:
                continue
            except ImageError:
                if not self.replace_broken:
                    raise
        fix = '; choose a smaller min_valid, or build overviews (gdaladdo)' if empty else ''
        raise ImageError(f'{reason} ({len(steps)} others, tried in its place, cannot be '
                         f'used either{fix})') from reason

    def _labels_of_folders(self, files: list[str]) -> list[int]:
        """Index of the class of each file; sets the classes unless they are given."""
        names = [file.split('/') for file in files]
        loose = next((parts[0] for parts in names if len(parts) == 1), None)
        if loose is not None:
            raise CMIDError(f'{loose} is directly in {self.img_prefix}, so no folder names its '
                            'class: move it into a class folder, or set with_label=False')
        names = [parts[0 if self.label_level == 'first' else -2] for parts in names]
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(sorted(set(names), key=os.fsencode))
        unknown = sorted(set(names) - set(self.class_to_idx))
        if unknown:
            raise CMIDError(f'{self.img_prefix} has folders that are not among the '
                            f'given classes: {", ".join(unknown)}')
        indices = self.class_to_idx
        return [indices[name] for name in names]

    def _check_listed_classes(self, labels: list[int]) -> None:
        """Check labels of a list; without names of classes, their numbers are their names."""
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(map(str, range(max(labels) + 1)))
        elif max(labels) >= len(self.CLASSES):
            raise CMIDError(f'{self.ann_file} has the label {max(labels)}, but only '
                            f'{len(self.CLASSES)} classes are given, counted from 0')


def _window_of(info: dict, shift: Sequence[float] | None = None) -> str:
    """Name of the window of a data info; ``shift`` as in :class:`Grid`."""
    *grid, number = info['window']
    return window_path(split_window(info['img_path'])[0], Grid(*grid).window(number, shift))
