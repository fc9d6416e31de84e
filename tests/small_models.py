"""CMID models of any size for tests, and the students that are tested."""
import copy

import torch
from mmpretrain.registry import MODELS

from cmid_mm.utils.keyed_random import view_key

# a Swin of four thin stages for 64 px
TINY_SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]),
    img_size=64, window_size=2, drop_path_rate=0., out_indices=(3, ))
# one of each family, for 64 px
STUDENTS = dict(
    resnet=dict(type='ResNet', depth=18),
    swin=TINY_SWIN,
    vit=dict(type='VisionTransformer', arch='deit-tiny', img_size=64, out_type='featmap'),
    convnext=dict(type='ConvNeXt', arch='atto', gap_before_final_norm=False))


def cmid_config(backbone=TINY_SWIN, image_size=64, bands=3, norm_cfg=None, **changes):
    """Config of a CMID with thin necks and short queue around any backbone."""
    config = dict(
        type='CMID',
        backbone=copy.deepcopy(backbone),
        decoder=dict(type='CMIDDecoder'),
        global_projector=dict(type='CMIDGlobalProjector', hidden_channels=32, out_channels=16),
        dense_projector=dict(
            type='CMIDDenseProjector', hidden_channels=32, bottleneck_channels=16,
            num_prototypes=24, norm_cfg=norm_cfg),
        reconstruction_head=dict(type='CMIDReconstructionHead'),
        global_head=dict(type='CMIDGlobalHead', embed_dims=16, queue_size=50),
        local_head=dict(type='CMIDLocalHead', num_prototypes=24),
        data_preprocessor=dict(
            type='CMIDDataPreprocessor', mean=[100.] * bands, std=[50.] * bands),
        image_size=image_size)
    for key, value in changes.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return config


def build_cmid(*args, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(cmid_config(*args, **kwargs))
    model.init_weights()
    return model.train()


def loader_batch(size=2, image_size=64, bands=3, epoch=0):
    """A batch of the loader: textured images, keys and boxes."""
    generator = torch.Generator().manual_seed(epoch)
    coarse = torch.rand(size, 2 * bands, 8, 8, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=image_size, mode='bilinear')
    boxes = torch.tensor([0., 0., 80., 72., 0.]) + 20 * torch.rand(size, 2, 5, generator=generator)
    boxes[..., 4] = (boxes[..., 4] > 10).float()
    keys = [[view_key(0, epoch, sample, view) for view in (0, 1)] for sample in range(size)]
    return dict(
        inputs=(images * 255).to(torch.uint8).unflatten(1, (2, bands)),
        view_boxes=boxes,
        view_keys=torch.tensor(keys))


def losses_of(model, batch):
    return model(**model.data_preprocessor(batch, True), mode='loss')
