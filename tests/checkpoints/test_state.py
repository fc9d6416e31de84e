"""Comparison of state dicts, and files that do not fit: one line that counts, shows and helps."""
import os

import pytest
import torch
from frameworks import RESNET18, RESNET50, THIN, build, cmid, random_weights, save, swin, vit

from cmid_mm.checkpoints.initializer import CMIDPretrained
from cmid_mm.checkpoints.state import compare_states


def refused(framework, config, path, **arguments):
    """The message; and the model must be as it was."""
    model = build(framework, dict(config, init_cfg=cmid(path, **arguments)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        model.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert '\n' not in str(error.value)
    return str(error.value)


def resnet(depth):
    return dict(type='ResNet', depth=depth, **THIN)


@pytest.fixture
def resnet50(tmp_path):
    return save(random_weights(build('mmpretrain', RESNET50)), tmp_path / 'r50.pth',
                encoder='student')[0]


def test_states_are_compared_by_name_and_shape():
    own = {key: torch.zeros(2) for key in 'abcdef'}
    found = {f'module.{key}': torch.ones(3 if key == 'b' else 2) for key in 'abz'}
    match = compare_states(own, found)
    assert list(match.tensors) == ['a'] and match.unexpected == ['z']
    assert match.differences == (
        '4 missing (c, d, e, ...), 1 unexpected (z), 1 of other shapes, file -> model '
        '(b (3,) -> (2,))')
    assert compare_states(own, dict(own)).differences == ''


def test_resnet50_into_v1c(resnet50):
    message = refused('mmpretrain', dict(RESNET50, type='ResNetV1c'), resnet50)
    assert message.startswith(
        'CMIDPretrained: r50.pth (student) does not fit mmpretrain ResNetV1c: 312 of 330 '
        'tensors of the model filled, 312 of 318 of the file used, min_match=1; 18 missing '
        '(stem.0.conv.weight, stem.0.bn.weight, stem.0.bn.bias, ...), 6 unexpected (conv1.weight, '
        'bn1.weight, bn1.bias, ...)')
    assert message.endswith("use type='ResNet'")


def test_v1c_into_resnet50(tmp_path):
    path, _ = save(build('mmpretrain', dict(RESNET50, type='ResNetV1c')), tmp_path / 'v1c.pth')
    assert refused('mmpretrain', RESNET50, path).endswith("use type='ResNetV1c'")


@pytest.mark.parametrize('here,there', [(101, 50), (50, 101), (18, 34), (18, 50)])
def test_another_depth_even_where_every_tensor_would_be_filled(here, there, tmp_path):
    path, _ = save(build('mmpretrain', resnet(here)), tmp_path / 'b.pth')
    message = refused('mmpretrain', resnet(there), path)
    assert f'the file is a ResNet-{here} (' in message
    assert f'the model a ResNet-{there} (' in message
    if (here, there) == (101, 50):
        assert '318 of 318 tensors of the model filled, 318 of 624 of the file' in message


def test_another_family(resnet50):
    message = refused('mmpretrain', swin('mmpretrain'), resnet50)
    assert 'the file is a ResNet-50' in message and 'the model a Swin' in message


def test_swin_base_into_swin_tiny(tmp_path):
    """mmseg's class, which has the settings in its arguments."""
    pytest.importorskip('mmseg')
    base = build('mmpretrain', dict(type='SwinTransformer', arch='base'))
    state = {f'backbone.{key}': value if 'index' in key else torch.zeros(1).expand(value.shape)
             for key, value in base.state_dict().items()}
    path = tmp_path / 'swin.pth'
    torch.save(dict(state_dict=state), path)
    message = refused('mmseg', dict(type='SwinTransformer', embed_dims=96), str(path))
    assert ('the file is a Swin-B (embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, '
            '32]), the model a Swin-T (embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, '
            '12, 24])') in message
    assert ' 0 of 171 tensors of the model filled' in message


def test_no_common_key(tmp_path):
    torch.save({'encoder.a.weight': torch.ones(1), 'encoder.b': torch.ones(1),
                'head.c': torch.ones(1)}, tmp_path / 'x.pth')
    message = refused('mmpretrain', RESNET18, str(tmp_path / 'x.pth'))
    assert ('no common key: the file has encoder, head, the model needs conv1, bn1, layer1, '
            'layer2, layer3, ...') in message
    assert '0 of 120 tensors' in message


def test_backbone_under_another_prefix(tmp_path):
    path, _ = save(build('mmpretrain', RESNET18), tmp_path / 'b.pth', 'student.trunk.')
    assert "under prefix='student.trunk.'" in refused('mmpretrain', RESNET18, path)
    CMIDPretrained(path, prefix='student.trunk')(build('mmpretrain', RESNET18))


def test_init_cfg_of_the_whole_model(resnet50):
    model = dict(type='ImageClassifier', backbone=RESNET50)
    assert refused('mmpretrain', model, resnet50).endswith('model.backbone.init_cfg')


def test_vit_of_mmseg_without_the_bias_of_its_patches(tmp_path):
    path, _ = save(build('mmpretrain', vit('mmpretrain')), tmp_path / 'b.pth')
    message = refused('mmseg', dict(vit('mmseg'), patch_bias=False), path)
    assert '1 unexpected (patch_embed.projection.bias)' in message
    assert message.endswith('set patch_bias=True in the backbone')


def test_last_norm_of_swin_is_no_inner_norm(tmp_path):
    path, _ = save(build('mmpretrain', dict(swin('mmpretrain'), out_indices=(0, ))),
                   tmp_path / 'b.pth')
    message = refused('mmpretrain', swin('mmpretrain'), path)
    assert '2 missing (norm3.weight, norm3.bias)' in message


def test_table_of_positions_in_another_order(tmp_path):
    path, _ = save(build('mmpretrain', swin('mmpretrain')), tmp_path / 'b.pth')
    content = torch.load(path, weights_only=True)
    key = 'backbone.stages.0.blocks.0.attn.w_msa.relative_position_index'
    content['state_dict'][key] = content['state_dict'][key].flip(0)
    torch.save(content, path)
    assert 'another order of positions' in refused('mmpretrain', swin('mmpretrain'), path)


def test_code_in_a_file_is_never_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'ran'), )

    torch.save(dict(state_dict={'conv1.weight': Bomb()}), tmp_path / 'bomb.pth')
    message = refused('mmpretrain', RESNET18, str(tmp_path / 'bomb.pth'))
    assert 'would have to run code' in message
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('content, arguments, match', [
    ({'epoch': 3}, {}, 'holds no tensors'), ({'state_dict': {}}, {}, 'holds no tensors'),
    ([1], {}, 'holds a list'),
    ({'a': torch.ones(1)}, dict(encoder='teacher'), 'one encoder and does not state whose'),
    ({'state_dict': {'a': torch.ones(1)}, 'meta': dict(encoder='teacher')},
     dict(encoder='student'), 'holds the teacher: omit encoder'),
    ({'state_dict': {'online_encoder.model.conv1.weight': torch.ones(1)}}, {},
     'convert_published.py'),
    ({'state_dict': {'stem.conv.weight': torch.ones(1)}, 'meta': dict(format='timm')}, {},
     'the names of timm')])
