"""A signal that reaches one of two processes ends both after the same step."""
import os
import signal

import pytest
import torch
from processes import run_processes

from cmid_mm.engine.stop_request import StopRequest


def process(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    request = StopRequest()
    request.listen()
    results = []
    for step in range(8):
        if rank == 1 and step == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        # a checkpoint is due by the clock of one process only
        stop, due = request.agree(rank == 0 and step == 1)
        results.append((stop, due))
        if stop:
            break
    with pytest.raises(SystemExit) as end:
        request.end()
    torch.save((results, end.value.code), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def test_both_stop_at_the_next_step(tmp_path):
    run_processes(process, str(tmp_path))
    first, second = (torch.load(tmp_path / f'{rank}.pth', weights_only=True)
                     for rank in (0, 1))
    assert first == second
    results, code = first
    assert [due for _, due in results] == [False, False, True, False, False]
    assert [stop for stop, _ in results] == [False] * 4 + [True]
    assert code == 75


def test_one_process_stops_at_once_and_restores_the_handlers():
    before = signal.getsignal(signal.SIGTERM)
    request = StopRequest()
    request.listen()
    assert request.agree(False) == (False, False)
    assert request.agree(True) == (False, True)
    os.kill(os.getpid(), signal.SIGTERM)
    assert request.agree(False) == (True, False) and request.reason == 'SIGTERM'
    with pytest.raises(SystemExit):
        request.end()
    assert signal.getsignal(signal.SIGTERM) is before
