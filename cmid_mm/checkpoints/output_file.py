"""Files that are there complete or not at all."""
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# ending of files that are being written
UNFINISHED = '.part'


def check_output(out: str, source: str) -> None:
    """Refuse, before time is spent, a place where the result cannot go.

    Args:
        out (str): File to write.
        source (str): File it is made from.

    Raises:
        ValueError: ``out`` is the source itself, or a folder.
    """
    if Path(out).is_dir():
        raise ValueError(f'{out} is a folder: give the name of the file to write')
    if Path(out).exists() and Path(source).exists() and os.path.samefile(out, source):
        raise ValueError(f'{out} is the input itself, which is never overwritten: give '
                         'another name')


@contextmanager
def complete_or_absent(out: str) -> Iterator[Path]:
    """Context manager: a path to write to, which becomes ``out`` where nothing failed.

    The folder of ``out`` is made where it is missing. What was written is on the disk
    before it gets its name, so that not even a power cut leaves half a file under it.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f'{out.name}.{os.getpid()}{UNFINISHED}')
    try:
        yield unfinished
        _flush(unfinished)
        os.replace(unfinished, out)
        _flush(out.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file or the names in a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems know no such wish for folders
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def save_checkpoint_file(content: dict, out: str) -> None:
    """Write a checkpoint; equal content gives equal bytes.

    Args:
        content (dict): Tensors and plain values.
        out (str): File to write.
    """
    # torch writes a path's name into the file, but not that of an open file
    with complete_or_absent(out) as path, path.open('wb') as file:
        torch.save(content, file)
