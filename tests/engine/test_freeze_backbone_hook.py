"""A frozen backbone does not change by one bit, then trains; resumed and in two processes too."""
import os

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from processes import run_processes
from torch import nn

from cmid_mm.utils.errors import CMIDError

ITERS, FROZEN, EPOCH = 6, 3, 2


class Small(BaseModel):
    """A linear layer with batch norm, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.head(self.backbone(torch.stack(inputs))).square().mean())


class Record(Hook):
    """State of the backbone and of the head before every iteration, and modes of batch norm."""

    # after the hook that is tested
    priority = 'LOWEST'

    def __init__(self):
        self.states, self.training, self.rates = [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        model = getattr(runner.model, 'module', runner.model)
        self.states.append({key: value.clone() for key, value in model.state_dict().items()})
        self.training.append(model.backbone[1].training)
        self.rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])


def run(folder, frozen=FROZEN, optimizer=dict(type='Adam', lr=0.1),
        scheduler=dict(type='ExponentialLR', gamma=0.5, by_epoch=False), constructor={},
        batch=4, model=None, **changes):
    """Trains for epochs of ``EPOCH`` batches; returns runner and record."""
    generator = torch.Generator().manual_seed(1)
    data = [dict(inputs=value) for value in torch.randn(4 * EPOCH, 3, generator=generator)]
    record = Record()
    runner = Runner(
        model=model or Small(), work_dir=str(folder),
        optim_wrapper=dict(optimizer=optimizer, **constructor),
        train_dataloader=dict(batch_size=batch, num_workers=0, dataset=data,
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=ITERS // EPOCH), param_scheduler=dict(scheduler),
        default_hooks=dict(freeze_backbone=dict(
            type='mmpretrain.FreezeBackboneHook', iters=frozen)),
        custom_hooks=[record], default_scope='mmpretrain',
        experiment_name=str(folder), **changes)
    runner.train()
    return runner, record


def changed(before, after, part):
    return {key for key in before if key.startswith(part)
            and not torch.equal(before[key], after[key])}


@pytest.mark.parametrize('optimizer', [
    dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.1), dict(type='Adam', lr=0.1),
    dict(type='AdamW', lr=0.1, weight_decay=0.1), dict(type='Adan', lr=0.1, weight_decay=0.1)])
@pytest.mark.parametrize('constructor', [
    {}, dict(constructor='TwoGroupOptimWrapperConstructor'),
    dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5))))])
def test_unchanged_bit_by_bit_then_trained(tmp_path, optimizer, constructor):
    _, record = run(tmp_path, optimizer=optimizer, constructor=constructor)
    states = record.states
    assert not changed(states[0], states[FROZEN], 'backbone')
    assert {'head.weight', 'head.bias'} == changed(states[0], states[1], 'head')
    for before, after in zip(states[FROZEN:], states[FROZEN + 1:]):
        assert {'backbone.0.weight', 'backbone.1.weight', 'backbone.1.bias'} <= changed(
            before, after, 'backbone')
    assert record.training == [False] * FROZEN + [True] * (ITERS - FROZEN)


def test_schedules_and_optimiser_are_those_of_a_training_that_starts_later(tmp_path):
    runner, record = run(tmp_path / 'frozen')
    _, plain = run(tmp_path / 'plain', frozen=0)
    assert record.rates == plain.rates == pytest.approx([0.1 * 0.5**i for i in range(ITERS)])
    optimizer = runner.optim_wrapper.optimizer
    steps = [int(optimizer.state[parameter]['step']) for parameter in runner.model.parameters()]
    assert steps == [ITERS - FROZEN] * 3 + [ITERS] * 2
    assert len(optimizer.param_groups[0]['params']) == 5


def test_a_resumed_training_is_the_same(tmp_path):
    """From a checkpoint of the frozen time, and from a later one."""
    whole, record = run(tmp_path / 'whole')
    for epoch in 1, 2:
        resumed, rest = run(tmp_path / str(epoch), resume=True,
                            load_from=str(tmp_path / f'whole/epoch_{epoch}.pth'))
        for expected, found in zip(record.states[epoch * EPOCH:], rest.states, strict=True):
            assert not changed(expected, found, '')
        assert not changed(whole.model.state_dict(), resumed.model.state_dict(), '')
        assert rest.training == record.training[epoch * EPOCH:]


def process(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    os.environ['LOCAL_RANK'] = str(rank)
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None)
    runner, record = run(f'{folder}/{rank}', frozen=ITERS - 1, batch=2, launcher='pytorch',
                         cfg=dict(model_wrapper_cfg=wrapper))
    torch.save([*record.states, dict(runner.model.module.state_dict())], f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path):
    run_processes(process, str(tmp_path))
    first, second = (torch.load(tmp_path / f'{rank}.pth', weights_only=True)
                     for rank in range(2))
    weights = [name for name in first[0] if 'running' not in name]
    assert all(torch.equal(states[0][name], states[1][name])
               for states in zip(first, second) for name in weights)
    assert not changed(first[0], first[ITERS - 1], 'backbone')
    assert changed(first[ITERS - 1], first[-1], 'backbone.0')
    # without statistics of batches, two processes are one of the whole batch
    _, single = run(tmp_path / 'single', frozen=ITERS - 1)
    torch.testing.assert_close(first[ITERS - 1], single.states[ITERS - 1])


def test_what_cannot_be_frozen(tmp_path):
    with pytest.raises(CMIDError, match='negative: -1'):
        HOOKS.build(dict(type='FreezeBackboneHook', iters=-1))
    with pytest.raises(CMIDError, match='frozen for 6 iterations, and the training has 6'):
        run(tmp_path, frozen=ITERS)
    model = Small()
    model.features = model.backbone
    del model.backbone
    with pytest.raises(CMIDError, match='Small has no backbone'):
        run(tmp_path, model=model)
