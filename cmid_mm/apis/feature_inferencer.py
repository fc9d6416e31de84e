"""What a backbone sees in images: a vector a scene and a map of its places."""
import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.registry import MODELS
from mmpretrain.registry import TRANSFORMS
from torch import Tensor
from torch.utils.data import Dataset

from ..datasets.image_reading import ImageError
from ..datasets.parallel_reading import read_in_parallel
from ..checkpoints.initializer import CMIDPretrained
from ..utils.config_scope import scope_of
from .inputs import list_images
from .model import as_config, ready
from .pipelines import read_at, test_pipeline


class FeatureInferencer(BaseInferencer):
    """Features of images by the backbone of a config.

    Images are prepared by the test pipeline of the config, and normalised as in the
    pre-training of the checkpoint where it says how, else as the config says. The scene
    vector is the spatial mean of the last feature map: the very feature that
    ``WeightedKNN`` compares.

    Args:
        model (str | Config): Config of mmpretrain's scope, of a CMID pre-training or of a
            classification.
        weights (str): Anything that holds the backbone, see ``read_backbone_file``.
        encoder (str, optional): ``'student'`` or ``'teacher'`` of a training checkpoint.
            Defaults to None: the student, or whichever an exported file holds.
        size (int, optional): Images become squares of so many pixels, resized and cut.
            Defaults to None: what the config's test pipeline makes of them; without one,
            squares of the size of the views in pre-training.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Changes of the config, dotted key -> value.
        show_progress (bool): Defaults to True.

    Attributes:
        model (nn.Module): The backbone, in evaluation mode.
        name (str): File, encoder and epoch of the weights.
        mean (Tensor): (bands, 1, 1) float32, in grey levels; ``std`` alike.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The config is of another framework or cannot read images, or the
            checkpoint is of another backbone.
    """

    def __init__(self,
                 model: str | Config,
                 weights: str,
                 encoder: str | None = None,
                 size: int | None = None,
                 device: str | None = None,
                 cfg_options: dict | None = None,
                 show_progress: bool = True):
        config = as_config(model, cfg_options)
        if config.get('default_scope') != 'mmpretrain' or 'backbone' not in config.model:
            raise ValueError(
                f'{config.filename} is no config of a pre-training or a classification, '
                "whose scope is mmpretrain: give one of configs/cmid or configs/classification")
        self.encoder = encoder
        super().__init__(read_at(config, size), weights, device, 'mmpretrain', show_progress)

    def __call__(self,
                 inputs: str | Sequence[str],
                 batch_size: int = 32,
                 dense: bool = False) -> dict:
        """Features of images.

        Args:
            inputs (str | Sequence[str]): A folder tree or packed data set, a file, or files.
            batch_size (int): Images that pass the backbone together.
            dense (bool): Whether maps and images are kept too.

        Returns:
            dict: ``paths`` list[str]; ``vectors`` float32 (N, C); ``failed``, a list of
            (path, reason) of images that could not be read; with ``dense`` also
            ``maps``, N arrays float32 (C, h, w), and ``images``, N arrays uint8
            (H, W, bands) as the backbone saw them, before normalisation.

        Raises:
            FileNotFoundError: An input does not exist.
            ImageError: No image could be read.
        """
        files = list_images(inputs)
        result = dict(paths=[], vectors=[], failed=[])
        if dense:
            result.update(maps=[], images=[])
        for paths, images in self._batches(files, batch_size, result['failed']):
            maps = self.forward(self.normalise(images))
            result['paths'] += paths
            result['vectors'] += list(scene_vectors(maps).cpu().numpy())
            if dense:
                result['maps'] += list(maps.float().cpu().numpy())
                result['images'] += images
        if not result['paths']:
            raise ImageError(result['failed'][0][1])
        result['vectors'] = np.stack(result['vectors'])
        return result

    def preprocess(self, inputs: Sequence[str], **_) -> tuple[Tensor, list]:
        """Images as the backbone wants them.

        Args:
            inputs (Sequence[str]): Files whose images come out in one size.

        Returns:
            tuple: (B, bands, H, W) float32 normalised on the device, and B arrays uint8
            (H, W, bands).

        Raises:
            ImageError: One cannot be read.
        """
        images = [self.pipeline(path) for path in inputs]
        return self.normalise(images), images

    def normalise(self, images: list) -> Tensor:
        """uint8 (H, W, bands) of one size to (B, bands, H, W) float32 on the device."""
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.mean.device)
        return (batch.float() - self.mean) / self.std

    @torch.no_grad()
    def forward(self, inputs: Tensor, **_) -> Tensor:
        """Last feature map (B, C, h, w) of normalised images; (B, C) of some backbones."""
        return self.model(inputs)[-1]

    def visualize(self, *args, **kwargs):
        """Pictures of features are made by ``tools/visualization``."""
        raise NotImplementedError(self.visualize.__doc__)

    def postprocess(self, *args, **kwargs):
        """Features are given as they are."""
        raise NotImplementedError(self.postprocess.__doc__)

    def _init_model(self, cfg: Config, weights: str, device: str) -> torch.nn.Module:
        settings = copy.deepcopy(cfg.model.backbone)
        settings.init_cfg = None
        with scope_of(cfg):
            backbone = MODELS.build(settings)
        file, match = CMIDPretrained(weights, self.encoder).match(backbone)
        # strict but for norms of inner stages, which the last map does not pass
        backbone.load_state_dict(match.tensors, strict=False)
        print_log(f'{file}: {match}', 'current')
        self.name = str(file)
        self._set_normalisation(cfg, file.meta, device)
        return ready(backbone, device)

    def _set_normalisation(self, cfg: Config, meta: dict, device: str) -> None:
        own = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        for name in ('mean', 'std'):
            numbers = meta.get(name) or own.get(name)
            if not numbers:
                raise ValueError(
                    f'neither the checkpoint nor {cfg.filename} tells {name} of the bands: '
                    'set it in model.data_preprocessor (tools/dataset_statistics.py)')
            setattr(self, name, torch.tensor(numbers, device=device)[:, None, None])

    def _init_pipeline(self, cfg: Config) -> '_Prepare':
        steps = [step for step in test_pipeline(cfg) if 'Pack' not in step['type']]
        if steps[0]['type'] != 'LoadRSImage':
            raise ValueError(f'the test pipeline of {cfg.filename} begins with '
                             f"{steps[0]['type']}: let it begin with LoadRSImage, which gives "
                             'the bands in the order of the pre-training')
        with scope_of(cfg):
            return _Prepare(Compose([TRANSFORMS.build(step) for step in steps]),
                            len(self.mean))

    def _init_collate(self, cfg):
        return None

    def _init_visualizer(self, cfg):
        return None

    def _batches(self, files: list, batch_size: int, failed: list) -> Iterator[tuple]:
        """Paths and images of one size, at most ``batch_size``; notes what fails."""
        paths, images = [], []
        read = read_in_parallel(_Images(files, self.pipeline),
                                show_progress=self.show_progress)
        # in this order, so that the bar is told of the end
        for (image, reason), path in zip(read, files):
            if image is None:
                failed.append((path, reason))
                continue
            if images and (len(images) == batch_size or image.shape != images[0].shape):
                yield paths, images
                paths, images = [], []
            paths.append(path)
            images.append(image)
        if images:
            yield paths, images


class _Prepare:
    """From a path to a uint8 image (H, W, bands).

    Args:
        transforms (Compose): Of the config, without packing.
        bands (int): That the normalisation is for.
    """

    def __init__(self, transforms: Compose, bands: int):
        self.transforms = transforms
        self.bands = bands

    def __call__(self, path: str) -> np.ndarray:
        image = self.transforms(dict(img_path=path))['img']
        # resizing drops the axis of a single band
        image = image.reshape(*image.shape[:2], -1)
        if image.shape[2] != self.bands:
            raise ImageError(
                f'{path} comes with {image.shape[2]} bands out of the pipeline, the '
                f'checkpoint was trained on {self.bands}: set bands of LoadRSImage and '
                'in_channels of the backbone')
        return image


class _Images(Dataset):
    """Images, or None and the reason why there is none."""

    def __init__(self, files: list, prepare: _Prepare):
        self.files = files
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple:
        try:
            return self.prepare(self.files[index]), ''
        except ImageError as error:
            return None, str(error)


def scene_vectors(maps: Tensor) -> Tensor:
    """(B, C) float32, the spatial mean of maps (B, C, h, w); vectors (B, C) as they are."""
    return (maps.mean((2, 3)) if maps.ndim == 4 else maps).float()
