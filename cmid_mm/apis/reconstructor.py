"""Reconstructions of images by a trained student."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmpretrain.registry import TRANSFORMS

from ..checkpoints.files import load_checkpoint_file
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError
from ..utils.keyed_random import view_key
from ..visualization.reconstruction import reconstruction_panels
from .model import build_from
from .pipelines import read_at, test_pipeline


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
        content = load_checkpoint_file(checkpoint)
        if not any('decoder.' in key for key in content.get('state_dict', content)):
            raise CMIDError(f'{checkpoint} holds no decoder, it is of a backbone alone: give '
                            'the checkpoint that the pre-training wrote '
                            '(work_dirs/.../epoch_N.pth)')
        self.model = build_from(cfg, content, Path(checkpoint).name, device or get_device())
        with scope_of(cfg):
            # masks are for squares of the size of the views
            steps = test_pipeline(read_at(cfg, cfg.model.image_size))
            self.pipeline = Compose([TRANSFORMS.build(step) for step in steps])

    def __call__(self, paths: Sequence[str], seed: int = 0) -> list:
        """Panels of images, see ``reconstruction_panels``.

        Args:
            paths (Sequence[str]): Files.
            seed (int): Seed of the masks. Defaults to 0.
        """
        images = [self.pipeline(dict(img_path=path))['img'] for path in paths]
        # resizing drops the axis of a single band
        batch = np.stack([image.reshape(*image.shape[:2], -1) for image in images])
        batch = torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous()
        keys = torch.tensor([view_key(seed, 0, i, 0) for i in range(len(images))])
        device = next(self.model.parameters()).device
        return reconstruction_panels(self.model, batch.to(device), keys.to(device))
