"""Writes folders of scenes in the layouts that OpenMMLab's data sets read."""
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import cv2
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader

from .coco import coco_file
from .materials import OBJECT_CLASSES, SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
from .scene import SCENE_CLASSES
from .task_folders import TASKS, TaskFolder
from .textures import make_tiles

#: Written last: a folder that holds it is complete.
_MARKER, _UNFINISHED = 'scenes.json', 'scenes.json.unfinished'
#: Rises when the same arguments give other scenes than before.
_VERSION = 1
_WORTH_WORKERS = 64


def write_scenes(out_dir, num, size=256, bands=3, seed=0, tasks=tuple(TASKS),
                 val_share=0.2, workers=None, show_progress=True):
    """Write scenes for the downstream tasks.

    A complete folder of the same arguments is left alone; one that was left half-written,
    or holds scenes of other arguments, is made anew. ``scenes.json`` appears last and
    holds the arguments, counts, classes and palette. The layouts are those of
    :class:`TaskFolder`, with ``detection/annotations/{train,val}.json`` in COCO's form.

    Args:
        out_dir (str or Path): Folder, made where it does not exist.
        num (int): Scenes of each task.
        size (int or tuple[int]): Pixels, or (height, width).
        bands (int): Bands: 1 and 3 give PNG, others GeoTIFF.
        seed (int): Seed of the series.
        tasks (sequence[str]): Some of classification, segmentation, detection, change.
        val_share (float): Share of the scenes that is kept for validation.
        workers (int, optional): Processes, default one per core. The files do not depend
            on it.
        show_progress (bool): Whether a progress bar goes to the standard error output.

    Returns:
        dict: Content of ``scenes.json``.

    Raises:
        ValueError: For an unknown task, too few scenes, or a folder that holds other
            things.
        OSError: A file cannot be written.
    """
    out_dir = Path(out_dir)
    size = list(size) if isinstance(size, list | tuple) else [size, size]
    arguments = dict(version=_VERSION, num=num, size=size, bands=bands, seed=seed,
                     tasks=list(tasks), val_share=val_share)
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown or not tasks:
        raise ValueError(f'unknown tasks {unknown}, there are {", ".join(TASKS)}')
    held_out = round(num * val_share)
    if held_out < 1 or num - held_out < 1:
        raise ValueError(f'num={num} and val_share={val_share} leave '
                         f'{num - held_out} scenes for training and {held_out} for '
                         'validation: both need at least one')
    done = _finished(out_dir)
    if done is not None and done['arguments'] == arguments:
        return done
    _clear(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / _UNFINISHED).write_text(json.dumps(arguments))
    splits = dict(train=range(num - held_out), val=range(num - held_out, num))
    make_tiles()
    bar = ProgressBar(num * len(tasks), file=sys.stderr) if show_progress else None
    counts = {}
    for task in tasks:
        counts[task] = {}
        for split, numbers in splits.items():
            folder = TaskFolder(out_dir / task, task, split, numbers, seed, tuple(size),
                                bands)
            written = _write(folder, workers, bar)
            counts[task][split] = dict(
                scenes=len(written), classes=Counter(w['scene_class'] for w in written))
            if task == 'detection':
                annotations = out_dir / task / 'annotations'
                annotations.mkdir(exist_ok=True)
                (annotations / f'{split}.json').write_text(json.dumps(coco_file(written)))
    if bar is not None:
        sys.stderr.write('\n')
    summary = dict(
        arguments=arguments, counts=counts, scene_classes=SCENE_CLASSES,
        segmentation_classes=SEGMENTATION_CLASSES,
        segmentation_palette=SEGMENTATION_PALETTE, object_classes=OBJECT_CLASSES)
    (out_dir / _UNFINISHED).write_text(json.dumps(summary, indent=2))
    os.replace(out_dir / _UNFINISHED, out_dir / _MARKER)
    return _finished(out_dir)


def _finished(out_dir):
    """Content of the marker of a complete folder, None without one."""
    try:
        return json.loads((out_dir / _MARKER).read_text())
    except FileNotFoundError:
        return None


def _clear(out_dir):
    """Remove earlier scenes, but nothing that this module has not written."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise ValueError(f'{out_dir} is a file, not a folder')
    ours = any((out_dir / name).exists() for name in (_MARKER, _UNFINISHED))
    if not ours and any(out_dir.iterdir()):
        raise ValueError(f'{out_dir} holds other things than scenes: give an empty folder '
                         'or the name of a new one')
    # the marker goes first: what is interrupted here must not look complete
    (out_dir / _MARKER).unlink(missing_ok=True)
    if ours:
        (out_dir / _UNFINISHED).touch()
    for task in TASKS:
        shutil.rmtree(out_dir / task, ignore_errors=True)


def _write(folder, workers, bar):
    """Write all scenes of a task folder; their descriptions in order."""
    if workers is None:
        workers = (len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity')
                   else os.cpu_count() or 1)
    if len(folder) < _WORTH_WORKERS or workers == 1:
        workers = 0
    written = []
    for description in DataLoader(folder, batch_size=None, num_workers=workers,
                                  collate_fn=_as_it_is, worker_init_fn=_one_thread):
        written.append(description)
        if bar is not None and (len(written) % 50 == 0 or len(written) == len(folder)):
            bar.update(len(written) % 50 or 50)
    return written


def _as_it_is(item):
    return item


def _one_thread(worker):
    cv2.setNumThreads(0)
