"""Where the files of a scene go, for each downstream task."""
import os
import warnings

import cv2
import numpy as np

from .scene import SCENE_CLASSES, generate_scene

#: Tasks and the number of their first scene: no two tasks show the same scene, and each
#: range begins with the first scene class.
TASKS = dict(classification=0, segmentation=120_000_000, detection=240_000_000,
             change=360_000_000)


class TaskFolder:
    """Writes the scenes of one task and split; scene by scene, in any order.

    Layouts under ``root``, with SPLIT train or val:

    - classification: ``SPLIT/CLASS/NUMBER.png``
    - segmentation: ``images/SPLIT/NUMBER.png``, ``masks/SPLIT/NUMBER.png``
    - detection: ``SPLIT/NUMBER.png`` (the COCO files are written by the caller)
    - change: ``SPLIT/A``, ``SPLIT/B`` and ``SPLIT/label``, with 0 and 255 in the label as
      in LEVIR-CD

    Images of neither one nor three bands are GeoTIFFs (``.tif``).

    Args:
        root (str): Folder of the task.
        task (str): Key of ``TASKS``.
        split (str): 'train' or 'val'.
        numbers (range): Scenes of the split, counted within the task.
        seed, size, bands: As for :func:`generate_scene`.
    """

    def __init__(self, root, task, split, numbers, seed, size, bands):
        self.root, self.task, self.split, self.numbers = str(root), task, split, numbers
        self.seed, self.size, self.bands = seed, size, bands
        for folder in self._folders():
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)

    def _folders(self):
        split = self.split
        return dict(
            classification=[os.path.join(split, name) for name in SCENE_CLASSES],
            segmentation=[os.path.join('images', split), os.path.join('masks', split)],
            detection=[split],
            change=[os.path.join(split, date) for date in ('A', 'B', 'label')])[self.task]

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, position):
        """Write one scene.

        Returns:
            dict: What a COCO file needs of it, and its class.
        """
        number = self.numbers[position]
        scene = generate_scene(self.seed, TASKS[self.task] + number, self.size, self.bands,
                               change=self.task == 'change')
        name = f'{number:06d}' + ('.png' if self.bands in (1, 3) else '.tif')
        label = f'{number:06d}.png'
        if self.task == 'classification':
            self._image(scene.image, scene, SCENE_CLASSES[scene.scene_class], name)
        elif self.task == 'detection':
            self._image(scene.image, scene, name)
        elif self.task == 'segmentation':
            path = os.path.join(self.root, 'images', self.split, name)
            write_image(path, scene.image, scene.gsd)
            path = os.path.join(self.root, 'masks', self.split, label)
            write_image(path, scene.mask[..., None], scene.gsd)
        else:
            self._image(scene.image, scene, 'A', name)
            self._image(scene.image2, scene, 'B', name)
            self._image(scene.change[..., None] * np.uint8(255), scene, 'label', label)
        height, width = scene.mask.shape
        return dict(file_name=name, height=height, width=width,
                    scene_class=SCENE_CLASSES[scene.scene_class],
                    boxes=scene.boxes.tolist(), labels=scene.labels.tolist(),
                    quads=scene.quads.tolist())

    def _image(self, pixels, scene, *place):
        write_image(os.path.join(self.root, self.split, *place), pixels, scene.gsd)


def write_image(path, pixels, gsd):
    """Write a PNG or, by the ending, a GeoTIFF.

    Args:
        path (str): Ends in .png (one or three bands) or .tif.
        pixels: (H, W, bands) uint8, RGB first.
        gsd (float): Metres per pixel, kept in a GeoTIFF's transform.

    Raises:
        OSError: The file cannot be written.
        ImportError: A GeoTIFF is wanted and rasterio is not installed.
    """
    if path.endswith('.png'):
        ordered = pixels[..., ::-1] if pixels.shape[2] == 3 else pixels
        if not cv2.imwrite(path, ordered):
            raise OSError(f'{path} cannot be written: is the disk full?')
        return
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning
    except ImportError as error:
        raise ImportError('scenes of neither 1 nor 3 bands are GeoTIFFs, which rasterio '
                          'writes: pip install rasterio') from error
    height, width, bands = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', driver='GTiff', height=height, width=width,
                           count=bands, dtype='uint8', compress='deflate',
                           photometric='minisblack',
                           transform=rasterio.Affine.scale(gsd, -gsd)) as file:
            file.write(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
