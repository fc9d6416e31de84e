"""Features of images by a backbone: a vector of each scene and a map of its cells."""
import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import Tensor

from ..checkpoints.initializer import CMIDPretrained
from ..datasets.file_limits import ImageError
from ..datasets.parallel_reading import read_in_parallel
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError
from .images import ImageReader, ReadImages, list_inputs
from .model import as_config, ready


class FeatureInferencer:
    """Features of images by the backbone of a config.

    Images are prepared by the test pipeline of the config, and normalised as in the
    pre-training where the checkpoint records it, otherwise as in the config. The scene vector is
    the spatial mean of the last feature map, the feature that ``WeightedKNN`` compares.

    Args:
        model (str | Config): Config of mmpretrain's scope, of a CMID pre-training or of a
            classification.
        weights (str): Any file with the backbone, see ``read_backbone_file``.
        encoder (str, optional): ``'student'`` or ``'teacher'`` of a training checkpoint.
            Defaults to None: the student, or the encoder of an exported file.
        size (int, optional): Side of the images in pixels, see ``reading_steps``. Defaults to
            None: as in the config's test pipeline.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Changes of the config, dotted key -> value.
        show_progress (bool): Defaults to True.

    Attributes:
        model (nn.Module): The backbone, in evaluation mode.
        pipeline (ImageReader): From a path to a uint8 image (H, W, bands).
        name (str): File, encoder and epoch of the weights.
        meta (dict): What the file states, see ``BackboneFile``.
        image_size (int | None): Side in pixels of the views of the pre-training.
        mean (Tensor): (bands, 1, 1) float32, in grey levels; ``std`` has the same form.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        CMIDError: The config is of another framework or cannot read images, or the
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
        cfg = as_config(model, cfg_options)
        if cfg.get('default_scope') != 'mmpretrain' or 'backbone' not in cfg.model:
            raise CMIDError(
                f'{cfg.filename} is no config of a pre-training or a classification, '
                "whose scope is mmpretrain: give one of configs/cmid or configs/classification")
        device = device or get_device()
        self.show_progress = show_progress
        with scope_of(cfg):
            backbone = MODELS.build(dict(copy.deepcopy(cfg.model.backbone), init_cfg=None))
        file, match = CMIDPretrained(weights, encoder).match(backbone)
        # strict except for norms of inner stages, which the last map does not pass
        backbone.load_state_dict(match.tensors, strict=False)
        print_log(f'{file}: {match}', 'current')
        self.name, self.meta = str(file), file.meta
        self.image_size = cfg.model.get('image_size')
        self.model = ready(backbone, device)
        self._set_normalisation(cfg, file.meta, device)
        self.pipeline = ImageReader(cfg, size, len(self.mean))

    def __call__(self,
                 inputs: str | Sequence[str],
                 batch_size: int = 32,
                 dense: bool = False) -> dict:
        """Features of images.

        Args:
            inputs (str | Sequence[str]): A folder tree or packed data set, a file, or files.
            batch_size (int): Images that pass the backbone together.
            dense (bool): Whether maps and images are returned too.

        Returns:
            dict: ``paths`` list[str]; ``vectors`` float32 (N, C); ``failed``, a list of
            (path, reason) of images that could not be read; with ``dense`` also
            ``maps``, N arrays float32 (C, h, w), and ``images``, N arrays uint8
            (H, W, bands) before normalisation.

        Raises:
            MissingFileError: An input does not exist.
            CMIDError: A folder holds no image.
            ImageError: No image could be read.
        """
        files = list_inputs(inputs)
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

    def preprocess(self, inputs: Sequence[str]) -> tuple[Tensor, list]:
        """Read images and prepare them for the backbone.

        Args:
            inputs (Sequence[str]): Files whose images have one size after the pipeline.

        Returns:
            tuple: (B, bands, H, W) float32 normalised on the device, and B arrays uint8
            (H, W, bands).

        Raises:
            ImageError: An image cannot be read.
        """
        images = [self.pipeline(path) for path in inputs]
        return self.normalise(images), images

    def normalise(self, images: list) -> Tensor:
        """uint8 (H, W, bands) of one size to (B, bands, H, W) float32 on the device."""
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.mean.device)
        return (batch.float() - self.mean) / self.std

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Last feature map (B, C, h, w) of normalised images; (B, C) of some backbones."""
        return self.model(inputs)[-1]

    def _set_normalisation(self, cfg: Config, meta: dict, device: str) -> None:
        own = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        for name in ('mean', 'std'):
            numbers = meta.get(name) or own.get(name)
            if not numbers:
                raise CMIDError(
                    f'neither the checkpoint nor {cfg.filename} has the {name} of the bands: '
                    'set it in model.data_preprocessor (tools/dataset_statistics.py)')
            setattr(self, name, torch.tensor(numbers, device=device)[:, None, None])

    def _batches(self, files: list, batch_size: int, failed: list) -> Iterator[tuple]:
        """Paths and images of one size, at most ``batch_size``; appends to ``failed``."""
        paths, images = [], []
        read = read_in_parallel(ReadImages(files, self.pipeline),
                                show_progress=self.show_progress)
        # in this order, so that the bar reaches its end
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


def scene_vectors(maps: Tensor) -> Tensor:
    """(B, C) float32, the spatial mean of maps (B, C, h, w), or vectors (B, C) unchanged."""
    return (maps.mean((2, 3)) if maps.ndim == 4 else maps).float()
