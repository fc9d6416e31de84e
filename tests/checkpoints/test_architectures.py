"""Exports compared with the real models of torchvision and timm: features, refusals, names."""
import pytest
import torch
from damaged_images import refused
from frameworks import THIN
from mmpretrain.registry import MODELS
from torch import nn

from cmid_mm.checkpoints.architectures import LIBRARIES, convert_backbone, describe

DEPTHS, HEADS = [2, 2, 2, 2], [1, 2, 4, 8]
# name: (backbone here, image size)
BACKBONES = dict(
    resnet50=(dict(type='ResNet', depth=50), 64),
    swin=(dict(
        type='SwinTransformer', out_indices=(3, ),
        arch=dict(embed_dims=16, depths=DEPTHS, num_heads=HEADS)), 224),
    vit=(dict(
        type='VisionTransformer', img_size=64, out_type='raw',
        arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128)), 64),
    convnext=(dict(
        type='ConvNeXt', arch=dict(depths=[1, 2, 2, 1], channels=[8, 16, 32, 64]),
        gap_before_final_norm=False), 64),
)


def backbone_of(name, **changes):
    """Every tensor differs from its initial value, so that a wrong place is found."""
    backbone = MODELS.build(dict(BACKBONES[name][0], **changes)).double()
    backbone.eval()
    with torch.no_grad():
        for key, value in backbone.state_dict().items():
            if value.is_floating_point():
                spread = 0.2 if value.ndim > 1 or key.endswith('gamma') else 0.1
                value.add_(spread * torch.rand_like(value))
    return backbone


def torchvision_model(name):
    from torchvision import models
    from torchvision.models.convnext import CNBlockConfig
    if name == 'resnet50':
        return models.resnet50(weights=None)
    if name == 'swin':
        return models.SwinTransformer([4, 4], 16, DEPTHS, HEADS, [7, 7])
    if name == 'vit':
        return models.VisionTransformer(64, 16, 2, 4, 32, 128)
    return models.ConvNeXt([
        CNBlockConfig(8, 16, 1), CNBlockConfig(16, 32, 2), CNBlockConfig(32, 64, 2),
        CNBlockConfig(64, None, 1)])


def torchvision_features(name, model, image):
    if name == 'resnet50':
        model.avgpool, model.fc = nn.Identity(), nn.Identity()
        return model(image)
    if name == 'swin':
        return model.norm(model.features(image))
    if name == 'vit':
        tokens = model._process_input(image)
        return model.encoder(torch.cat([model.class_token, tokens], 1))
    return model.classifier[0](model.features(image))


def timm_model(name):
    timm = pytest.importorskip('timm')
    sizes = dict(
        resnet50=('resnet50', {}),
        swin=('swin_tiny_patch4_window7_224', dict(embed_dim=16, depths=DEPTHS,
                                                   num_heads=HEADS)),
        vit=('vit_tiny_patch16_224', dict(img_size=64, embed_dim=32, depth=2, num_heads=4)),
        convnext=('convnext_tiny', dict(depths=[1, 2, 2, 1], dims=[8, 16, 32, 64])))
    kind, arguments = sizes[name]
    return timm.create_model(kind, **arguments)


def timm_features(name, model, image):
    features = model.forward_features(image)
    return model.head.norm(features) if name == 'convnext' else features


@pytest.mark.parametrize('library', LIBRARIES)
@pytest.mark.parametrize('name', BACKBONES)
@torch.no_grad()
def test_features_are_the_same(name, library):
    backbone = backbone_of(name)
    image = torch.randn(1, 3, *[BACKBONES[name][1]] * 2, dtype=torch.float64)
    model = globals()[f'{library}_model'](name).double().eval()
    result = model.load_state_dict(convert_backbone(backbone.state_dict(), library), False)
    assert not result.unexpected_keys
    # the classifier is not ours
    head = ('fc.', 'head.weight', 'head.bias', 'heads.', 'head.fc.', 'classifier.2.')
    assert all(key.startswith(head) for key in result.missing_keys), result.missing_keys
    expected = backbone(image)[-1]
    found = globals()[f'{library}_features'](name, model, image)
    if name == 'swin':
        found = found.permute(0, 3, 1, 2)
    if name == 'resnet50':
        found = found.reshape(expected.shape)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    # the image matters, so equality is no accident
    other = backbone(image.flip(-1))[-1]
    assert (other - expected).norm() > 1e-3 * expected.norm()


@pytest.mark.parametrize('library', LIBRARIES)
@pytest.mark.parametrize('name', ['swin', 'convnext'])
def test_exports_share_no_memory(name, library):
    state = backbone_of(name, out_indices=(0, 1, 2, 3)).state_dict()
    converted = convert_backbone(state, library)
    # norms of inner stages are no part of a classifier
    assert list(converted) == list(convert_backbone(backbone_of(name).state_dict(), library))
    storage = {value.untyped_storage().data_ptr() for value in state.values()}
    for key, value in converted.items():
        assert value.is_contiguous(), key
        assert value.untyped_storage().data_ptr() not in storage, key
    # pointwise convolutions become linear layers
    for key, value in state.items():
        if '.pointwise' in key and value.ndim == 2:
            state[key] = value[:, :, None, None]
    found = convert_backbone(state, library)
    assert all(torch.equal(found[key], value) for key, value in converted.items())


@pytest.mark.parametrize('backbone, strange', [
    (dict(type='ResNetV1c', depth=18), r'none of mmpretrain.*stem\.0\.conv'),
    (dict(type='SEResNet', depth=50), 'plain ResNet.*se_layer'),
    (dict(type='SwinTransformerV2', arch='tiny'), 'none of mmpretrain'),
    (dict(type='VisionTransformer', arch='deit-tiny', layer_scale_init_value=1.),
     'plain VisionTransformer.*gamma'),
    (dict(type='VisionTransformer', arch='deit-tiny', with_cls_token=False,
          out_type='featmap'), 'none of mmpretrain'),
    (dict(type='ConvNeXt', arch='atto', use_grn=True, layer_scale_init_value=0.),
     'none of mmpretrain')])
def test_backbones_without_counterpart_are_refused(backbone, strange):
    state = MODELS.build(backbone).state_dict()
    for library in LIBRARIES:
        refused(lambda: convert_backbone(state, library), ValueError, strange,  # noqa: B023
                f'this backbone has no counterpart in {library}: ')


@pytest.mark.parametrize('backbone, description', [
    (dict(type='ResNet', depth=152, **THIN),
     'ResNet-152 (blocks [3, 8, 36, 3], base_channels=8)'),
    (dict(type='SwinTransformer', arch='tiny'),
     'Swin-T (embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24])'),
    (dict(type='VisionTransformer', arch='deit-tiny'),
     'VisionTransformer-Ti (embed_dims=192, num_layers=12)'),
    (dict(type='ConvNeXt', arch='atto'),
     'ConvNeXt (depths=[2, 2, 6, 2], first of channels=40)'),
    (dict(type='MobileNetV2'), '')])
def test_backbones_are_described_by_their_settings(backbone, description):
    assert describe(MODELS.build(backbone).state_dict()) == description
