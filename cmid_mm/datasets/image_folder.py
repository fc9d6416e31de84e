"""A folder tree of images, of any size, without an annotation file."""
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex, generator, seed_globally, view_key

from .file_limits import ImageError
from .folder_scan import IMAGE_EXTENSIONS, on_first_process, scan_folder
from .list_file import read_list
from .transforms.loading import LoadRSImage

# If one image in ten is broken, all of these fail for one sample in 10^11; if all are broken,
# the error is still raised at once.
_REPLACEMENTS = 10
# Views count from 0, so these keys differ from those of all views.
_REPLACEMENT_VIEW, _OTHER_TRANSFORMS_VIEW = -1, -2


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images under a folder, at any depth, in an order that is the same on every machine.

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
                 metainfo: dict | None = None, **kwargs) -> None:
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
            if self.with_label:
                self._check_listed_classes(labels)
        else:
            files = on_first_process(scan_folder, self.img_prefix, self.extensions)
            if not files:
                endings = ', '.join(sorted(self.extensions))
                raise CMIDError(f'{self.img_prefix} holds no image ({endings}); check '
                                'data_root and data_prefix, or name other extensions')
            labels = self._labels_of_folders(files) if self.with_label else None
        data_list, counts = [], Counter()
        for file, label in zip(files, labels or [None] * len(files)):
            info = dict(img_path=os.path.join(self.img_prefix, file))
            if label is not None:
                info['gt_label'] = label
            counts[label] += 1
            part = self.split
            if self.query_every is not None and (self.with_label or self.split is not None):
                # The count is that of the images of this class so far.
                part = 'gallery' if counts[label] % self.query_every else 'query'
            if self.split not in (None, part):
                continue
            if part is not None:
                info['split'] = part
            data_list.append(info)
        if not data_list:
            raise CMIDError(f'the {self.split} part of {self.img_prefix} is empty: no class has '
                            f'{self.query_every} images; choose a smaller query_every')
        return data_list

    def prepare_data(self, idx: int, broken: int | None = None) -> Any:
        """Run the pipeline on one image, with the key of the sample if ``idx`` is a SampleIndex.

        ``broken`` is the sample that the image replaces.
        """
        info = self.get_data_info(idx)
        info['sample_idx'] = int(info['sample_idx'])
        if isinstance(idx, SampleIndex):
            info['sample_key'] = (idx.seed, idx.epoch, self._sample(idx))
            # Transforms of other packages use the global generators, none of them on a
            # device.
            seed_globally(view_key(*info['sample_key'], _OTHER_TRANSFORMS_VIEW), devices=False)
        if broken is not None:
            info['broken'] = broken
        return self.pipeline(info)

    def __getitem__(self, idx: int) -> Any:
        """Result of the pipeline for an image, in training possibly for its replacement.

        An ImageError names an image that must not be replaced, or a broken one for which ten
        others cannot be used either.
        """
        try:
            data = self.prepare_data(idx)
        except ImageError as error:
            if not (self.replace_broken and isinstance(idx, SampleIndex)):
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
        draw = generator(view_key(idx.seed, idx.epoch, sample, _REPLACEMENT_VIEW))
        # A uniform choice among all images except the broken one.
        steps = draw.integers(1, count, _REPLACEMENTS).tolist() if count > 1 else []
        for step in steps:
            other = SampleIndex((place + step) % count, idx.seed, idx.epoch, sample)
            try:
                return self.prepare_data(other, broken=sample)
            except ImageError:
                continue
        raise ImageError(f'{reason} ({len(steps)} others, tried in its place, cannot be '
                         'used either)') from reason

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
