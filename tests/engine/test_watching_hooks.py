"""Probes, pictures and progress of a run, which is the run it would be without them."""
import json
import random
import re
import time
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from labelled_run import labelled_runner
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from PIL import Image
from tiny_run import assert_same_run

from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.engine.hooks import PicturesHook, ProbeHook, ProgressHook
from cmid_mm.evaluation.probes import PROBES_FILE, probe_parts, read_probes

OFF = {'default_hooks.pictures.interval': 0, 'default_hooks.logger.interval': 3,
       # large, so that the encoders move
       'optim_wrapper.optimizer.lr': 0.05}
WATCHED = OFF | {'default_hooks.probe.interval': 1, 'default_hooks.probe.before': True,
                 'default_hooks.pictures.interval': 2}
PROBES = [f'{encoder}_{probe}' for encoder in ('student', 'teacher')
          for probe in ('knn/top1', 'linear/top1', 'places/accuracy', 'places/miou')]


class LastBatch(Hook):

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.last_batch = data_batch


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('watched')


@pytest.fixture(scope='module')
def watched(folder):
    """A run with everything on, two epochs of four steps."""
    runner = labelled_runner(folder, 'watched', WATCHED)
    runner.register_hook(LastBatch())
    runner.train()
    return runner


def checkpoint(folder, work_dir, epoch=2):
    return load_checkpoint_file(folder / work_dir / f'epoch_{epoch}.pth')


def lines(folder, work_dir, key):
    """Rows of the local backend that have a key."""
    file, = (folder / work_dir).glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row for row in rows if key in row]


def test_watching_changes_nothing(folder, watched):
    """Nor after a resume."""
    labelled_runner(folder, 'alone', OFF).train()
    assert not lines(folder, 'alone', PROBES[0])
    assert not list((folder / 'alone').glob('**/vis_image'))
    assert_same_run(checkpoint(folder, 'alone'), checkpoint(folder, 'watched'))

    (folder / 'resumed').mkdir()
    (folder / 'resumed' / 'epoch_1.pth').write_bytes(
        (folder / 'watched' / 'epoch_1.pth').read_bytes())
    labelled_runner(folder, 'resumed', WATCHED, resume=True).train()
    assert_same_run(checkpoint(folder, 'resumed'), checkpoint(folder, 'watched'))
    row, = lines(folder, 'resumed', PROBES[0])
    assert row['step'] == 2
    for name in PROBES:
        assert row[name] == lines(folder, 'watched', name)[2][name]
    # device hours include those before the resume
    first = checkpoint(folder, 'watched', 1)['message_hub']['runtime_info']['device_seconds']
    assert lines(folder, 'resumed', 'train/device_hours')[0]['train/device_hours'] > first / 3600


def test_the_probe_equals_a_test_of_the_checkpoint(folder, watched):
    rows = lines(folder, 'watched', PROBES[0])
    assert [row['step'] for row in rows] == [0, 1, 2]
    runner = labelled_runner(
        folder, 'tested', load_from=str(folder / 'watched' / 'epoch_2.pth'))
    for encoder in ('student', 'teacher'):
        runner.model.feature_of = encoder
        tested = runner.test()
        assert tested['knn/top1'] == rows[2][f'{encoder}_knn/top1']
        # neither chance nor perfect, so that a mistake could show
        assert 20 < tested['knn/top1'] < 100
    # model and config are as they were
    assert watched.model.training and watched.model.feature_of == 'student'
    assert all(module.training for module in watched.model.teacher.modules())
    before = watched.cfg.to_dict()
    loader, evaluator = probe_parts(watched.cfg, 'elsewhere')
    roots = [part.data_root for part in loader.dataset.datasets]
    assert roots == ['elsewhere', 'elsewhere', str(folder / 'places')]
    assert watched.cfg.to_dict() == before
    watched.cfg.place_folder.data_root = ''
    without = probe_parts(watched.cfg, 'elsewhere')
    assert len(without[1]) == len(evaluator) - 2 and len(without[0].dataset.datasets) == 2


