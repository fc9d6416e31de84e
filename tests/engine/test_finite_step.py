"""Steps whose loss or gradient is not finite."""
import json

import pytest
import torch
from mmengine.hooks import Hook
from processes import run_processes
from tiny_run import CONFIGS, tiny_runner

from cmid_mm.engine.optimizers.finite_step import FiniteOptimWrapper

BAD = 3


class Poison(Hook):
    """Makes loss or gradient of some steps not finite; keeps the state after every step."""

    priority = 'VERY_LOW'

    def __init__(self, bad, poison):
        self.bad, self.poison = bad, poison
        self.states = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.bad = runner.iter + 1 in self.bad and self.poison

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        state = {key: value.clone() for key, value in runner.model.state_dict().items()}
        for number, entry in runner.optim_wrapper.optimizer.state_dict()['state'].items():
            state |= {f'optimiser {number} {key}': value.clone()
                      for key, value in entry.items()}
        self.states.append(state)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(bad, poison, **options)``: runner and states of a training with bad steps."""
    from cmid_mm.models.selfsup import CMID
    loss = CMID.loss

    def bad_loss(self, inputs, data_samples=None):
        losses = loss(self, inputs, data_samples)
        if self.bad == 'loss':
            losses['loss_local'] = losses['loss_local'] * torch.nan
        if self.bad == 'gradient':
            # finite, with a derivative that is not
            losses['loss_local'] = losses['loss_local'] + (self.mask_token * 0).sum().sqrt()
        return losses

    def train(bad, poison='loss', **options):
        runner, hook = tiny_runner(tmp_path, 'run', options), Poison(bad, poison)
        runner.register_hook(hook)
        runner.train()
        return runner, hook.states

    monkeypatch.setattr(CMID, 'loss', bad_loss)
    monkeypatch.setattr(CMID, 'bad', False, raising=False)
    return train


def record_of(folder, step):
    return json.loads((folder / 'run' / 'bad_steps' / f'step_{step}.json').read_text())


def order_of(runner, epoch):
    sampler = runner.train_dataloader.sampler
    sampler.set_epoch(epoch)
    return sampler.order().tolist()


@pytest.mark.parametrize('poison', ['loss', 'gradient'])
def test_a_bad_step_changes_nothing_and_the_run_continues(tmp_path, run, poison):
    runner, states = run([BAD], poison)
    before, after, later = states[BAD - 2], states[BAD - 1], states[BAD]
    assert set(before) == set(after)
    for key, value in before.items():
        assert torch.equal(after[key], value), key
    for key in ('global_head.queue', 'local_head.center', 'backbone.norm3.weight',
                'teacher.backbone.norm3.weight', 'mask_token'):
        assert not torch.equal(later[key], after[key]), f'{key} never moved again'
    assert all(value.isfinite().all() for value in states[-1].values())

    batch, = record_of(tmp_path, BAD)['batches']
    assert batch['samples'] == order_of(runner, 0)[8:12]
    assert [file[-6:] for file in batch['files']] == [
        f'{sample:02}.png' for sample in batch['samples']]
    kept = torch.load(tmp_path / 'run' / 'bad_steps' / f'step_{BAD}.pth', weights_only=True)
    for key, value in kept['state_dict'].items():
        assert torch.equal(value, before[key]), key


def test_an_accumulated_step_is_undone_and_replayed_across_epochs(
        tmp_path, run, monkeypatch, capsys):
    """Epochs of four passes, steps of three: the second step has two passes of epoch 0."""
    runner, states = run([5], **{
        'optim_wrapper.accumulative_counts': 3, 'custom_hooks.1.start': 0.04,
        'custom_hooks.1.end': 0.07, 'custom_hooks.1.warmup_epochs': 1})
    for key, value in states[2].items():
        assert torch.equal(states[5][key], value), key
    # a hook has set it for epoch 1; the state before the step is that of epoch 0
    assert runner.model.local_head.teacher_temperature.item() == pytest.approx(0.07)
    batches = record_of(tmp_path, 4)['batches']
    orders = [order_of(runner, epoch) for epoch in (0, 1)]
    assert [batch['epoch'] for batch in batches] == [0, 1, 1]
    assert [batch['samples'] for batch in batches] == [
        orders[0][12:], orders[1][:4], orders[1][4:8]]
    assert [batch['teacher_temperature'] for batch in batches] == pytest.approx(
        [0.04, 0.07, 0.07])
    # each pass is repeated with its epoch's views, seeds aside: this model draws no drop path
    replay(monkeypatch, tmp_path / 'run', 4)
    assert capsys.readouterr().out.count('everything is finite') == 3


def test_too_many_consecutive_bad_steps_end_the_run(tmp_path, run):
    with pytest.raises(ValueError, match='3 steps in a row were not finite, the last: step 6:'):
        run([2, 4, 5, 6], **{'default_hooks.finite_step.max_consecutive': 3,
                             'default_hooks.finite_step.max_saved_states': 2})
    names = sorted(path.name for path in (tmp_path / 'run' / 'bad_steps').iterdir())
    assert names == ['step_2.json', 'step_2.pth', 'step_4.json', 'step_4.pth', 'step_5.json',
                     'step_6.json']


def replay(monkeypatch, work_dir, step):
    monkeypatch.syspath_prepend(CONFIGS.parent / 'tools')
    from replay_step import main
    main([str(work_dir / 'cmid_resnet18_toy.py'),
          str(work_dir / 'bad_steps' / f'step_{step}.json')])


def test_a_replay_finds_image_and_module(tmp_path, monkeypatch, capsys):
    """All images are grey but one; a deviation close to zero makes that one infinite."""
    from PIL import Image
    runner = tiny_runner(tmp_path, 'run', {
        'model.data_preprocessor.mean': [128.] * 3, 'model.data_preprocessor.std': [1e-38] * 3,
        'model.data_preprocessor.photometric': None, 'train_cfg.max_epochs': 1,
        'param_scheduler.0.warmup': 0, 'default_hooks.finite_step.max_consecutive': 99})
    for path in sorted((tmp_path / 'images').glob('*.png')):
        level = 255 if path.name == '05.png' else 128
        Image.new('RGB', (80, 72), (level, ) * 3).save(path)
    runner.train()
    record = min((tmp_path / 'run' / 'bad_steps').glob('*.json'))
    capsys.readouterr()
    replay(monkeypatch, tmp_path / 'run', int(record.stem.removeprefix('step_')))
    out = capsys.readouterr().out
    assert 'first output that is not finite: ' in out and out.count('    of ') == 1
    assert '05.png' in out.split('    of ')[1]


def process(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    weight = torch.nn.Parameter(torch.ones(3))
    wrapper = FiniteOptimWrapper(torch.optim.SGD([weight], lr=0.1))
    states = []
    for step in range(3):
        # the gradient stays finite: only the loss itself is not
        bad = torch.tensor(torch.inf if rank == 1 and step == 1 else 0.)
        wrapper.update_params(weight.square().sum() + bad)
        states.append((wrapper.skipped, weight.detach().clone()))
    torch.save(states, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_two_processes_skip_a_step_that_is_bad_on_one(tmp_path):
    run_processes(process, str(tmp_path))
    for rank in (0, 1):
        states = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert [skipped for skipped, _ in states] == [False, True, False]
        torch.testing.assert_close(
            torch.stack([weight for _, weight in states]),
            torch.tensor([0.8, 0.8, 0.64])[:, None].expand(3, 3))
