"""Stock configs of the installed mmseg and mmdet, changed in two lines."""
import importlib
from pathlib import Path

import pytest
import torch
from frameworks import random_weights, save
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, init_default_scope

from cmid_mm.checkpoints import initializer

TWO_LINES = '''
_base_ = {base!r}
custom_imports = dict(imports=['cmid_mm'], allow_failed_imports=False)
model = dict(backbone=dict(init_cfg=dict(type='CMIDPretrained', checkpoint={checkpoint!r})))
'''
META = dict(encoder='student', bands=3, epoch=199, mean=[86.182, 91.928, 85.374],
            std=[34.655, 34.476, 35.879])
# framework, stock config, the student that was pre-trained, what stays fresh
STOCK = {
    'mmseg-swin': (
        'mmseg', 'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py',
        dict(type='mmpretrain.SwinTransformer', arch='tiny', out_indices=(3, )),
        {'norm0', 'norm1', 'norm2'}),
    'mmdet-resnet50': (
        'mmdet', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        dict(type='mmpretrain.ResNet', depth=50), set()),
    'mmdet-swin': (
        'mmdet', 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
        dict(type='mmpretrain.SwinTransformer', arch='tiny', out_indices=(3, )),
        {'norm0', 'norm1', 'norm2'}),
}


def stock_config(framework, name):
    """Path of a config inside the installed package; skips where it is absent."""
    package = pytest.importorskip(framework)
    path = Path(package.__file__).parent / '.mim' / 'configs' / name
    if not path.is_file():
        pytest.skip(f'this {framework} comes without {name}')
    return str(path)


@pytest.mark.parametrize('case', STOCK)
def test_two_lines(case, tmp_path, monkeypatch):
    framework, name, student, fresh = STOCK[case]
    base = stock_config(framework, name)
    trained = random_weights(MODELS.build(student))
    checkpoint, state = save(trained, tmp_path / 'backbone.pth', **META)
    (tmp_path / 'mine.py').write_text(TWO_LINES.format(base=base, checkpoint=checkpoint))

    cfg = Config.fromfile(tmp_path / 'mine.py')
    stock = Config.fromfile(base)
    assert cfg.model.backbone.type == stock.model.backbone.type  # nothing else changes
    importlib.import_module(f'{framework}.models')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    # what mmengine's RuntimeInfoHook does before the weights are initialised
    MessageHub.get_instance(str(tmp_path)).update_info('cfg', cfg.pretty_text)
    lines = []
    monkeypatch.setattr(initializer, 'print_log',
                        lambda text, logger, level: lines.append(text))
    model.init_weights()

    own = model.backbone.state_dict()
    assert {key.split('.')[0] for key in set(own) - set(state)} == fresh
    for key, value in own.items():
        if key in state:
            assert torch.equal(value, state[key]), key
    counted = sum('position_index' not in key for key in state)
    assert lines[0].startswith(
        f'CMIDPretrained: backbone.pth (student, 3 bands, epoch 199): {counted} of {counted} '
        'tensors matched, 0 missing, 0 unexpected, 0 reshaped')
    # stock configs normalise as ImageNet does
    assert ('--cfg-options model.data_preprocessor.mean=[86.182,91.928,85.374] '
            'model.data_preprocessor.std=[34.655,34.476,35.879]') in lines[1]


def test_the_stock_resnet_of_mmseg_has_another_stem(tmp_path):
    """ResNetV1c, and weights of its own named at the model: two more words to change."""
    base = stock_config('mmseg', 'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    trained = random_weights(MODELS.build(dict(type='mmpretrain.ResNet', depth=50)))
    checkpoint, state = save(trained, tmp_path / 'backbone.pth')
    text = TWO_LINES.format(base=base, checkpoint=checkpoint)
    (tmp_path / 'mine.py').write_text(text)
    importlib.import_module('mmseg.models')
    init_default_scope('mmseg')
    with pytest.raises(AssertionError, match='init_cfg and pretrained cannot'):
        MODELS.build(Config.fromfile(tmp_path / 'mine.py').model)
    text = text.replace('model = dict(', 'model = dict(pretrained=None, ')
    (tmp_path / 'mine.py').write_text(text)
    with pytest.raises(ValueError, match="use type='ResNet'"):
        MODELS.build(Config.fromfile(tmp_path / 'mine.py').model).backbone.init_weights()
    text = text.replace('backbone=dict(', "backbone=dict(type='ResNet', ")
    (tmp_path / 'mine.py').write_text(text)
    model = MODELS.build(Config.fromfile(tmp_path / 'mine.py').model)
    model.backbone.init_weights()
    own = model.backbone.state_dict()
    assert set(own) == set(state)
    assert all(torch.equal(own[key], state[key]) for key in state)
