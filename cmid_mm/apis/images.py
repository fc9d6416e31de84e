"""Images as a pre-trained backbone gets them: paths, transforms and reading."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from torch.utils.data import Dataset

from ..datasets.file_limits import ImageError
from ..datasets.folder_scan import list_images
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError, MissingFileError
from .pipelines import pipeline_of

# for configs without the size of their images
_SIZE = 224


def list_inputs(inputs: str | Sequence[str]) -> list[str]:
    """Paths of the images of a folder tree, a packed data set, a file or a list of them.

    Raises:
        MissingFileError: A path does not exist.
        CMIDError: A folder holds no image.
    """
    files = []
    for entry in [inputs] if isinstance(inputs, (str, Path)) else inputs:
        path = Path(entry)
        if path.is_dir() or path.suffix == '.lmdb':
            files += [str(path / name) for name in list_images(str(path))]
        elif path.is_file() or '.lmdb' in str(path):
            files.append(str(path))
        else:
            raise MissingFileError(f'no such file or folder: {path}')
    return files


def reading_steps(cfg: Config, size: int | None = None) -> list:
    """Transforms with which a config reads an image, without packing.

    Args:
        cfg (Config): A config of mmpretrain's scope.
        size (int, optional): Side in pixels of squares: the shorter side is resized, and the
            centre is cropped. Defaults to None: as in the config's test pipeline; without
            one, squares of the size of the views in pre-training.

    Raises:
        CMIDError: No pipeline of the config begins with ``LoadRSImage``, or the size is not
            positive.
    """
    if size is not None and size < 1:
        raise CMIDError(f'a size of {size} px: give the side of the images in pixels')
    tested = pipeline_of(cfg.get('test_dataloader'))
    steps = tested or pipeline_of(cfg.get('train_dataloader'))
    if not steps or steps[0]['type'] != 'LoadRSImage':
        raise CMIDError(
            f'no pipeline of {cfg.filename} reads images with LoadRSImage, which returns the '
            'bands in the order of the pre-training: give the config of a pre-training or '
            'classification of this project')
    if tested and size is None:
        return [step for step in tested if 'Pack' not in step['type']]
    size = size or cfg.model.get('image_size') or _SIZE
    # every pixel is decoded: pre-training decodes JPEGs at a reduced size
    return [{key: value for key, value in steps[0].items() if key != 'shortest_side'},
            dict(type='ResizeEdge', scale=size, edge='short'),
            dict(type='CenterCrop', crop_size=size)]


class ImageReader:
    """Reads a path to a uint8 image (H, W, bands).

    Args:
        cfg (Config): A config of mmpretrain's scope.
        size (int, optional): See ``reading_steps``.
        bands (int): Number of bands of the model.
    """

    def __init__(self, cfg: Config, size: int | None, bands: int):
        with scope_of(cfg):
            self.transforms = Compose([TRANSFORMS.build(step)
                                       for step in reading_steps(cfg, size)])
        self.bands = bands

    def __call__(self, path: str) -> np.ndarray:
        image = self.transforms(dict(img_path=path))['img']
        # resizing drops the axis of a single band
        image = image.reshape(*image.shape[:2], -1)
        if image.shape[2] != self.bands:
            raise ImageError(
                f'{path} has {image.shape[2]} bands after the pipeline, the '
                f'checkpoint was trained on {self.bands}: set bands of LoadRSImage and '
                'in_channels of the backbone')
        return image


class ReadImages(Dataset):
    """Pairs of an image and '', or of None and the reason why it cannot be read."""

    def __init__(self, files: list, reader: ImageReader):
        self.files = files
        self.reader = reader

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple:
        try:
            return self.reader(self.files[index]), ''
        except ImageError as error:
            return None, str(error)
