"""Rates and weight decay of every parameter, in the models of all frameworks."""
import importlib
import itertools

import frameworks
import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

from cmid_mm.utils.errors import CMIDError

BN = dict(norm_cfg=dict(type='BN'))
SEGMENTOR = dict(
    train_cfg=dict(), test_cfg=dict(mode='whole'), decode_head=dict(
        type='FCNHead', in_channels=64, in_index=-1, channels=8, num_convs=1, num_classes=2,
        **BN))
MODELS = dict(
    mmpretrain=dict(type='ImageClassifier', head=dict(
        type='LinearClsHead', num_classes=2, in_channels=64)),
    mmseg=dict(type='EncoderDecoder', **SEGMENTOR),
    siamese=dict(type='SiameseEncoderDecoder', **SEGMENTOR),
    mmdet=dict(type='RetinaNet', neck=dict(
        type='FPN', in_channels=[8, 16, 32, 64], out_channels=8, num_outs=4), bbox_head=dict(
            type='RetinaHead', num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1)))
BACKBONES = dict(
    resnet=frameworks.RESNET18,
    swin=frameworks.swin('mmpretrain'),
    vit=frameworks.vit('mmpretrain'),
    convnext=dict(
        type='ConvNeXt', arch=dict(depths=[1] * 4, channels=[8, 16, 32, 64]),
        out_indices=(0, 1, 2, 3), gap_before_final_norm=False))
#: Distance to the heads of some parameters.
DISTANCES = dict(
    resnet={'conv1.weight': 5, 'bn1.bias': 5, 'layer1.0.conv1.weight': 4,
            'layer3.1.bn2.weight': 2, 'layer4.0.downsample.0.weight': 1},
    swin={'patch_embed.projection.weight': 5, 'stages.0.blocks.1.attn.w_msa.qkv.weight': 4,
          'stages.0.downsample.reduction.weight': 4, 'norm1.weight': 3,
          'stages.3.blocks.0.attn.w_msa.relative_position_bias_table': 1, 'norm3.bias': 1},
    vit={'cls_token': 3, 'pos_embed': 3, 'patch_embed.projection.bias': 3,
         'layers.0.attn.qkv.weight': 2, 'layers.1.ln1.weight': 1, 'ln1.weight': 1},
    convnext={'downsample_layers.0.0.weight': 5, 'stages.0.0.gamma': 4,
              'downsample_layers.1.1.weight': 3, 'stages.2.0.pointwise_conv1.weight': 2,
              'norm1.weight': 3, 'norm3.weight': 1})


def build(framework, backbone):
    if framework == 'siamese':
        pytest.importorskip('mmseg')
        importlib.import_module('cmid_mm.models.segmentors')
    scope = 'mmseg' if framework == 'siamese' else framework
    backbone = dict(backbone, type=f'mmpretrain.{backbone["type"]}')
    if backbone['type'] == 'mmpretrain.ResNet':
        backbone['out_indices'] = (0, 1, 2, 3)
    return frameworks.build(scope, dict(MODELS[framework], backbone=backbone))


def groups_of(model, decay=0.5, **paramwise):
    """The group of every parameter by its name."""
    wrapper = build_optim_wrapper(model, dict(
        constructor='LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay=decay, **paramwise),
        optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.01)))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(parameter)]: group for group in wrapper.optimizer.param_groups
             for parameter in group['params']}
    assert set(found) == {name for name, parameter in model.named_parameters()
                          if parameter.requires_grad}
    return found, wrapper


@pytest.mark.parametrize('framework, backbone', [
    *itertools.product(MODELS, ('resnet', 'swin')), ('mmseg', 'vit'), ('mmseg', 'convnext')])
def test_rates_computed_by_hand(framework, backbone):
    model = build(framework, BACKBONES[backbone])
    found, wrapper = groups_of(model)
    for name, distance in DISTANCES[backbone].items():
        assert found[f'backbone.{name}']['lr'] == pytest.approx(0.1 * 0.5**distance), name
    for name, group in found.items():
        if not name.startswith('backbone.'):
            assert (group['lr'], group['layer']) == (0.1, 'head'), name
        flat = dict(model.named_parameters())[name].ndim < 2 or name.endswith('bias')
        assert group['weight_decay'] == (0 if flat else 0.01), name
    # the rate in the log is that of the first group
    assert wrapper.get_lr()['lr'][0] == 0.1
    groups = wrapper.optimizer.param_groups
    assert len(groups) <= 2 * len({group['layer'] for group in groups})


