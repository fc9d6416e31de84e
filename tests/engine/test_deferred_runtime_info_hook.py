"""Losses come to the log late, and are those that mmengine's own hook would have read."""
import json

import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import tiny_runner

from cmid_mm.checkpoints.files import load_checkpoint_file


def run(folder, name, kind, interval=3):
    runner = tiny_runner(folder, name, {
        'default_hooks.runtime_info.type': kind, 'default_hooks.logger.interval': interval})
    reads = Reads()
    runner.register_hook(reads, priority='LOWEST')
    runner.train()
    log = next((folder / name).glob('*/vis_data/scalars.json')).read_text().splitlines()
    lines = [json.loads(line) for line in log]
    return reads.seen, lines, load_checkpoint_file(folder / name / 'epoch_1.pth')


class Reads(Hook):
    """How many losses the hub knows after each step."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        scalars = runner.message_hub.log_scalars
        self.seen.append(len(scalars['train/loss'].data[0]) if 'train/loss' in scalars else 0)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')
    return run(folder, 'late', 'DeferredRuntimeInfoHook'), run(folder, 'plain', 'RuntimeInfoHook')


def test_they_are_read_where_the_log_is_written(runs):
    # two epochs of four steps, logged every three: at 3 and, by step, 6, at the ends 4 and 8
    assert runs[1][0] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert runs[0][0] == [0, 0, 3, 4, 4, 6, 7, 8]


def test_the_log_is_the_same(runs):
    timing = ('time', 'data_time', 'memory', 'train/images_per_second', 'train/waiting_share',
              'train/device_hours')
    late, plain = ([{key: value for key, value in line.items() if key not in timing}
                    for line in lines] for _, lines, _ in runs)
    assert late == plain and len(late) >= 2


def test_a_checkpoint_has_the_losses_so_far(runs):
    late, plain = (checkpoint['message_hub']['log_scalars'] for _, _, checkpoint in runs)
    names = [name for name in plain if 'loss' in name]
    assert len(names) == 4
    for name in names:
        assert late[name]._log_history.tolist() == plain[name]._log_history.tolist()
        assert len(late[name]._log_history) == 4


def test_also_one_that_is_saved_between(tmp_path):
    runner = tiny_runner(tmp_path, 'often', {
        'default_hooks.checkpoint.minutes': 1e-6, 'default_hooks.checkpoint.max_keep_ckpts': -1,
        'default_hooks.logger.interval': 50})
    runner.train()
    for step in (1, 2, 3):
        checkpoint = load_checkpoint_file(tmp_path / 'often' / f'iter_{step}.pth')
        losses = checkpoint['message_hub']['log_scalars']['train/loss']._log_history
        assert len(losses) == step
        assert all(isinstance(loss, float) for loss in losses.tolist())


def test_numbers_of_any_kind_keep_their_order(tmp_path):
    from cmid_mm.engine.hooks import DeferredRuntimeInfoHook
    runner = tiny_runner(tmp_path)
    hook = DeferredRuntimeInfoHook()
    hook.waiting = [(['a', 'b'], [torch.tensor(0.1), torch.tensor([2.])]),
                    (['a'], [torch.tensor(1e-9, dtype=torch.float64)])]
    hook.read(runner)
    scalars = runner.message_hub.log_scalars
    assert scalars['train/a'].data[0].tolist() == [torch.tensor(0.1).item(), 1e-9]
    assert scalars['train/b'].data[0].tolist() == [2.] and not hook.waiting