def test_the_file_of_probes_holds_those_of_the_log(folder, watched):
    entries = read_probes(folder / 'watched' / PROBES_FILE)
    assert [(entry['epoch'], entry['iter'], entry['samples']) for entry in entries] == [
        (0, 0, 0), (1, 4, 16), (2, 8, 32)]
    for entry, row in zip(entries, lines(folder, 'watched', PROBES[0])):
        assert entry['metrics'] == {name: row[name] for name in entry['metrics']}
        assert set(PROBES) <= set(entry['metrics'])
    resumed = read_probes(folder / 'resumed' / PROBES_FILE)
    assert resumed == entries[2:]


@pytest.mark.parametrize('first, kept', [(0, []), (4, [0, 4]), (6, [0, 4]), (8, [0, 4, 8])])
@pytest.mark.parametrize('interval', [0, 1])
def test_probes_of_another_run_are_forgotten(tmp_path, first, kept, interval, monkeypatch):
    """Beside checkpoints of this run they would be taken for its own."""
    file = tmp_path / PROBES_FILE
    file.write_text(json.dumps([dict(iter=i, metrics={}) for i in (0, 4, 8)]))
    monkeypatch.setattr('cmid_mm.engine.hooks.probe_hook.probe_parts', Mock(side_effect=KeyError))
    with pytest.raises(KeyError) if interval else nullcontext():
        ProbeHook(interval).before_train(SimpleNamespace(work_dir=tmp_path, iter=first, cfg={}))
    assert [entry['iter'] for entry in read_probes(file)] == kept


def test_the_untrained_network_has_statistics_of_the_images(folder, watched):
    """Its student and teacher are equal, and probed as a copy of the weights would be."""
    first = read_probes(folder / 'watched' / PROBES_FILE)[0]['metrics']
    for name in PROBES:
        assert first[name] == first[name.replace('teacher', 'student')]


def test_pictures_are_those_of_the_last_batch(folder, watched):
    files = sorted((folder / 'watched').glob('*/vis_data/vis_image/*'))
    assert [file.name for file in files] == ['matched_cells_2.png', 'reconstruction_2.png']
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    pictures = PicturesHook(num_images=9).draw(watched.model, watched.last_batch)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert watched.model.training
    for file in files:
        saved, drawn = np.asarray(Image.open(file)), pictures[file.stem.rpartition('_')[0]]
        assert saved.shape == drawn.shape and np.abs(saved.astype(int) - drawn).max() <= 1
    # a batch of four has no more; fewer make a smaller picture
    fewer = PicturesHook(num_images=1).draw(watched.model, watched.last_batch)
    for name, picture in fewer.items():
        assert picture.shape[0] < pictures[name].shape[0], name


def test_progress_is_logged_with_the_losses_and_at_the_end_of_an_epoch(folder, watched):
    rows = lines(folder, 'watched', 'train/device_hours')
    assert [row['step'] for row in rows] == [3, 4, 7, 8]
    times, waits = (watched.message_hub.get_scalar(f'train/{name}').data[0]
                    for name in ('time', 'data_time'))
    for row, window in zip(rows, (slice(1, 3), slice(1, 4), slice(4, 7), slice(5, 8))):
        assert row['train/images_per_second'] == pytest.approx(4 / times[window].mean())
        assert row['train/waiting_share'] == pytest.approx(
            waits[window].sum() / times[window].sum())
        assert 0 < row['train/waiting_share'] < 1
    hours = [row['train/device_hours'] for row in rows]
    assert hours == sorted(hours) and 3600 * hours[-1] > times.sum()
    log, = (folder / 'watched').glob('*/*.log')
    assert 'effective batch 4 = 1 processes x 4 x 1 accumulated' in log.read_text()
    found = re.findall(r'([\d.]+) images a second, \d+% of the time waiting for data; time left '
                       r'about ([\d:]+); (\S+) device hours, about (\S+) in all',
                       log.read_text())
    assert len(found) == 4
    assert found[-1][1] == '0:00:00' and found[-1][2] == found[-1][3]
    assert float(found[0][3]) > float(found[0][2])


class Toy(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode='loss'):
        return dict(loss_toy=self.weight.square().sum())


