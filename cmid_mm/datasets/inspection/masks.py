"""Report of the masks of a data set, as its own pipeline loads them."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from cmid_mm.utils.errors import CMIDError

from ..image_reading import read_header
from ..parallel_reading import read_in_parallel, spread_places
from ..transforms.loading_masks import IGNORED

_LOADERS = ('LoadMask', 'LoadChangeMask', 'LoadAnnotations', 'MultiImgLoadAnnotations')


def mask_loaders(dataset: Dataset) -> list:
    """Transforms of a data set that load its masks; empty for a data set without masks."""
    pipeline = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    if not isinstance(dataset, BaseDataset) or not dataset.metainfo.get('classes') or not (
            len(dataset) and dataset.get_data_info(0).get('seg_map_path')):
        return []
    return [step for step in pipeline if type(step).__name__ in _LOADERS]


def parts_of(dataset: Dataset) -> list:
    """The data sets inside of mmengine's and mmdet's wrappers; without any, the data set itself."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner == [None]:
        return [dataset]
    return [part for one in inner for part in parts_of(one)]


def inspect_masks(dataset: BaseDataset, max_masks: int | None = None,
                  workers: int | None = None, show_progress: bool = True) -> dict[str, Any]:
    """Count the pixels of every class in the masks that a training would get.

    Masks are loaded by the transforms of the data set's pipeline, so that its ignored values
    and maps of values apply. Every mask must have the size of its images, of all dates.

    Args:
        dataset (BaseDataset): Data set for which :func:`mask_loaders` finds any.
        max_masks (int, optional): Largest number of masks to read, evenly spaced. Defaults to
            None, all.
        workers, show_progress: As in :func:`read_in_parallel`.

    Returns:
        dict: Ready for JSON: ``found`` and ``read``, numbers of masks; ``unusable``, messages;
        ``ignored``, share of the pixels; ``classes``, name -> share of the other pixels.
    """
    classes = dataset.metainfo['classes']
    places = spread_places(len(dataset), max_masks or len(dataset))
    items = _Masks(dataset, places, mask_loaders(dataset), len(classes))
    unusable, counts = [], np.zeros(IGNORED + 1, np.int64)
    for item in read_in_parallel(items, workers, show_progress):
        if isinstance(item, str):
            unusable.append(item)
        else:
            counts += item
    valid = counts[:len(classes)]
    return dict(
        found=len(dataset), read=len(places), unusable=unusable,
        ignored=float(counts[IGNORED] / max(1, counts.sum())),
        classes={name: float(count / max(1, valid.sum()))
                 for name, count in zip(classes, valid)})


def describe_masks(report: dict[str, Any]) -> str:
    """One line about the result of :func:`inspect_masks`."""
    of = '' if report['read'] == report['found'] else f' of {report["found"]:,}'
    shares = ', '.join(f'{name} {100 * share:.3g} %'
                       for name, share in report['classes'].items() if share)
    never = [name for name, share in report['classes'].items() if not share]
    return (f'{report["read"]:,}{of} masks: {shares or "no class"}; {100 * report["ignored"]:.3g} '
            f'% ignored' + (f'; never: {", ".join(never)}' if never else ''))


def refuse_masks(report: dict[str, Any], training: bool = True) -> None:
    """Raise CMIDError where masks cannot be used, or hold nothing to learn.

    Args:
        report (dict): Of :func:`inspect_masks`.
        training (bool): Whether one class alone is an error, too, provided that all masks were
            read. Defaults to True.
    """
    if report['unusable']:
        count = len(report['unusable'])
        raise CMIDError(f'{count:,} of {report["read"]:,} masks cannot be used; the first: '
                        f'{report["unusable"][0]}')
    found = [name for name, share in report['classes'].items() if share]
    complete = training and report['read'] == report['found']
    if len(found) > complete or len(found) == len(report['classes']):
        return
    what = f'one class, {found[0]}' if found else 'no class'
    raise CMIDError(
        f'the {report["read"]:,} masks hold {what}, and {100 * report["ignored"]:.3g} % ignored '
        'pixels (255, or 0 with reduce_zero_label), so there is nothing to learn: check the '
        'numbers in the masks; where 255 is a class, set values={0: 0, 255: 1} or the like in '
        'MaskFolder')


class _Masks(Dataset):
    """Item i is the number of pixels of each value, or why mask i cannot be used."""

    def __init__(self, dataset: BaseDataset, places: Sequence[int], loaders: list, classes: int):
        self.dataset, self.places, self.loaders = dataset, places, loaders
        self.classes = classes

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> np.ndarray | str:
        info = self.dataset.get_data_info(self.places[index])
        path = info['seg_map_path']
        try:
            info['ori_shape'] = info['img_shape'] = _size_of_images(info)
            for loader in self.loaders:
                info = loader(info)
            mask = info['gt_seg_map']
            if mask.ndim != 2:
                return (f'{path} is a picture of {mask.shape[2]} bands, but a mask has one: save '
                        'the number of the class in every pixel')
            if mask.shape != info['ori_shape']:
                return (f'{path} has {mask.shape[1]} x {mask.shape[0]} pixels, but its image has '
                        '{1} x {0}: the two must cover each other'.format(*info['ori_shape']))
            counts = np.bincount(mask.ravel(), minlength=IGNORED + 1)
        except CMIDError as error:
            return str(error)
        except Exception as error:  # also of loaders of other packages
            return f'{path} cannot be read: {error}'
        wrong = np.flatnonzero(counts[self.classes:IGNORED]) + self.classes
        if len(counts) > IGNORED + 1 or len(wrong):
            return (f'{path} holds {(*wrong, len(counts) - 1)[0]}, but there are {self.classes} '
                    f'classes, 0 to {self.classes - 1}, and 255 for ignored pixels')
        return counts


def _size_of_images(info: dict) -> tuple[int, int]:
    """Height and width of the images of all dates, from their headers."""
    paths = [info[key] for key in ('img_path', 'img_path2') if key in info]
    paths = [path for entry in paths
             for path in (entry if isinstance(entry, (list, tuple)) else [entry])]
    sizes = [read_header(path)[:2] for path in paths]
    for path, size in zip(paths, sizes):
        if size != sizes[0]:
            raise CMIDError(f'{path} has {size[1]} x {size[0]} pixels, but {paths[0]}, of the '
                            f'other date, has {sizes[0][1]} x {sizes[0][0]}: register and cut '
                            'the two alike')
    return sizes[0]
