"""Runs that are interrupted within an epoch, in one process."""
import errno
import os
import signal
from contextlib import contextmanager

import pytest
import torch
from mmengine.fileio import FileClient, LocalBackend, register_backend
from mmengine.hooks import Hook
from tiny_run import assert_same_run, losses_of_run, tiny_runner

from cmid_mm.checkpoints.files import (
    AtomicFileBackend,
    latest_checkpoint,
    load_checkpoint_file,
)
from cmid_mm.engine.stop_request import EXIT_STATUS, StopRequested
from cmid_mm.utils.errors import CMIDError


class At(Hook):
    """Does something before a step (from 1)."""

    def __init__(self, step, what):
        self.step = step
        self.what = what

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            self.what()


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def train(folder, work_dir, at=None, **options):
    runner = tiny_runner(folder, work_dir, options)
    if at:
        runner.register_hook(At(*at))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def whole(folder):
    """Last checkpoint of a run without interruption."""
    train(folder, 'whole')
    checkpoint = load_checkpoint_file(folder / 'whole' / 'epoch_2.pth')
    # eight different batches: an epoch that began again would show
    assert len(set(losses_of_run(checkpoint))) == 8
    return checkpoint


@pytest.mark.parametrize('step', [2, 4, 5])
def test_sigterm_saves_and_the_same_command_resumes(folder, whole, step):
    with pytest.raises(StopRequested) as stop:
        train(folder, f'term{step}', (step, terminate))
    assert stop.value.code == EXIT_STATUS == 75
    assert (folder / f'term{step}' / f'iter_{step}.pth').is_file()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    train(folder, f'term{step}', resume=True)
    assert_same_run(whole, load_checkpoint_file(folder / f'term{step}' / 'epoch_2.pth'))


def test_accumulated_gradients_are_never_interrupted(folder):
    options = {'optim_wrapper.accumulative_counts': 4}
    with pytest.raises(StopRequested):
        train(folder, 'accumulated', (2, terminate), **options)
    assert [path.name for path in (folder / 'accumulated').glob('*.pth')] == ['iter_4.pth']


def test_by_time_and_no_more_than_configured(folder):
    options = {'default_hooks.checkpoint.minutes': 1e-6,
               'default_hooks.checkpoint.max_keep_ckpts': 2}
    train(folder, 'often', **options)
    names = sorted(path.name for path in (folder / 'often').glob('*.pth'))
    assert names == ['epoch_2.pth', 'iter_8.pth']


def test_another_batch_or_other_images_are_refused(folder, whole):
    with pytest.raises(StopRequested):
        train(folder, 'other', (3, terminate))
    with pytest.raises(ValueError, match='batches of 4 .* now there are 16 and 8'):
        train(folder, 'other', resume=True, **{'train_dataloader.batch_size': 8})


def test_instead_of_a_damaged_checkpoint_the_previous_one_is_taken(folder, whole):
    train(folder, 'damaged')
    last = folder / 'damaged' / 'epoch_2.pth'
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    train(folder, 'damaged', resume=True)
    assert_same_run(whole, load_checkpoint_file(last))
    log = ''.join(path.read_text() for path in (folder / 'damaged').glob('*/*.log'))
    assert 'epoch_2.pth is damaged (checksum of' in log
    (folder / 'cut.pth').write_bytes(content[:-50])
    with pytest.raises(ValueError, match='cut.pth is damaged'):
        train(folder, 'cut', resume=True, load_from=str(folder / 'cut.pth'))


def fill_disk(monkeypatch, names):
    """Let the writing of these files fail."""
    put = AtomicFileBackend.put

    def full(self, obj, filepath):
        if os.path.basename(filepath) in names:
            raise OSError(errno.ENOSPC, 'No space left on device', filepath)
        put(self, obj, filepath)
    monkeypatch.setattr(AtomicFileBackend, 'put', full)


def test_a_full_disk_is_logged_and_the_last_good_checkpoint_stays(folder, monkeypatch):
    options = {'default_hooks.checkpoint.max_keep_ckpts': 1, 'train_cfg.max_epochs': 3}
    fill_disk(monkeypatch, ['epoch_2.pth'])
    train(folder, 'full', **options)
    log = ''.join(path.read_text() for path in (folder / 'full').glob('*/*.log'))
    assert 'epoch_2.pth could not be written (No space left on device); the last good ' \
        f'checkpoint is {folder / "full" / "epoch_1.pth"}' in log
    assert [path.name for path in (folder / 'full').glob('*.pth')] == ['epoch_3.pth']


def test_at_the_end_of_a_run_a_full_disk_is_an_error(folder, monkeypatch):
    fill_disk(monkeypatch, ['epoch_2.pth'])
    with pytest.raises(CMIDError, match='epoch_2.pth could not be written'):
        train(folder, 'full_at_the_end')
    assert (folder / 'full_at_the_end' / 'last_checkpoint').read_text().endswith('epoch_1.pth')


def test_the_config_in_a_checkpoint_is_never_executed(folder, whole):
    evil = dict(whole, meta=dict(whole['meta'], epoch=1, iter=4, config=(
        f'import pathlib\npathlib.Path({str(folder / "ran")!r}).touch()\n')))
    torch.save(evil, folder / 'evil.pth')
    train(folder, 'evil', resume=True, load_from=str(folder / 'evil.pth'))
    assert not (folder / 'ran').exists()


class Remote(LocalBackend):
    """A storage with addresses ``remote://...``, which are files of a folder."""
    folder = None

    def local(self, address):
        assert str(address).startswith('remote://'), address
        return str(self.folder / str(address).removeprefix('remote://'))

    def put(self, obj, filepath):
        super().put(obj, self.local(filepath))

    def put_text(self, obj, filepath, encoding='utf-8'):
        super().put_text(obj, self.local(filepath), encoding)

    def isfile(self, filepath):
        return super().isfile(self.local(filepath))

    def remove(self, filepath):
        super().remove(self.local(filepath))

    @contextmanager
    def get_local_path(self, filepath):
        yield self.local(filepath)


def test_remote_checkpoints_are_pruned_and_the_pointer_stays_in_the_work_dir(folder):
    for register in (register_backend, FileClient.register_backend):
        register('remote', Remote, force=True, prefixes='remote')
    Remote.folder = folder / 'bucket'
    train(folder, 'remote', **{'default_hooks.checkpoint.out_dir': 'remote://out',
                               'default_hooks.checkpoint.max_keep_ckpts': 1})
    kept, = Remote.folder.glob('**/*.pth')
    assert kept == Remote.folder / 'out' / 'remote' / 'epoch_2.pth'
    assert not list((folder / 'remote').glob('*.pth'))
    assert latest_checkpoint(str(folder / 'remote')) == 'remote://out/remote/epoch_2.pth'
