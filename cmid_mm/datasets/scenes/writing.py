"""Writing of folders of scenes in the layouts that OpenMMLab's data sets read."""
import json
import os
import shutil
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...utils.errors import CMIDError
from ..parallel_reading import read_in_parallel
from .materials import OBJECT_CLASSES, SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
from .scene import SCENE_CLASSES, generate_scene

#: Tasks and the number of their first scene: no two tasks show the same scene, and each
#: range begins with the first scene class.
TASKS = dict(classification=0, segmentation=120_000_000, detection=240_000_000,
             change=360_000_000)
#: This file is written last, so a folder that contains it is complete.
_MARKER, _UNFINISHED = 'scenes.json', 'scenes.json.unfinished'
#: Increased when the same arguments give other scenes than before.
_VERSION = 2


def write_scenes(out_dir, num, size=256, bands=3, seed=0, tasks=tuple(TASKS),
                 val_share=0.2, workers=None, show_progress=True):
    """Write scenes for the downstream tasks.

    With SPLIT train or val, and images of neither one nor three bands as GeoTIFFs:

    - ``classification/SPLIT/CLASS/NUMBER.png``
    - ``segmentation/{images,masks}/SPLIT/NUMBER.png``
    - ``detection/SPLIT/NUMBER.png``, ``detection/annotations/SPLIT.json`` in COCO's format
    - ``change/SPLIT/{A,B,label}/NUMBER.png`` with 0 and 255 in the label

    ``scenes.json`` is written last and contains the arguments, counts, classes and palette.
    A complete folder of the same arguments is not changed; an incomplete one, or one of other
    arguments, is written again.

    Args:
        out_dir (str or Path): Folder, created if it does not exist.
        num (int): Scenes of each task.
        size, bands, seed: As in :func:`generate_scene`.
        tasks (sequence[str]): Some of classification, segmentation, detection, change.
        val_share (float): Share of the scenes for validation.
        workers, show_progress: As in :func:`read_in_parallel`.

    Returns:
        dict: Content of ``scenes.json``.

    Raises:
        CMIDError: For an unknown task, too few scenes, or a folder with other content.
        OSError: A file cannot be written.
    """
    out_dir = Path(out_dir)
    size = list(size) if isinstance(size, list | tuple) else [size, size]
    arguments = dict(version=_VERSION, num=num, size=size, bands=bands, seed=seed,
                     tasks=list(tasks), val_share=val_share)
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown or not tasks:
        raise CMIDError(f'unknown tasks {unknown}, there are {", ".join(TASKS)}')
    train = num - round(num * val_share)
    if not 0 < train < num:
        raise CMIDError(f'num={num} and val_share={val_share} leave {train} scenes for '
                        f'training and {num - train} for validation: both need at least one')
    if (out_dir / _MARKER).exists():
        done = json.loads((out_dir / _MARKER).read_text())
        if done['arguments'] == arguments:
            return done
    _clear(out_dir)
    if 'classification' in tasks:
        # Every split has all class folders, because class numbers follow from the folders.
        for split in ('train', 'val'):
            for name in SCENE_CLASSES:
                (out_dir / 'classification' / split / name).mkdir(parents=True)
    scenes = _Scenes(out_dir, num, train, (seed, size, bands), tasks)
    written = list(read_in_parallel(scenes, workers, show_progress))
    counts = {}
    for i, task in enumerate(tasks):
        first = i * num
        splits = dict(train=written[first:first + train], val=written[first + train:first + num])
        counts[task] = {split: dict(scenes=len(images), classes=Counter(
            image['scene_class'] for image in images)) for split, images in splits.items()}
        if task == 'detection':
            folder = out_dir / task / 'annotations'
            folder.mkdir()
            for split, images in splits.items():
                (folder / f'{split}.json').write_text(json.dumps(_coco_content(images)))
    summary = json.dumps(dict(
        arguments=arguments, counts=counts, scene_classes=SCENE_CLASSES,
        segmentation_classes=SEGMENTATION_CLASSES,
        segmentation_palette=SEGMENTATION_PALETTE, object_classes=OBJECT_CLASSES), indent=2)
    (out_dir / _UNFINISHED).write_text(summary)
    os.replace(out_dir / _UNFINISHED, out_dir / _MARKER)
    return json.loads(summary)