class Slowdown(Hook):
    """Lets steps take longer from one on (from 1)."""

    # before the step is timed
    priority = 'VERY_HIGH'

    def __init__(self, first, seconds):
        self.first, self.seconds = first, seconds

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        time.sleep(0.002 if runner.iter + 1 < self.first else self.seconds)


def toy_run(folder, steps, *hooks, **kwargs):
    """Log of a run of one epoch whose losses are logged after its last step."""
    Runner(model=Toy(), work_dir=str(folder), experiment_name=folder.name,
           train_dataloader=dict(
               batch_size=1, num_workers=0, dataset=[dict(inputs=0.)] * steps,
               sampler=dict(type='DefaultSampler', shuffle=False)),
           train_cfg=dict(by_epoch=True, max_epochs=1),
           optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
           default_hooks=dict(
               dict(logger=dict(type='LoggerHook', interval=1000), checkpoint=None), **kwargs),
           custom_hooks=list(hooks), default_scope='mmpretrain').train()
    return next(folder.glob('*/*.log')).read_text()


@pytest.mark.parametrize('steps, reports', [(27, 1), (24, 0)])
def test_steps_that_become_many_times_slower_are_reported_once(tmp_path, steps, reports):
    log = toy_run(tmp_path, steps, ProgressHook(), Slowdown(21, 0.1))
    found = re.findall(r'a step takes .* OMP_NUM_THREADS=(\d+)', log)
    assert found == reports * [str(max(1, torch.get_num_threads() // 2))]


def test_slow_steps_get_lines_of_their_own_with_the_losses_that_are_published(tmp_path):
    written = []
    log = toy_run(tmp_path / 'losses', 3, ProgressHook(0, written.append), Slowdown(1, 0.))
    assert len(written) == 3 and 'images a second' not in log
    assert written[1].startswith('epoch 1, iteration 2/3, loss 0.6400, loss_toy 0.6400; ')

    written.clear()
    toy_run(tmp_path / 'none', 3, ProgressHook(0, written.append), logger=None,
            runtime_info=None)
    assert len(written) == 3
    assert written[1].startswith('epoch 1, iteration 2/3; ')


def test_tensorboard_gets_the_same(folder):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    labelled_runner(folder, 'board', WATCHED | {
        'train_cfg.max_epochs': 1, 'param_scheduler.0.warmup': 0,
        'visualizer.vis_backends': [dict(type='LocalVisBackend'),
                                    dict(type='TensorboardVisBackend')]}).train()
    file, = (folder / 'board').glob('*/vis_data/events*')
    events = EventAccumulator(str(file)).Reload()
    assert set(events.Tags()['images']) == {'matched_cells', 'reconstruction'}
    for name in (*PROBES, 'train/images_per_second', 'loss'):
        expected = [row[name] for row in lines(folder, 'board', name)]
        assert [event.value for event in events.Scalars(name)] == pytest.approx(expected)


def test_what_cannot_be_probed_ends_the_run_before_it_starts(folder, tmp_path):
    image = (folder / 'labelled' / 'wood' / '00.png').read_bytes()
    for place in ('empty', 'loose', 'few/wood', 'above'):
        (tmp_path / place).mkdir(parents=True)
    for target in ('loose/a.png', 'few/wood/a.png'):
        (tmp_path / target).write_bytes(image)
    (tmp_path / 'above' / 'data').symlink_to(folder / 'labelled')
    runner = labelled_runner(folder, 'refused', WATCHED | {
        'default_hooks.probe.data_root': str(tmp_path / 'missing')})
    with pytest.raises(FileNotFoundError, match='missing'):
        runner.train()
    assert runner.iter == 0 and not list((folder / 'refused').glob('*.pth'))
    for place, culprit in (('empty', 'empty'), ('loose', 'loose'), ('few', 'few'),
                           ('above', 'two classes or more, but finds data: .*data_root')):
        with pytest.raises(ValueError, match=culprit):
            ProbeHook(1, str(tmp_path / place)).before_train(runner)
    for part in ('probe_evaluator', 'test_dataloader'):
        runner.cfg[part] = None
        with pytest.raises(ValueError, match=f'need {part} in the config'):
            ProbeHook(1).before_train(runner)
    ProbeHook(0).before_train(runner)
    assert runner.val_loop is None