def test_layers_have_names():
    found, _ = groups_of(build('mmpretrain', BACKBONES['resnet']))
    assert list(dict.fromkeys(group['layer'] for group in found.values())) == [
        'head', 'layer4', 'layer3', 'layer2', 'layer1', 'stem']


@pytest.mark.parametrize('scope, kind', [
    ('mmdet', 'swin'), ('mmseg', 'swin'), ('mmseg', 'vit'), ('mmseg', 'ResNetV1c')])
def test_backbones_of_the_other_frameworks_have_the_same_layers(scope, kind):
    config = dict(frameworks.RESNET18, type=kind, **BN) if kind == 'ResNetV1c' else getattr(
        frameworks, kind)(scope)
    model = nn.Module()
    model.backbone = frameworks.build(scope, config)
    model.head = nn.Linear(2, 2)
    found, _ = groups_of(model)
    distances = DISTANCES['resnet' if kind == 'ResNetV1c' else kind]
    for name, distance in distances.items():
        if f'backbone.{name}' in found:
            assert found[f'backbone.{name}']['lr'] == pytest.approx(0.1 * 0.5**distance), name
    if kind == 'ResNetV1c':
        assert found['backbone.stem.0.weight']['layer'] == 'stem'


def test_frozen_stages_and_keys_of_the_config():
    model = build('mmpretrain', dict(BACKBONES['resnet'], frozen_stages=1))
    found, _ = groups_of(model, norm_decay_mult=0., custom_keys={
        'layer2': dict(lr_mult=2, decay_mult=0.), 'layer2.0': dict(decay_mult=3)})
    assert found['backbone.layer2.1.conv1.weight']['lr'] == pytest.approx(0.1 * 0.5**3 * 2)
    assert found['backbone.layer2.1.conv1.weight']['weight_decay'] == 0
    assert found['backbone.layer2.0.conv1.weight']['lr'] == pytest.approx(0.1 * 0.5**3)
    assert found['backbone.layer2.0.conv1.weight']['weight_decay'] == pytest.approx(0.03)


@pytest.mark.parametrize('backbone', ['resnet', 'swin'])
def test_the_whole_backbone_at_a_share_of_the_rate(backbone):
    model = build('mmseg', BACKBONES[backbone])
    found, _ = groups_of(model, decay=1, backbone_lr_mult=0.1, custom_keys={
        'relative_position_bias_table': dict(decay_mult=0.), 'layer4': dict(lr_mult=3)})
    for name, group in found.items():
        share = 1 if not name.startswith('backbone.') else 0.3 if 'layer4' in name else 0.1
        assert group['lr'] == pytest.approx(0.1 * share), name
    assert groups_of(model, backbone_lr_mult=0.1)[0]['backbone.' + next(
        iter(DISTANCES[backbone]))]['lr'] == pytest.approx(0.01 * 0.5**5)


@pytest.mark.parametrize('culprit, paramwise', [
    ('layer_decay', dict(decay=0)), ('layer_decay', dict(decay=1.2)),
    ('backbone_lr_mult', dict(backbone_lr_mult=0)),
    ('bias_lr_mult', dict(bias_lr_mult=2)), ('norm_decay_mult', dict(norm_decay_mult=1))])
def test_settings_without_a_meaning(culprit, paramwise):
    with pytest.raises(CMIDError, match=culprit):
        groups_of(build('mmpretrain', BACKBONES['resnet']), **paramwise)


def test_other_backbones_are_refused():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(CMIDError, match='missing'):
        groups_of(model)
    model.backbone = nn.Linear(2, 2)
    with pytest.raises(CMIDError, match='ResNet, Swin, .* is Linear'):
        groups_of(model)
    # its first stage has ResNet's names, the others would be taken for its stem
    model.backbone = frameworks.build('mmpretrain', dict(type='HRNet', arch='w18'))
    with pytest.raises(CMIDError, match='ResNet, Swin, .* is HRNet'):
        groups_of(model)
