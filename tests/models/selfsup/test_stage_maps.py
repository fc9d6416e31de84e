"""Maps of stages are those of the backbone itself."""
import pytest
import torch
from mmpretrain.registry import MODELS
from small_models import TINY_SWIN

from cmid_mm.models.selfsup.stage_maps import stage_maps

VIT = dict(type='VisionTransformer', img_size=64, patch_size=16, out_type='featmap',
           final_norm=False,
           arch=dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32))
CONVNEXT = dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16]),
                gap_before_final_norm=False)


@pytest.mark.parametrize('settings, stage, size', [
    (dict(type='ResNet', depth=18, out_indices=(1, )), 2, (8, 12)),
    (dict(VIT, out_indices=(1, )), 2, (4, 6)),
    (dict(TINY_SWIN, out_indices=(1, )), 2, (8, 12)),
    (dict(CONVNEXT, out_indices=(1, )), 2, (8, 12))])
def test_maps_are_those_of_the_backbone(settings, stage, size):
    model = MODELS.build(settings)
    model.eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad(), stage_maps(model, stage) as found:
        (expected, ) = model(images)
        model(images[:1])
    assert [maps.shape[0] for maps in found] == [2, 1]
    assert found[0].shape[-2:] == size
    made = found[0]
    # Swin and ConvNeXt normalise their outputs
    if settings['type'] == 'ConvNeXt':
        made = model.norm1(made)
    elif settings['type'] == 'SwinTransformer':
        made = model.norm1(made.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(expected)
    assert torch.allclose(made, expected, atol=1e-6)
    assert not model._forward_hooks and not any(m._forward_hooks for m in model.modules())
