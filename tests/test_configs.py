"""Every config parses, builds and takes a step."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import DATASETS, METRICS, MODELS
from small_models import loader_batch

CONFIGS = sorted((Path(__file__).parents[1] / 'configs').glob('cmid/*.py'))
# the batch of one optimiser step that the recipes of the paper have
PAPER = [path for path in CONFIGS if 'toy' not in path.name]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_builds_and_takes_a_step(path):
    cfg = Config.fromfile(path)
    size = cfg.model.image_size
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    if cfg.model.data_preprocessor.mean is None:
        # what MeasureStatisticsHook does at the start of a training
        model.data_preprocessor.mean.fill_(100)
        model.data_preprocessor.std.fill_(50)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for group in wrapper.param_groups:
        # the peak of the full batch is no rate for two images
        group['lr'] = 1e-4
    before = model.decoder.project.weight.detach().clone()
    losses = model.train_step(loader_batch(2, size), wrapper)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in losses.values())
    assert not torch.equal(model.decoder.project.weight, before)
    views = [step for step in cfg.train_pipeline if step['type'] == 'CMIDTwoViews']
    assert views[0]['size'] == size
    assert cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_data_and_evaluation_build(path, tmp_path):
    """On two classes of images in place of the data set."""
    import cv2
    import numpy as np
    for name in ('field', 'wood'):
        (tmp_path / name).mkdir()
        for i in range(6):
            image = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / name / f'{i}.png'), image)
    cfg = Config.fromfile(path)
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=str(tmp_path)))
    assert len(dataset) == 12
    parts = [dict(part, data_root=str(tmp_path))
             for part in cfg.test_dataloader.dataset.datasets]
    test = DATASETS.build(dict(cfg.test_dataloader.dataset, datasets=parts))
    splits = [test[i]['data_samples'].split for i in range(len(test))]
    assert splits.count('query') == 2 and splits.count('bank') == 10
    assert test[0]['inputs'].shape[-1] == cfg.model.image_size
    METRICS.build(cfg.test_evaluator)
    prefixes = [METRICS.build(metric).prefix for metric in cfg.probe_evaluator]
    assert prefixes == ['student_knn', 'student_linear', 'teacher_knn', 'teacher_linear']


def test_the_short_name_is_the_papers_swin():
    cfg = Config.fromfile(CONFIGS[0].with_name('cmid_swin_pretrain.py'))
    assert cfg.model.backbone.type == 'SwinTransformer' and cfg.model.backbone.arch == 'base'
    assert cfg.train_cfg.max_epochs == 200 and cfg.optim_wrapper.optimizer.lr == 4e-3
    assert 'millionaid' in cfg.train_dataloader.dataset.data_root


@pytest.mark.parametrize('path', PAPER, ids=lambda path: path.stem)
def test_recipes_have_the_papers_batch_and_names_say_it(path):
    cfg = Config.fromfile(path)
    if path.stem != 'cmid_swin_pretrain':
        processes, batch = path.stem.split('_')[2].split('-')[0].split('xb')
        assert int(processes) * int(batch) == 256
        assert cfg.train_dataloader.batch_size == int(batch)
        assert f'{cfg.train_cfg.max_epochs}e' in path.stem
    assert cfg.auto_scale_lr == dict(base_batch_size=256, enable=True, rule='linear')
    assert cfg.train_dataloader.drop_last