def test_wrong_files(content, arguments, match, tmp_path):
    torch.save(content, tmp_path / 'x.pth')
    assert match in refused('mmpretrain', RESNET18, str(tmp_path / 'x.pth'), **arguments)


def test_no_file():
    with pytest.raises(FileNotFoundError, match='no such checkpoint: nowhere.pth'):
        CMIDPretrained('nowhere.pth')(build('mmpretrain', RESNET18))


@pytest.mark.parametrize('arguments,match', [
    (dict(checkpoint='x', chekpoint='x'), 'chekpoint'), (dict(), 'needs the path'),
    (dict(checkpoint='x', encoder='pupil'), "one of .*, not 'pupil'"),
    (dict(checkpoint='x', min_match=98), 'min_match=98'),
    (dict(checkpoint='x', allow_missing='('), 'no regular expression')])
def test_wrong_arguments_are_reported_when_the_model_is_built(arguments, match):
    with pytest.raises((TypeError, ValueError), match=match):
        build('mmpretrain', dict(RESNET18, init_cfg=dict(type='CMIDPretrained', **arguments)))


def test_a_list_is_refused():
    with pytest.raises(ValueError, match='init_cfg is a list that holds a CMIDPretrained'):
        build('mmpretrain', dict(RESNET18, init_cfg=[cmid('x.pth')]))