def _clear(out_dir):
    """Create the folder, or remove earlier scenes and nothing else."""
    out_dir.mkdir(parents=True, exist_ok=True)
    ours = any((out_dir / name).exists() for name in (_MARKER, _UNFINISHED))
    if not ours and any(out_dir.iterdir()):
        raise CMIDError(f'{out_dir} holds other things than scenes: give an empty folder or '
                        'the name of a new one')
    # An interrupted removal must not leave a folder that looks complete.
    (out_dir / _UNFINISHED).touch()
    (out_dir / _MARKER).unlink(missing_ok=True)
    for task in TASKS:
        shutil.rmtree(out_dir / task, ignore_errors=True)


@dataclass
class _Scenes:
    """Data set whose items write one scene each and return its properties."""

    out_dir: Path
    num: int  # of each task
    train: int  # of each task; the others are for validation
    series: tuple  # seed, size, bands
    tasks: list

    def __len__(self):
        return self.num * len(self.tasks)

    def __getitem__(self, position):
        task, number = self.tasks[position // self.num], position % self.num
        seed, size, bands = self.series
        scene = generate_scene(seed, TASKS[task] + number, size, bands, change=task == 'change')
        split = 'train' if number < self.train else 'val'
        scene_class = SCENE_CLASSES[scene.scene_class]
        files = dict(
            classification={f'{split}/{scene_class}': scene.image},
            segmentation={f'images/{split}': scene.image, f'masks/{split}': scene.mask},
            detection={split: scene.image},
            change={f'{split}/A': scene.image, f'{split}/B': scene.image2, f'{split}/label':
                    None if scene.change is None else scene.change * np.uint8(255)})
        for folder, pixels in files[task].items():
            folder = self.out_dir / task / folder
            folder.mkdir(parents=True, exist_ok=True)
            _write_image(f'{folder}/{number:06d}', np.atleast_3d(pixels), scene.gsd)
        height, width = scene.mask.shape
        return dict(file_name=f'{number:06d}' + ('.png' if bands in (1, 3) else '.tif'),
                    height=height, width=width, scene_class=scene_class,
                    boxes=scene.boxes.tolist(), labels=scene.labels.tolist(),
                    quads=scene.quads.tolist())


def _write_image(path, pixels, gsd):
    """Write pixels (H, W, bands) as PNG (one or three bands) or as GeoTIFF."""
    height, width, bands = pixels.shape
    if bands in (1, 3):
        if not cv2.imwrite(f'{path}.png', pixels[..., ::-1]):
            raise CMIDError(f'{path}.png cannot be written: is the disk full?')
        return
    # only GeoTIFFs need rasterio
    import rasterio
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(f'{path}.tif', 'w', driver='GTiff', height=height, width=width,
                           count=bands, dtype='uint8', compress='deflate',
                           photometric='minisblack',
                           transform=rasterio.Affine.scale(gsd, -gsd)) as file:
            file.write(pixels.transpose(2, 0, 1))


def _coco_content(images):
    """Content of a COCO file with the items of :class:`_Scenes`.

    Categories count from 1 in the order of ``OBJECT_CLASSES``; ``bbox`` is x, y, width,
    height; ``segmentation`` is the oriented rectangle.
    """
    annotations = []
    for image_id, image in enumerate(images):
        for (x0, y0, x1, y1), label, quad in zip(image['boxes'], image['labels'], image['quads']):
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=label + 1,
                bbox=[x0, y0, x1 - x0, y1 - y0], area=(x1 - x0) * (y1 - y0), iscrowd=0,
                segmentation=[[round(number, 2) for number in quad]]))
    return dict(
        images=[dict(id=i, **{key: image[key] for key in ('file_name', 'height', 'width')})
                for i, image in enumerate(images)],
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(OBJECT_CLASSES)])
