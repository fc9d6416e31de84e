"""Probes, pictures and progress of a run, which is the run it would be without them."""
import json
import random
import re

import numpy as np
import pytest
import torch
from labelled_run import labelled_runner
from mmengine.hooks import Hook
from PIL import Image

from cmid_mm.engine.hooks import PicturesHook, ProbeHook
from cmid_mm.checkpoints.files import load_checkpoint_file

OFF = {'default_hooks.pictures.interval': 0, 'default_hooks.logger.interval': 3,
       # large, so that the encoders move
       'optim_wrapper.optimizer.lr': 0.05}
WATCHED = OFF | {'default_hooks.probe.interval': 1, 'default_hooks.pictures.interval': 2}
PROBES = [f'{encoder}_{probe}/top1' for encoder in ('student', 'teacher')
          for probe in ('knn', 'linear')]


class Diary(Hook):
    """Keeps the last batch."""
    priority = 'VERY_LOW'

    def __init__(self):
        self.batch = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batch = data_batch


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('watched')


@pytest.fixture(scope='module')
def watched(folder):
    """A run with everything on, two epochs of four steps."""
    runner, diary = labelled_runner(folder, 'watched', WATCHED), Diary()
    runner.register_hook(diary)
    runner.train()
    runner.diary = diary
    return runner


def checkpoint(folder, work_dir, epoch=2):
    return load_checkpoint_file(folder / work_dir / f'epoch_{epoch}.pth')


def lines(folder, work_dir, key):
    """Rows of the local backend that have a key."""
    file, = (folder / work_dir).glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row for row in rows if key in row]


def assert_same(one, other):
    for key, value in one['state_dict'].items():
        assert torch.equal(value, other['state_dict'][key]), key
    for number, state in one['optimizer']['state'].items():
        for key, value in state.items():
            assert torch.equal(value, other['optimizer']['state'][number][key]), key
    losses = [run['message_hub']['log_scalars']['train/loss']._log_history.tolist()
              for run in (one, other)]
    assert losses[0] == losses[1] and len(losses[0]) == 8


def test_watching_changes_nothing(folder, watched):
    labelled_runner(folder, 'alone', OFF).train()
    assert not lines(folder, 'alone', PROBES[0])
    assert not list((folder / 'alone').glob('**/vis_image'))
    assert_same(checkpoint(folder, 'alone'), checkpoint(folder, 'watched'))


def test_nor_does_it_after_a_resume(folder, watched):
    (folder / 'resumed').mkdir()
    (folder / 'resumed' / 'epoch_1.pth').write_bytes(
        (folder / 'watched' / 'epoch_1.pth').read_bytes())
    runner = labelled_runner(folder, 'resumed', WATCHED, resume=True)
    runner.train()
    assert_same(checkpoint(folder, 'resumed'), checkpoint(folder, 'watched'))
    row, = lines(folder, 'resumed', PROBES[0])
    assert row['step'] == 2
    for name in PROBES:
        assert row[name] == lines(folder, 'watched', name)[1][name]
    # what the first part has cost counts
    first = checkpoint(folder, 'watched', 1)['message_hub']['runtime_info']['device_seconds']
    assert lines(folder, 'resumed', 'train/device_hours')[0]['train/device_hours'] > first / 3600


def test_the_probe_is_what_a_test_of_the_checkpoint_says(folder, watched):
    rows = lines(folder, 'watched', PROBES[0])
    assert [row['step'] for row in rows] == [1, 2]
    runner = labelled_runner(
        folder, 'tested', load_from=str(folder / 'watched' / 'epoch_2.pth'))
    for encoder in ('student', 'teacher'):
        runner.model.feature_of = encoder
        tested = runner.test()
        for top in ('top1', 'top5'):
            assert tested[f'knn/{top}'] == rows[1][f'{encoder}_knn/{top}']
        # neither chance nor perfect, so that a mistake could show
        assert 20 < tested['knn/top1'] < 100


def test_the_model_is_as_it_was(watched):
    assert watched.model.training and watched.model.feature_of == 'student'
    assert all(module.training for module in watched.model.teacher.modules())


def test_pictures_are_those_of_the_last_batch(folder, watched):
    files = sorted((folder / 'watched').glob('*/vis_data/vis_image/*'))
    assert [file.name for file in files] == ['matched_cells_2.png', 'reconstruction_2.png']
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    pictures = PicturesHook(num_images=9).draw(watched.model, watched.diary.batch)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert watched.model.training
    for file in files:
        saved, drawn = np.asarray(Image.open(file)), pictures[file.stem.rpartition('_')[0]]
        assert saved.shape == drawn.shape and np.abs(saved.astype(int) - drawn).max() <= 1
    # a batch of four has no more; fewer make a smaller picture
    fewer = PicturesHook(num_images=1).draw(watched.model, watched.diary.batch)
    for name, picture in fewer.items():
        assert picture.shape[0] < pictures[name].shape[0], name


def test_progress_is_told_when_losses_are_and_at_the_end_of_an_epoch(folder, watched):
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
    told = re.findall(r'([\d.]+) images a second, \d+% of the time waiting for data; time left '
                      r'about ([\d:]+); (\S+) device hours, about (\S+) in all', log.read_text())
    assert len(told) == 4
    assert told[-1][1] == '0:00:00' and told[-1][2] == told[-1][3]
    assert float(told[0][3]) > float(told[0][2])


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


def test_what_cannot_be_probed_ends_before_training(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'loose').mkdir()
    (tmp_path / 'few' / 'wood').mkdir(parents=True)
    for target in ('loose/a.png', 'few/wood/a.png'):
        (tmp_path / target).write_bytes((folder / 'labelled' / 'wood' / '00.png').read_bytes())
    runner = labelled_runner(folder, 'refused', WATCHED | {
        'default_hooks.probe.data_root': str(tmp_path / 'missing')})
    with pytest.raises(FileNotFoundError, match='missing does not exist: check data_root'):
        runner.train()
    assert runner.iter == 0 and not list((folder / 'refused').glob('*.pth'))
    for place, words in (('empty', 'holds no image'), ('loose', 'no folder names its class'),
                         ('few', 'query part of .* is empty')):
        with pytest.raises(ValueError, match=words):
            ProbeHook(1, str(tmp_path / place)).before_train(runner)
    (tmp_path / 'above').mkdir()
    (tmp_path / 'above' / 'data').symlink_to(folder / 'labelled')
    with pytest.raises(ValueError, match='two classes or more, but finds data: .*data_root'):
        ProbeHook(1, str(tmp_path / 'above')).before_train(runner)
    for part in ('probe_evaluator', 'test_dataloader'):
        runner.cfg[part] = None
        with pytest.raises(ValueError, match=f'needs {part} in the config'):
            ProbeHook(1).before_train(runner)
    assert runner.val_loop is None
    ProbeHook(0).before_train(runner)
    assert runner.val_loop is None


@pytest.mark.parametrize('build', [lambda: ProbeHook(-1), lambda: PicturesHook(-1),
                                   lambda: PicturesHook(num_images=0)])
def test_meaningless_numbers_are_refused(build):
    with pytest.raises(ValueError, match='interval|num_images'):
        build()
