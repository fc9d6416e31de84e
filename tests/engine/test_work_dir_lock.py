"""Two trainings never write into one folder."""
import os
import signal
import time

import pytest
import torch
from mmengine.hooks import Hook
from processes import forkserver, run_processes
from tiny_run import tiny_runner

from cmid_mm.engine.work_dir_lock import lock_work_dir
from cmid_mm.utils.errors import CMIDError


def hold(folder, ready):
    """Hold a folder until killed, with a child that outlives the kill, as loaders' workers do."""
    os.setpgrp()
    with lock_work_dir(folder):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """Another process that trains into ``tmp_path``; killed with its child at the end."""
    context = forkserver()
    ready = context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready))
    process.start()
    assert ready.wait(60)
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.join()


def test_a_second_training_is_refused_until_the_first_has_ended(tmp_path, holder):
    with pytest.raises(CMIDError, match=rf'{tmp_path} is being written by another training '
                       rf'\(process {holder.pid} on .*\): wait for it, end it, or use another'):
        with lock_work_dir(str(tmp_path)):
            raise AssertionError('entered')
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with lock_work_dir(str(tmp_path)):
        assert f'process {os.getpid()} ' in (tmp_path / 'train.lock').read_text()


def attempt(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    try:
        with lock_work_dir(folder):
            result = 'entered'
    except CMIDError as error:
        result = str(error)
    torch.save(result, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_all_processes_are_refused_together(tmp_path, holder):
    run_processes(attempt, str(tmp_path))
    result = [torch.load(tmp_path / f'{rank}.pth', weights_only=True) for rank in (0, 1)]
    assert result[0] == result[1] and f'(process {holder.pid} ' in result[0]


def try_to_hold(folder, result):
    try:
        with lock_work_dir(folder):
            result.put('entered')
    except CMIDError:
        result.put('refused')


def test_a_training_holds_its_folder_and_releases_it_however_it_ends(tmp_path):
    context = forkserver()
    result = context.Queue()

    def others_try():
        process = context.Process(target=try_to_hold, args=(str(tmp_path / 'run'), result))
        process.start()
        process.join()
        return result.get()

    class Fail(Hook):

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            raise KeyError(others_try())

    runner = tiny_runner(tmp_path)
    runner.register_hook(Fail(), priority='LOWEST')
    with pytest.raises(KeyError, match='refused'):
        runner.train()
    assert others_try() == 'entered'
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
