"""Statistics of whole views in the student's batch norms, and nothing else changed."""
import pytest
import torch
from mmengine.dataset import default_collate
from tiny_run import tiny_config

from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.engine.hooks import CalibrateBatchNormHook
from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex

STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def run(folder, name, hooks):
    cfg = tiny_config(folder, name, {
        'train_cfg.max_epochs': 1, 'model.dense_projector.norm_cfg': None,
        'experiment_name': f'{folder.name}_{name}'})
    cfg.model.backbone = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
    kept = [hook for hook in cfg.custom_hooks if hook.type != 'CalibrateBatchNormHook']
    cfg.custom_hooks = kept + hooks
    runner = CMIDRunner.from_cfg(cfg)
    runner.train()
    return runner, load_checkpoint_file(folder / name / 'epoch_1.pth')['state_dict']


def test_the_checkpoint_has_statistics_of_whole_views_and_the_same_weights(tmp_path):
    _, plain = run(tmp_path, 'plain', [])
    runner, state = run(tmp_path, 'calibrated', [dict(type='CalibrateBatchNormHook')])
    for key, value in plain.items():
        changed = key.startswith('backbone.') and key.endswith(STATISTICS)
        assert torch.equal(state[key], value) != changed, key
    dataset = runner.train_dataloader.dataset
    views = default_collate([dataset[SampleIndex(i, runner.seed, 0)] for i in range(16)])
    images = runner.model.data_preprocessor.normalize(views['inputs'][:, 0])
    with torch.no_grad():
        stem = runner.model.backbone.conv1(images)
    torch.testing.assert_close(state['backbone.bn1.running_mean'], stem.mean((0, 2, 3)))
    torch.testing.assert_close(state['backbone.bn1.running_var'], stem.var((0, 2, 3)))


def test_numbers_must_be_positive():
    with pytest.raises(CMIDError, match='must be positive, not 0 and 64'):
        CalibrateBatchNormHook(images=0)
