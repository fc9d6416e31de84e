"""Steps whose numbers go bad."""
import json
import subprocess
import sys

import pytest
import torch
from mmengine.hooks import Hook
from small_models import build_cmid
from tiny_run import CONFIGS, tiny_runner

from cmid_mm.engine.hooks.step_snapshot import StepSnapshot

BAD = 3


class Watch(Hook):
    """State after every step; makes the loss or a gradient of step ``BAD`` not finite."""

    priority = 'VERY_LOW'

    def __init__(self, bad, poison):
        self.bad, self.poison = bad, poison
        self.states = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.bad = runner.iter + 1 in self.bad and self.poison

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.states.append(flat(runner))


def flat(runner):
    state = {key: value.clone() for key, value in runner.model.state_dict().items()}
    for number, entry in runner.optim_wrapper.optimizer.state_dict()['state'].items():
        state |= {f'optimiser {number} {key}': value.clone() for key, value in entry.items()}
    return state


@pytest.fixture
def poisoned(monkeypatch):
    """CMID whose loss (``'loss'``) or gradient (``'gradient'``) can be made bad."""
    from cmid_mm.models.selfsup import CMID
    loss = CMID.loss

    def bad_loss(self, inputs, data_samples=None):
        losses = loss(self, inputs, data_samples)
        if getattr(self, 'bad', None) == 'loss':
            losses['loss_local'] = losses['loss_local'] * torch.nan
        if getattr(self, 'bad', None) == 'gradient':
            # finite, with a slope that is not
            weight = self.mask_token
            losses['loss_local'] = losses['loss_local'] + (weight * 0).sum().clamp(min=0).sqrt()
        return losses
    monkeypatch.setattr(CMID, 'loss', bad_loss)


def run(folder, name, bad, poison='loss', **options):
    runner = tiny_runner(folder, name, options)
    watch = Watch(bad, poison)
    runner.register_hook(watch)
    runner.train()
    return runner, watch.states


@pytest.mark.parametrize('poison', ['loss', 'gradient'])
def test_a_bad_step_changes_nothing_and_the_run_goes_on(tmp_path, poisoned, poison):
    runner, states = run(tmp_path, 'run', [BAD], poison)
    before, after, later = states[BAD - 2], states[BAD - 1], states[BAD]
    assert set(before) == set(after)
    for key, value in before.items():
        assert torch.equal(after[key], value), key
    for key in ('global_head.queue', 'local_head.center', 'backbone.norm3.weight',
                'teacher.backbone.norm3.weight', 'mask_token'):
        assert not torch.equal(later[key], after[key]), f'{key} never moved again'
    assert all(value.isfinite().all() for value in states[-1].values())

    record = json.loads((tmp_path / 'run' / 'bad_steps' / f'step_{BAD}.json').read_text())
    sampler = runner.train_dataloader.sampler
    sampler.set_epoch(0)
    assert record['batches'][0]['samples'] == sampler.order()[8:12].tolist()
    assert [file[-6:] for file in record['batches'][0]['files']] == [
        f'{sample:02}.png' for sample in record['batches'][0]['samples']]
    kept = torch.load(tmp_path / 'run' / 'bad_steps' / f'step_{BAD}.pth', weights_only=True)
    for key, value in kept['state_dict'].items():
        assert torch.equal(value, before[key]), key


def test_all_batches_of_an_accumulated_step_are_taken_back(tmp_path, poisoned):
    _, states = run(tmp_path, 'run', [BAD], **{'optim_wrapper.accumulative_counts': 2})
    for key, value in states[1].items():
        assert torch.equal(states[3][key], value), key
    record = json.loads((tmp_path / 'run' / 'bad_steps' / 'step_3.json').read_text())
    assert len(record['batches']) == 2


def test_many_in_a_row_end_the_run(tmp_path, poisoned):
    with pytest.raises(ValueError, match='3 steps in a row were not finite, the last: step 6:'):
        run(tmp_path, 'run', [2, 4, 5, 6],
            **{'default_hooks.finite_step.most_in_a_row': 3,
               'default_hooks.finite_step.most_states': 2})
    names = sorted(path.name for path in (tmp_path / 'run' / 'bad_steps').iterdir())
    assert names == ['step_2.json', 'step_2.pth', 'step_4.json', 'step_4.pth', 'step_5.json',
                     'step_6.json']


def test_a_replay_finds_image_and_module(tmp_path):
    """All images are grey but one; a deviation next to nothing makes that one infinite."""
    from PIL import Image
    options = {'model.data_preprocessor.mean': [128.] * 3,
               'model.data_preprocessor.std': [1e-38] * 3,
               'model.data_preprocessor.photometric': None,
               'default_hooks.finite_step.most_in_a_row': 99}
    runner = tiny_runner(tmp_path, 'run', options)
    for path in sorted((tmp_path / 'images').glob('*.png')):
        level = 255 if path.name == '05.png' else 128
        Image.new('RGB', (80, 72), (level, ) * 3).save(path)
    runner.train()
    record = min((tmp_path / 'run' / 'bad_steps').glob('*.json'))
    config = tmp_path / 'run' / 'cmid_resnet18_toy.py'
    result = subprocess.run(
        [sys.executable, str(CONFIGS.parent / 'tools' / 'replay_step.py'), str(config),
         str(record)], capture_output=True, text=True, timeout=120)
    assert 'first output that is not finite: ' in result.stdout, result.stdout + result.stderr
    assert result.stdout.count('    of ') == 1, result.stdout
    assert '05.png' in result.stdout.split('    of ')[1]


def test_a_snapshot_brings_back_what_passes_have_moved():
    model = build_cmid()
    model.global_head.queue_ptr.fill_(45)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    snapshot = StepSnapshot(model)
    snapshot.take(6)
    model.global_head.enqueue(torch.randn(12, 16))
    model.local_head.update_center(torch.randn(3, 24, 5))
    # over the end of the queue of 50
    assert not torch.equal(model.global_head.queue[2], before['global_head.queue'][2])
    snapshot.restore()
    for key, value in before.items():
        assert torch.equal(model.state_dict()[key], value), key
    model.local_head.teacher_temperature.fill_(0.5)
    snapshot.restore()
    assert model.local_head.teacher_temperature == 0.5
