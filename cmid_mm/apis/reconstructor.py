"""Reconstructions of images by a trained student."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device

from ..utils.errors import CMIDError
from ..utils.keyed_random import view_key
from ..visualization.reconstruction import reconstruction_panels
from .images import ImageReader
from .model import build_model


class Reconstructor:
    """Reconstructs images by the student of a pre-training.

    Args:
        cfg (Config): Config of the pre-training.
        checkpoint (str): Checkpoint of the pre-training.
        device (str, optional): Defaults to None: a GPU where there is one.

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: The config is of another training, or the checkpoint of another model or
            of the backbone alone.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str | None = None):
        if cfg.get('model', {}).get('type') != 'CMID':
            raise CMIDError(f'the model of {cfg.filename} is no CMID and reconstructs nothing: '
                            'give the config of the pre-training (work_dirs/.../config.py)')
        self.model = build_model(cfg, checkpoint, device or get_device())
        # masks are for squares of the size of the views
        self.read = ImageReader(cfg, cfg.model.image_size, self.model.data_preprocessor.bands)

    def __call__(self, paths: Sequence[str], seed: int = 0) -> list:
        """Panels of images, see ``reconstruction_panels``.

        Args:
            paths (Sequence[str]): Files.
            seed (int): Seed of the masks. Defaults to 0.

        Raises:
            ImageError: A file cannot be read, or has other bands than the model.
        """
        images = torch.from_numpy(np.stack([self.read(path) for path in paths]))
        keys = torch.tensor([view_key(seed, 0, i, 0) for i in range(len(images))])
        device = next(self.model.parameters()).device
        return reconstruction_panels(
            self.model, images.permute(0, 3, 1, 2).contiguous().to(device), keys.to(device))
