"""Backbones of the neighbouring frameworks, for tests."""
import importlib

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope

# Bottlenecks of 1, 1, 1 and 1 blocks would be no ResNet; 18 and 50 of 8 channels are small.
THIN = dict(stem_channels=8, base_channels=8)
RESNET18 = dict(type='ResNet', depth=18, **THIN)
RESNET50 = dict(type='ResNet', depth=50, **THIN)
SWIN = dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8])
VIT = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=64)


def build(framework, config, scope=None):
    """A module out of a config, in a framework's scope; skips without the framework."""
    pytest.importorskip(framework)
    importlib.import_module(f'{framework}.models')
    init_default_scope(scope or framework)
    return MODELS.build(ConfigDict(config))


def swin(framework, window=2, **changes):
    """Config of a small Swin."""
    size = dict(arch=SWIN, img_size=64) if framework == 'mmpretrain' else dict(SWIN)
    return dict(size, type='SwinTransformer', window_size=window, drop_path_rate=0.,
                out_indices=(0, 1, 2, 3), **changes)


def vit(framework, image_size=64, **changes):
    """Config of a small ViT that computes the same in mmpretrain and mmseg."""
    if framework == 'mmpretrain':
        size = dict(arch=VIT, out_type='featmap')
    else:
        size = dict(embed_dims=16, num_layers=2, num_heads=2, mlp_ratio=4, patch_bias=True,
                    final_norm=True, norm_cfg=dict(type='LN', eps=1e-6))
    return dict(size, type='VisionTransformer', img_size=image_size, **changes)


def random_weights(module, seed=1):
    """Fill every parameter and running statistic with noise, so that none is alike."""
    generator = torch.Generator().manual_seed(seed)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
    return module


def save(module, path, prefix='backbone.', **meta):
    """Write an exported file of ``module``; returns its path and its tensors."""
    state = {key: value.clone() for key, value in module.state_dict().items()}
    torch.save(dict(state_dict={prefix + key: value for key, value in state.items()},
                    meta=meta), path)
    return str(path), state


def cmid(path, **arguments):
    """The ``init_cfg``."""
    return dict(type='CMIDPretrained', checkpoint=path, **arguments)
