import pytest
import torch
from mmpretrain.registry import MODELS
from small_models import STUDENTS, TINY_SWIN, build_cmid

from cmid_mm.models.selfsup.backbone_probe import BackboneShape, probe_backbone

VIT = STUDENTS['vit']


@pytest.mark.parametrize('backbone,expected', [
    (dict(type='ResNet', depth=18), BackboneShape('maxpool', (16, 16), (1, 64, 1, 1), 512, 32)),
    (TINY_SWIN, BackboneShape('patch_embed', (16, 16), (1, 1, 16), 128, 32)),
    (VIT, BackboneShape('patch_embed', (4, 4), (1, 1, 192), 192, 16)),
    (dict(type='ConvNeXt', arch='atto', gap_before_final_norm=False),
     BackboneShape('downsample_layers.0', (16, 16), (1, 40, 1, 1), 320, 32)),
])
def test_sizes_are_read_from_the_backbone(backbone, expected):
    backbone = MODELS.build(backbone)
    backbone.train()
    state = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert probe_backbone(backbone, 3, 64) == expected
    assert backbone.training
    assert not any(module._forward_hooks for module in backbone.modules())
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize('backbone,settings,hint', [
    (dict(type='ConvNeXt', arch='atto'), {}, 'gap_before_final_norm=False'),
    (dict(type='VisionTransformer', arch='deit-tiny', img_size=64), {}, "out_type='featmap'"),
    (dict(type='ResNet', depth=18, in_channels=4), {}, 'in_channels'),
    (dict(type='SwinTransformer', arch='tiny', out_indices=(3, )), {}, 'window'),
    (dict(type='MobileNetV2'), {}, 'mask_stem'),
    (dict(type='ResNet', depth=18), dict(image_size=80), 'tile'),
    # cells of 24 px do not divide the image; 4 px are finer than the 16 px of a token
    (VIT, dict(data_preprocessor=dict(mask_cell=24)), 'mask_cell'),
    (VIT, dict(data_preprocessor=dict(mask_cell=4)), 'mask_cell'),
])
def test_unfit_backbones_are_refused_with_a_hint(backbone, settings, hint):
    with pytest.raises(ValueError, match=hint):
        build_cmid(backbone, **settings)


def test_any_stem_can_be_named():
    model = build_cmid(dict(type='MobileNetV2'), mask_stem='conv1')
    assert model.mask_token.shape == (1, 32, 1, 1)
