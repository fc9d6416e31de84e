"""What holds for every config, whichever framework it is for."""
import re
from pathlib import Path

import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)
DOWNSTREAM = [path for path in LEAVES if path.parent.name != 'cmid']
SCOPES = dict(classification='mmpretrain', segmentation='mmseg', detection='mmdet',
              oriented_detection='mmrotate', change_detection='mmseg', opencd='opencd',
              cmid='mmpretrain')


def name_of(path):
    return str(path.relative_to(CONFIGS).with_suffix(''))


def levels(path):
    """From how many configs, one behind the other, a config inherits."""
    base = re.search(r'^_base_ = (\[.*?\]|\S+)', path.read_text(), re.M | re.S)
    files = re.findall(r"'(.+?)'", base[1]) if base else []
    return max((1 + levels((path.parent / file).resolve()) for file in files), default=0)


def nodes(node):
    """Every dict of a config."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from nodes(value)


@pytest.mark.parametrize('path', LEAVES, ids=name_of)
def test_reads_well(path):
    assert path.read_text().startswith('#'), 'a config opens with what it does'
    assert levels(path) <= 3
    scope = next(SCOPES[part] for part in reversed(path.parts) if part in SCOPES)
    cfg = Config.fromfile(path)
    assert cfg.default_scope == scope
    assert 'cmid_mm' in cfg.custom_imports['imports']
    assert not cfg.custom_imports['allow_failed_imports']


@pytest.mark.parametrize('path', DOWNSTREAM, ids=name_of)
def test_the_checkpoint_and_the_normalisation_have_their_places(path):
    cfg = Config.fromfile(path)
    if 'knn' not in path.name:
        init_cfg = cfg.model.backbone.init_cfg
        assert init_cfg.type == 'CMIDPretrained' and init_cfg.checkpoint.endswith('.pth')
    elsewhere = [node for node in nodes(cfg.model) if node is not cfg.model.backbone
                 and isinstance(node.get('init_cfg'), dict)
                 and 'Pretrained' in str(node['init_cfg'].get('type'))]
    assert not elsewhere, 'only the backbone has weights to start from'
    preprocessor = cfg.model.data_preprocessor
    assert len(preprocessor.mean) == len(preprocessor.std)
    assert cfg.get('data_preprocessor') is None
    assert not any('Normalize' in str(node.get('type')) for node in nodes(
        cfg.train_dataloader if cfg.get('train_dataloader') else cfg.test_dataloader))
    assert not any(node.get('type') == 'ResNetV1c' for node in nodes(cfg.model))


@pytest.mark.parametrize('path', DOWNSTREAM, ids=name_of)
def test_every_image_is_scored(path):
    cfg = Config.fromfile(path)
    for part in ('val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        if part == 'test' or 'knn' not in path.name:
            assert loader and cfg.get(f'{part}_evaluator') and cfg.get(f'{part}_cfg') is not None
            assert not loader.get('drop_last')
            assert 'indices' not in loader.dataset


def test_all_tasks_have_the_recipes_that_users_look_for():
    names = [name_of(path) for path in DOWNSTREAM]
    for task in ('classification', 'segmentation', 'detection', 'oriented_detection',
                 'change_detection'):
        own = [name for name in names if name.startswith(f'{task}/')]
        for part in ('resnet50', 'swin-base', 'folder', 'scenes'):
            assert any(part in name for name in own), (task, part)
