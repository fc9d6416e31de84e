"""A complete pre-training of a tiny student, in this process."""
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from small_models import TINY_SWIN

from cmid_mm.engine.runners import CMIDRunner

CONFIGS = Path(__file__).parents[1] / 'configs'


def write_images(folder, number=16):
    """Smooth pictures, no two alike."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for i in range(number):
        coarse = draw.integers(0, 256, (5, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f'{i:02}.png'), cv2.resize(coarse, (80, 72)))


def tiny_config(folder, work_dir='run', options=None):
    """Config of four steps an epoch on 16 images that lie in ``folder / 'images'``.

    Args:
        folder (Path): Of everything.
        work_dir (str): Below ``folder``.
        options (dict, optional): Dotted keys that are changed.
    """
    if not (folder / 'images').exists():
        write_images(folder / 'images')
    cfg = Config.fromfile(CONFIGS / 'cmid' / 'cmid_resnet18_toy.py')
    cfg.model.backbone = dict(TINY_SWIN, drop_path_rate=0.2)
    cfg.model.backbone.arch = dict(TINY_SWIN['arch'], depths=[1] * 4)
    cfg.merge_from_dict({
        'model.image_size': 64,
        'model.global_projector': dict(hidden_channels=32, out_channels=16),
        'model.dense_projector': dict(hidden_channels=32, bottleneck_channels=16,
                                      num_prototypes=24, norm_cfg=dict(type='BN1d')),
        'model.global_head': dict(embed_dims=16, queue_size=50),
        'model.local_head.num_prototypes': 24,
        'train_dataloader.batch_size': 4, 'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.pin_memory': False,
        'train_dataloader.dataset.data_root': str(folder / 'images'),
        'train_dataloader.dataset.pipeline': [
            dict(type='LoadRSImage', bands=3), dict(type='CMIDTwoViews', size=64),
            dict(type='PackViews')],
        'optim_wrapper.precision': 'float32',
        'train_cfg.max_epochs': 2,
        'default_hooks.logger.interval': 1, 'default_hooks.pictures.interval': 0,
        'work_dir': str(folder / work_dir),
    } | (options or {}))
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.launcher = 'none'
    return cfg


def assert_same_run(one, other, steps=8):
    """Two loaded checkpoints have the same losses, weights and state of the optimiser."""
    losses = [losses_of_run(run) for run in (one, other)]
    assert losses[0] == losses[1] and len(losses[0]) == steps
    for key, value in one['state_dict'].items():
        assert torch.equal(value, other['state_dict'][key]), key
    for number, state in one['optimizer']['state'].items():
        for key, value in state.items():
            assert torch.equal(value, other['optimizer']['state'][number][key]), key


def losses_of_run(checkpoint):
    """Loss of every step."""
    return checkpoint['message_hub']['log_scalars']['train/loss']._log_history.tolist()


def tiny_runner(folder, work_dir='run', options=None):
    """Runner of :func:`tiny_config`; several of them may run in one test."""
    cfg = tiny_config(folder, work_dir, options)
    number = len(list(folder.glob('*/*/vis_data')))
    cfg.experiment_name = f'{folder.name}_{work_dir}_{number}'
    return CMIDRunner.from_cfg(cfg)
