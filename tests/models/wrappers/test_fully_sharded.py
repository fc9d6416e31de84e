"""Two gloo processes that hold a piece of the model each train as two that hold it whole."""
import os
import tempfile
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from tiny_run import tiny_config
from torch import nn

import cmid_mm
from cmid_mm.models.wrappers import FullyShardedModel
from cmid_mm.checkpoints.files import load_checkpoint_file

BAD = 3
WHOLE = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
SHARDED = dict(type='FullyShardedModel')


class Watch(Hook):
    """Makes the loss of step ``BAD`` not finite on one process; measures what each holds."""

    priority = 'VERY_LOW'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == BAD and runner.rank == 1:
            runner.model.module.local_head.center.fill_(torch.nan)

    def after_train(self, runner):
        state = [value for entry in runner.optim_wrapper.optimizer.state.values()
                 for value in entry.values()]
        self.held = sum(own(tensor).numel() for tensor in [*runner.model.parameters(), *state])


def own(tensor):
    return getattr(tensor, 'to_local', lambda: tensor)()


def train(folder, name, wrapper, **options):
    """What this process holds in the end, of two epochs of four steps."""
    cfg = tiny_config(folder, name, {
        'train_dataloader.batch_size': 2, 'experiment_name': name,
        'model_wrapper_cfg': dict(wrapper, _delete_=True), **options})
    cfg.launcher = 'pytorch'
    runner = cmid_mm.engine.CMIDRunner.from_cfg(cfg)
    watch = Watch()
    runner.register_hook(watch)
    runner.train()
    return watch.held


def process(rank, folder):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    folder = Path(folder)
    held = dict(
        whole=train(folder, 'whole', WHOLE),
        sharded=train(folder, 'sharded', SHARDED),
        resumed=train(folder, 'resumed', SHARDED, resume=True,
                      load_from=str(folder / 'whole' / 'epoch_1.pth')))
    torch.save(held, folder / f'{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def folder():
    with tempfile.TemporaryDirectory() as folder:
        tiny_config(Path(folder))
        mp.spawn(process, (folder, ), nprocs=2)
        yield Path(folder)


def checkpoint(folder, name):
    return load_checkpoint_file(folder / f'{name}.pth')


def assert_equal(one, other, path=''):
    if isinstance(one, dict):
        assert list(one) == list(other), path
        one, other = list(one.items()), list(other.items())
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for number, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f'{path}/{number}')
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


@pytest.mark.parametrize('name', ['sharded', 'resumed'])
def test_losses_weights_teacher_and_optimiser_are_those_of_whole_models(folder, name):
    """So a checkpoint of either is one of the other: ``resumed`` began with the whole one's."""
    one, other = (checkpoint(folder, f'{run}/epoch_2') for run in ('whole', name))
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(one[part], other[part], part)
    losses = [part['message_hub']['log_scalars']['train/loss']._log_history.tolist()
              for part in (one, other)]
    torch.testing.assert_close(*losses, equal_nan=True)
    assert len(set(losses[0])) == 8


def test_weights_and_teacher_moved(folder):
    before, after = (checkpoint(folder, f'sharded/epoch_{epoch}')['state_dict']
                     for epoch in (1, 2))
    for key in ('backbone.norm3.weight', 'teacher.backbone.norm3.weight', 'mask_token',
                'backbone.stages.2.blocks.1.ffn.layers.0.0.weight'):
        assert not torch.equal(before[key], after[key]), key


def test_each_process_holds_half(folder):
    held = [torch.load(folder / f'{rank}.pth') for rank in (0, 1)]
    assert held[0]['whole'] == held[1]['whole']
    assert sum(one['sharded'] for one in held) == pytest.approx(held[0]['whole'], rel=1e-3)
    for one in held:
        assert one['sharded'] == pytest.approx(one['whole'] / 2, rel=1e-3)
        assert one['resumed'] == one['sharded']


def test_a_bad_step_of_one_process_is_kept_whole(folder):
    one, other = (checkpoint(folder, f'{run}/bad_steps/step_{BAD}')
                  for run in ('whole', 'sharded'))
    assert_equal(one['state_dict'], other['state_dict'])


def test_channels_last_is_refused():
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match='set model.channels_last=False'):
        FullyShardedModel(model)
