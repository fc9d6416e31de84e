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
from cmid_mm.utils.errors import CMIDError

KEPT = 'default_hooks.checkpoint.max_keep_ckpts'


class StopAt(Hook):
    """Sends SIGTERM before a step (from 1)."""

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def train(folder, work_dir, stop_at=None, **options):
    """Train a tiny model and return the text of all logs in its work dir."""
    runner = tiny_runner(folder, work_dir, options)
    if stop_at:
        runner.register_hook(StopAt(stop_at))
        with pytest.raises(SystemExit) as stop:
            runner.train()
        assert stop.value.code == 75
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    else:
        runner.train()
    return ''.join(path.read_text() for path in (folder / work_dir).glob('*/*.log'))


def names_in(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


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


@pytest.mark.parametrize('step', [4, 6])
def test_sigterm_saves_and_the_same_command_resumes(folder, whole, step):
    """At the end of an epoch and within one."""
    name = f'term{step}'
    train(folder, name, stop_at=step)
    assert f'iter_{step}.pth' in names_in(folder / name)
    if step == 6:
        with pytest.raises(ValueError, match='batches of 4 .* now there are 16 and 8'):
            train(folder, name, resume=True, **{'train_dataloader.batch_size': 8})
    train(folder, name, resume=True)
    assert_same_run(whole, load_checkpoint_file(folder / name / 'epoch_2.pth'))


def test_accumulated_gradients_are_never_interrupted(folder):
    train(folder, 'accumulated', stop_at=2, **{'optim_wrapper.accumulative_counts': 4})
    assert names_in(folder / 'accumulated') == ['iter_4.pth']


def test_by_time_and_no_more_than_configured(folder):
    train(folder, 'often', **{'default_hooks.checkpoint.minutes': 1e-6, KEPT: 2,
                              'train_cfg.max_epochs': 1, 'param_scheduler.0.warmup': 0})
    assert names_in(folder / 'often') == ['epoch_1.pth', 'iter_4.pth']


def test_instead_of_a_damaged_checkpoint_the_previous_one_is_taken(folder, whole):
    run = folder / 'damaged'
    run.mkdir()
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        (run / name).write_bytes((folder / 'whole' / name).read_bytes())
    content = bytearray((run / 'epoch_2.pth').read_bytes())
    content[len(content) // 2] ^= 1
    (run / 'epoch_2.pth').write_bytes(content)
    log = train(folder, 'damaged', resume=True)
    assert_same_run(whole, load_checkpoint_file(run / 'epoch_2.pth'))
    assert 'epoch_2.pth is damaged (checksum of' in log
    (folder / 'cut.pth').write_bytes(content[:-50])
    with pytest.raises(ValueError, match='cut.pth is damaged'):
        train(folder, 'cut', resume=True, load_from=str(folder / 'cut.pth'))


@pytest.mark.parametrize('epochs', [2, 3])
def test_a_full_disk_is_logged_or_at_the_end_of_a_run_an_error(folder, monkeypatch, epochs):
    """The last good checkpoint stays."""
    put = AtomicFileBackend.put

    def full(self, obj, filepath):
        if os.path.basename(filepath) == 'epoch_2.pth':
            raise OSError(errno.ENOSPC, 'No space left on device', filepath)
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicFileBackend, 'put', full)
    name = f'full{epochs}'
    if epochs == 2:
        with pytest.raises(CMIDError, match='epoch_2.pth could not be written'):
            train(folder, name)
        assert (folder / name / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    else:
        log = train(folder, name, **{KEPT: 1, 'train_cfg.max_epochs': epochs})
        assert 'epoch_2.pth could not be written (No space left on device); the last good ' \
            f'checkpoint is {folder / name / "epoch_1.pth"}' in log
        assert names_in(folder / name) == ['epoch_3.pth']


def test_the_config_in_a_checkpoint_is_never_executed(folder, whole):
    evil = dict(whole, meta=dict(whole['meta'], epoch=2, iter=8, config=(
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
    train(folder, 'remote', **{'default_hooks.checkpoint.out_dir': 'remote://out', KEPT: 1})
    kept, = Remote.folder.glob('**/*.pth')
    assert kept == Remote.folder / 'out' / 'remote' / 'epoch_2.pth'
    assert not list((folder / 'remote').glob('*.pth'))
    assert latest_checkpoint(str(folder / 'remote')) == 'remote://out/remote/epoch_2.pth'
