"""Lock of a work dir: one training at a time writes to it."""
import fcntl
import os
import socket
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from cmid_mm.utils.errors import CMIDError

NAME = 'train.lock'


@contextmanager
def lock_work_dir(work_dir: str):
    """Refuse a folder that another training writes to, on all processes together.

    The processes of a launcher that was killed outlive it and continue to write; the same
    command, started again, would mix its files with theirs. The first process holds the lock
    until it ends for any reason; workers of its loader, which may end later, do not hold it.

    Args:
        work_dir (str): Must exist.

    Raises:
        CMIDError: Another training holds the folder. On every process.
    """
    file, refusal = None, [None]
    if is_main_process():
        file = (Path(work_dir) / NAME).open('a+')
        refusal = [_take(file)]
    broadcast_object_list(refusal)
    try:
        if refusal[0]:
            raise CMIDError(refusal[0])
        yield
    finally:
        if file is not None:
            file.close()


def _take(file) -> str | None:
    """Lock a file; return the message of a refusal."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.seek(0)
        holder = file.read().strip() or 'an unknown process'
        return (f'{Path(file.name).parent} is being written by another training ({holder}): '
                'wait for it, end it, or use another --work-dir')
    except OSError as error:
        print_log(f'{file.name} cannot be locked ({error.strerror}): make sure that no two '
                  'trainings share this work dir', 'current', 'WARNING')
    else:
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
    return None
