"""The quickstart's tasks: the same training from a backbone and from random weights."""
import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from PIL import Image

from cmid_mm.checkpoints.export import extract_backbone

STUDENT = dict(type='ResNet', depth=18, stem_channels=32, base_channels=32)


@pytest.fixture
def backbone(tmp_path):
    """Exported file of the quickstart's student."""
    state = {f'backbone.{key}': value
             for key, value in MODELS.build(dict(STUDENT)).state_dict().items()}
    state |= {'data_preprocessor.mean': torch.tensor([101., 102., 103.]),
              'data_preprocessor.std': torch.tensor([51., 52., 53.])}
    exported = extract_backbone(dict(state_dict=state))
    torch.save(exported, tmp_path / 'backbone.pth')
    return str(tmp_path / 'backbone.pth'), exported


@pytest.fixture
def tasks(monkeypatch):
    import _quickstart_tasks
    monkeypatch.setattr(_quickstart_tasks, 'SCENES', 60)
    monkeypatch.setattr(_quickstart_tasks, 'PICTURES', 2)
    return _quickstart_tasks


@pytest.mark.parametrize('task', ['classification', 'segmentation', 'detection',
                                  'change_detection'])
def test_a_task_is_trained_twice_and_reported_in_numbers_and_a_picture(
        task, tasks, backbone, tmp_path, monkeypatch, capsys):
    pytest.importorskip(tasks.TASKS[task].framework)
    # an epoch is a few steps
    for name in ('WARM_UP', 'TIMED'):
        monkeypatch.setattr(f'_quickstart_run.{name}', 1)
    path, exported = backbone
    # no time: one epoch
    args = argparse.Namespace(work_dir=str(tmp_path), task_minutes=0, seed=0)
    (name, row), = tasks.run_tasks([task], path, exported['meta'], args)
    assert name == task
    # what goes into summary.json must be plain
    assert json.loads(json.dumps(row)) == row
    assert row['metric'] == tasks.TASKS[task].metric_name
    assert all(0 <= row[start] <= 100 for start in ('cmid', 'scratch', 'untrained'))
    assert np.asarray(Image.open(row['picture'])).std() > 10
    assert f'CMID {row["cmid"]:.1f}' in capsys.readouterr().out.splitlines()[-1]

    runs = tmp_path / 'tasks' / task
    cmid, scratch = (Config.fromfile(runs / start / 'config.py')
                     for start in ('cmid', 'scratch'))
    assert cmid.model.backbone.init_cfg.checkpoint == path
    assert scratch.model.backbone.init_cfg is None
    # random weights are trained at the rate of the config; nothing else differs
    rates = []
    for cfg in (cmid, scratch):
        cfg.model.backbone.pop('init_cfg')
        cfg.pop('work_dir')
        rates.append(cfg.optim_wrapper.paramwise_cfg.pop('backbone_lr_mult'))
    assert rates[0] <= 0.25 and rates[1] == 1
    assert cmid._cfg_dict == scratch._cfg_dict
    assert cmid.model.data_preprocessor.mean == [101., 102., 103.]
    assert cmid.train_cfg.max_epochs == row['epochs'] == 1
    logs = {start: ''.join(log.read_text() for log in (runs / start).rglob('*.log'))
            for start in ('cmid', 'scratch')}
    assert '120 of 120 tensors matched' in logs['cmid']
    assert 'normalisation agrees' in logs['cmid']
    assert 'matched' not in logs['scratch']


def test_labelled_scenes_are_others_than_those_of_the_pre_training(tasks, tmp_path):
    from cmid_mm.datasets.scenes import write_scenes
    labelled = tasks.write_task_scenes(tmp_path, ['classification'], 3, seed=0)
    write_scenes(tmp_path / 'scenes', num=60, size=tasks.SIZE, seed=0,
                 tasks=('classification', ), show_progress=False)
    trained, labels = ({file.read_bytes() for file in folder.rglob('*.png')}
                   for folder in (tmp_path / 'scenes', labelled))
    assert len(labels) == 60 and not trained & labels


def test_folders_are_replaced_at_any_depth(tasks):
    cfg = Config(dict(a='data/scenes/x', b=[dict(c='data/scenes/y/'), 'data/other'], d=1))
    tasks.relocate(cfg, 'data/scenes', '/new')
    assert cfg.a == '/new/x' and cfg.b[0].c == '/new/y/' and cfg.b[1] == 'data/other'


def test_fewer_epochs_keep_the_shape_of_the_schedules(tasks, monkeypatch):
    path = Path(tasks.CONFIGS) / tasks.TASKS['segmentation'].config
    # six seconds an epoch
    monkeypatch.setattr(tasks, 'seconds_per_step', lambda cfg: ({2: 1.}, 6))
    for seconds, epochs in ((30, 5), (1, 1), (1e6, 10)):
        cfg = Config.fromfile(path)
        warmup, cosine = cfg.param_scheduler
        assert tasks.fit_epochs(cfg, seconds) == epochs == cfg.train_cfg.max_epochs
        assert cosine.end == cosine.T_max == epochs and warmup.end == 1


def test_a_missing_framework_is_named_before_anything_is_trained(tasks, monkeypatch):
    monkeypatch.setattr(tasks, 'find_spec', lambda name: None if name == 'mmdet' else name)
    tasks.require_frameworks(['segmentation'])
    with pytest.raises(Exception, match='detection needs mmdet, .*--task detection'):
        tasks.require_frameworks(['segmentation', 'detection'])
