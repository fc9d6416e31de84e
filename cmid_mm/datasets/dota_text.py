"""DOTA's text files: one box a line, x1 y1 x2 y2 x3 y3 x4 y4 class [difficult]."""
import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError, MissingFileError

from .folder_scan import on_first_process
from .list_file import first_names

_HEADERS = ('imagesource:', 'gsd:')


class DOTABox(NamedTuple):
    """A box of a text file."""
    corners: np.ndarray  # float64 (4, 2), x and y in pixels
    label: int  # index of the class
    difficulty: int  # 0 where the line states none


def read_dota_text(path: str, classes: Sequence[str]) -> list[DOTABox]:
    """Boxes of a text file; empty lines and those of source and resolution are skipped.

    Args:
        path (str): The file.
        classes (Sequence[str]): Names of the classes.

    Raises:
        CMIDError: A line is no box, or names another class.
    """
    boxes = []
    try:
        with open(path, encoding='utf-8-sig') as file:
            lines = file.read().splitlines()
    except UnicodeDecodeError as error:
        raise CMIDError(f'{path} is no text ({error}): write it again as UTF-8') from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith(_HEADERS):
            continue
        try:
            corners = np.array([float(word) for word in words[:8]]).reshape(4, 2)
            name, difficulty = words[8], int(words[9]) if len(words) > 9 else 0
        except (ValueError, IndexError) as error:
            raise CMIDError(f'{path}, line {number} is no box of DOTA, eight numbers and a '
                            f'class: {line[:200]!r}') from error
        if not np.isfinite(corners).all():
            raise CMIDError(f'{path}, line {number} has corners that are no numbers: '
                            f'{line[:200]!r}')
        if name not in classes:
            raise CMIDError(f'{path}, line {number} has the class {name!r}, which is not among '
                            f'{", ".join(classes)}: are these the labels of another version?')
        boxes.append(DOTABox(corners, classes.index(name), difficulty))
    return boxes


@DATASETS.register_module()
def CheckedDOTADataset(**kwargs):
    """Build mmrotate's ``DOTADataset``, with text files read by :func:`read_dota_text`.

    mmrotate ends at header lines and at lines without difficulty, and leaves images without a
    text file out.

    Args:
        **kwargs: Arguments of ``DOTADataset``: ``data_root``, ``ann_file`` (folder of the text
            files; empty for images without labels), ``data_prefix=dict(img_path=...)``,
            ``img_suffix``, ``diff_thr``, ``metainfo``, ...

    Raises:
        MissingFileError: A text file has no image, or an image no text file.
        CMIDError: A line is no box, or there are no boxes.
    """
    return __getattr__('_Dataset')(**kwargs)


@cache
def __getattr__(name: str):
    """``_Dataset`` of this module, where pickle finds it; mmrotate is imported for it alone."""
    if name != '_Dataset':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from mmrotate.datasets import DOTADataset

    class _Dataset(DOTADataset):
        __qualname__ = '_Dataset'

        def load_data_list(self) -> list[dict]:
            if not self.ann_file:
                return super().load_data_list()
            return on_first_process(_data_list, self.ann_file, self.data_prefix['img_path'],
                                    self.img_suffix, self.diff_thr, self.metainfo['classes'])

    return _Dataset


def _data_list(texts: str, images: str, suffix: str, diff_thr: int,
               classes: Sequence[str]) -> list[dict]:
    """Data infos in mmrotate's form, sorted by name."""
    names = {folder: _names(folder, ending)
             for folder, ending in ((texts, 'txt'), (images, suffix))}
    for folder, other in ((texts, images), (images, texts)):
        alone = sorted(names[folder] - names[other])
        if alone:
            what = (f'image (*.{suffix}; img_suffix of the data set names the ending)'
                    if folder == texts else 'text file; one without objects needs an empty one')
            raise MissingFileError(f'{len(alone)} of {len(names[folder])} names in {folder} have '
                                   f'no {what} in {other}: {first_names(alone)}')
    infos, count = [], 0
    for name in sorted(names[texts]):
        boxes = read_dota_text(os.path.join(texts, f'{name}.txt'), list(classes))
        count += sum(box.difficulty <= diff_thr for box in boxes)
        infos.append(dict(
            img_id=name, file_name=f'{name}.{suffix}',
            img_path=os.path.join(images, f'{name}.{suffix}'),
            instances=[dict(bbox=box.corners.ravel().tolist(), bbox_label=box.label,
                            ignore_flag=int(box.difficulty > diff_thr)) for box in boxes]))
    if not count:
        raise CMIDError(f'the {len(infos):,} text files in {texts} hold no box of a difficulty up '
                        f'to diff_thr={diff_thr}; others are ignored in training')
    empty = sum(not info['instances'] for info in infos)
    print_log(f'{texts}: {len(infos):,} images, {empty:,} of them without boxes; {count:,} boxes',
              'current')
    return infos


def _names(folder: str, ending: str) -> set[str]:
    """Names without ending of the files of a folder."""
    if not os.path.isdir(folder):
        raise MissingFileError(f'the folder {folder} does not exist: check data_root, ann_file '
                               'and data_prefix')
    return {os.path.splitext(entry.name)[0] for entry in os.scandir(folder)
            if entry.name.endswith(f'.{ending}') and not entry.name.startswith('.')
            and entry.is_file()}
