"""Comparison of state dicts, and files that do not fit: one line that counts, shows and helps."""
import os

import pytest
import torch
from frameworks import RESNET18, RESNET50, THIN, build, cmid, save, swin, vit

from cmid_mm.checkpoints.initializer import CMIDPretrained
from cmid_mm.checkpoints.state import compare_states

V1C = dict(RESNET50, type='ResNetV1c')


def resnet(depth):
    return dict(type='ResNet', depth=depth, **THIN)


def refused(framework, config, path, **arguments):
    """The message; and the model must be as it was."""
    model = build(framework, dict(config, init_cfg=cmid(str(path), **arguments)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        model.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert '\n' not in str(error.value)
    return str(error.value)


def test_states_are_compared_by_name_and_shape():
    own = {key: torch.zeros(2) for key in 'abcdef'}
    found = {f'module.{key}': torch.ones(3 if key == 'b' else 2) for key in 'abz'}
    match = compare_states(own, found)
    assert list(match.tensors) == ['a'] and match.unexpected == ['z']
    assert match.differences == (
        '4 missing (c, d, e, ...), 1 unexpected (z), 1 of other shapes, file -> model '
        '(b (3,) -> (2,))')
    assert compare_states(own, dict(own)).differences == ''


@pytest.mark.parametrize('stored, framework, wanted, texts', [
    (RESNET50, 'mmpretrain', V1C, [
        'CMIDPretrained: b.pth (student) does not fit mmpretrain ResNetV1c: 312 of 330 '
        'tensors of the model filled, 312 of 318 of the file used, min_match=1; 18 missing '
        '(stem.0.conv.weight, stem.0.bn.weight, stem.0.bn.bias, ...), 6 unexpected (conv1.weight, '
        'bn1.weight, bn1.bias, ...)', 'a ResNet-50 (', 'the model a ResNetV1c/V1d-50 (']),
    (V1C, 'mmpretrain', RESNET50, ['file is a ResNetV1c/V1d-50 (']),
    # another depth, even where every tensor would be filled
    (resnet(101), 'mmpretrain', RESNET50, [
        'file is a ResNet-101 (', 'model a ResNet-50 (',
        '318 of 318 tensors of the model filled, 318 of 624 of the file']),
    (RESNET50, 'mmpretrain', resnet(101), ['file is a ResNet-50 (', 'model a ResNet-101 (']),
    (RESNET18, 'mmpretrain', resnet(34), ['file is a ResNet-18 (', 'model a ResNet-34 (']),
    (RESNET18, 'mmpretrain', RESNET50, ['file is a ResNet-18 (', 'model a ResNet-50 (']),
    (RESNET50, 'mmpretrain', swin('mmpretrain'), ['file is a ResNet-50', 'model a Swin']),
    (RESNET50, 'mmpretrain', dict(type='ImageClassifier', backbone=RESNET50),
     ['model.backbone.init_cfg']),
    (vit('mmpretrain'), 'mmseg', dict(vit('mmseg'), patch_bias=False),
     ['1 unexpected (patch_embed.projection.bias)', 'set patch_bias=True in the backbone']),
    # the last norm of Swin is no inner norm
    (dict(swin('mmpretrain'), out_indices=(0, )), 'mmpretrain', swin('mmpretrain'),
     ['2 missing (norm3.weight, norm3.bias)'])])
def test_another_backbone(stored, framework, wanted, texts, tmp_path):
    path, _ = save(build('mmpretrain', stored), tmp_path / 'b.pth', encoder='student')
    message = refused(framework, wanted, path)
    assert all(text in message for text in texts)


def test_swin_base_into_swin_tiny(tmp_path):
    """mmseg's class, which has the settings in its arguments."""
    base = build('mmpretrain', dict(type='SwinTransformer', arch='base'))
    torch.save({key: value if 'index' in key else torch.zeros(1).expand(value.shape)
                for key, value in base.state_dict().items()}, tmp_path / 'swin.pth')
    message = refused('mmseg', dict(type='SwinTransformer', embed_dims=96),
                      tmp_path / 'swin.pth')
    assert ('the file is a Swin-B (embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, '
            '32]), the model a Swin-T (embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, '
            '12, 24])') in message
    assert ' 0 of 171 tensors of the model filled' in message


def test_backbone_under_another_prefix(tmp_path):
    path, _ = save(build('mmpretrain', RESNET18), tmp_path / 'b.pth', 'student.trunk.')
    assert "under prefix='student.trunk.'" in refused('mmpretrain', RESNET18, path)
    CMIDPretrained(path, prefix='student.trunk')(build('mmpretrain', RESNET18))


def test_table_of_positions_in_another_order(tmp_path):
    path, _ = save(build('mmpretrain', swin('mmpretrain')), tmp_path / 'b.pth')
    content = torch.load(path, weights_only=True)
    key = 'backbone.stages.0.blocks.0.attn.w_msa.relative_position_index'
    content['state_dict'][key] = content['state_dict'][key].flip(0)
    torch.save(content, path)
    assert 'another order of positions' in refused('mmpretrain', swin('mmpretrain'), path)


class Bomb:
    """Pickles as a call that makes a folder."""

    def __reduce__(self):
        return os.mkdir, ('executed', )


ONE = torch.ones(1)


@pytest.mark.parametrize('content, arguments, match', [
    ({'conv1.weight': Bomb()}, {}, 'would have to run code'),
    ({'encoder.a.weight': ONE, 'encoder.b': ONE, 'head.c': ONE}, {},
     'no common key: the file has encoder, head, the model needs conv1, bn1, layer1, '
     'layer2, layer3, ...'),
    ({'epoch': 3}, {}, 'holds no tensors'), ({'state_dict': {}}, {}, 'holds no tensors'),
    ([1], {}, 'holds a list'),
    ({'a': ONE}, dict(encoder='teacher'), 'one encoder and does not state whose'),
    ({'state_dict': {'a': ONE}, 'meta': dict(encoder='teacher')}, dict(encoder='student'),
     'holds the teacher: omit encoder'),
    ({'online_encoder.model.conv1.weight': ONE}, {}, 'convert_published.py'),
    ({'state_dict': {'stem.conv.weight': ONE}, 'meta': dict(format='timm')}, {},
     'the names of timm')])
def test_wrong_files(content, arguments, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, 'x.pth')
    assert match in refused('mmpretrain', RESNET18, 'x.pth', **arguments)
    assert os.listdir() == ['x.pth']


@pytest.mark.parametrize('init_cfg, match', [
    (cmid('x', chekpoint='x'), 'chekpoint'), (dict(type='CMIDPretrained'), 'needs the path'),
    (cmid('x', encoder='pupil'), "one of .*, not 'pupil'"),
    (cmid('x', min_match=98), 'min_match=98'),
    (cmid('x', allow_missing='('), 'no regular expression'),
    ([cmid('x.pth')], 'init_cfg is a list that holds a CMIDPretrained')])
def test_wrong_arguments_are_reported_when_the_model_is_built(init_cfg, match):
    with pytest.raises((TypeError, ValueError), match=match):
        build('mmpretrain', dict(RESNET18, init_cfg=init_cfg))


def test_no_file():
    with pytest.raises(FileNotFoundError, match='no such checkpoint: nowhere.pth'):
        CMIDPretrained('nowhere.pth')(build('mmpretrain', RESNET18))
