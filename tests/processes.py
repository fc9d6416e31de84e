"""Several processes of one test.

They are forked from a server that has imported the package once: a process that is started
anew needs eight seconds of a core for that.
"""
import multiprocessing
import os
import runpy
import socket
import sys
from pathlib import Path

import torch
import torch.multiprocessing as mp

TOOLS = Path(__file__).parents[1] / 'tools'


def forkserver():
    """Context of processes that start with the package imported."""
    multiprocessing.set_forkserver_preload(['cmid_mm', 'mmpretrain.apis', 'pytest'])
    return multiprocessing.get_context('forkserver')


def run_processes(function, *arguments, number=2):
    """Calls ``function(rank, *arguments)`` in every process; raises what one of them raises."""
    forkserver()
    mp.start_processes(function, arguments, nprocs=number, start_method='forkserver')


def run_tool(name, *arguments, number=2):
    """Runs a Python tool as tools/dist_train.sh does; one process has no launcher."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    run_processes(tool_process, name, [str(argument) for argument in arguments], number, port,
                  number=number)


def tool_process(rank, name, arguments, number, port):
    torch.set_num_threads(1)
    if number > 1:
        arguments = [*arguments, '--launcher', 'pytorch']
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(number),
                          MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    sys.path.insert(0, str(TOOLS))
    sys.argv = [name, *arguments]
    runpy.run_path(str(TOOLS / name), run_name='__main__')
