"""Checkpoint files: safe reading, atomic writing, integrity, and the newest intact file."""
import errno
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from ..environment import checkpoint_globals
from ..utils.errors import CMIDError, MissingFileError

# Ending of unfinished files.
UNFINISHED = '.part'
# mmengine's file with the path of the newest checkpoint of a run.
POINTER = 'last_checkpoint'
PATTERNS = ('epoch_*.pth', 'iter_*.pth')
# Errors of the machine; other kinds of OSError can come from a damaged file, too.
_MACHINE_ERRORS = (PermissionError, MemoryError, torch.OutOfMemoryError)

# ------------------------------------------------------------------------------- reading


def load_checkpoint_file(path: str, map_location='cpu') -> dict:
    """Read a checkpoint as an untrusted file: no code in it is executed.

    Args:
        path (str): File.
        map_location (str | torch.device | Callable): As in ``torch.load``. Defaults to
            'cpu'.

    Returns:
        dict: Its content.

    Raises:
        MissingFileError: The file does not exist.
        CMIDError: The file is no checkpoint, or code would have to be executed to read it.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'no such checkpoint: {path}')
    with _reading(path):
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    if not isinstance(checkpoint, dict):
        raise CMIDError(f'{path} holds a {type(checkpoint).__name__}, no checkpoint')
    return checkpoint


def load_checkpoint_url(url: str, model_dir: str | None = None, map_location=None,
                        progress: bool = True) -> dict:
    """Download a checkpoint and read it as an untrusted file.

    The arguments are those of ``torch.hub.load_state_dict_from_url``, which keeps the file
    and downloads it once, but by default executes code in it.

    Raises:
        OSError: It cannot be downloaded.
        CMIDError: The file is no checkpoint, or code would have to be executed to read it.
    """
    with _reading(url, OSError):
        return torch.hub.load_state_dict_from_url(
            url, model_dir, map_location, progress, weights_only=True)


@contextmanager
def _reading(name: str, *expected: type) -> Iterator[None]:
    """Convert errors of ``torch.load`` to a CMIDError of one line, except those of the machine."""
    # The onedl family's mmengine uses torch's context manager of safe globals, which at its
    # end removes its entries even where they were on the list before.
    torch.serialization.add_safe_globals(checkpoint_globals())
    try:
        yield
    except (*_MACHINE_ERRORS, *expected):
        raise
    except Exception as error:
        foreign = re.search(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', str(error))
        if foreign and foreign[1].startswith('Exploring.'):
            reason = ('is a pre-training file of the published CMID code: convert it with '
                      'tools/model_converters/convert_published.py first')
        elif foreign:
            reason = (f'holds a {foreign[1]} and would have to run code to be read: save the '
                      'checkpoint again with tensors and plain values only')
        else:
            reason = (f'cannot be read as a checkpoint ({type(error).__name__}): it is '
                      'damaged, truncated or of another format; use another file')
        raise CMIDError(f'{name} {reason}') from error


# ------------------------------------------------------------------------------- writing


def check_output(out: str, source: str) -> None:
    """Refuse a path where the result cannot be written, before the slow steps.

    Args:
        out (str): File to write.
        source (str): File that it is created from.

    Raises:
        CMIDError: ``out`` is the source itself, or a folder.
    """
    if Path(out).is_dir():
        raise CMIDError(f'{out} is a folder: give the name of the file to write')
    if Path(out).exists() and Path(source).exists() and os.path.samefile(out, source):
        raise CMIDError(f'{out} is the input itself, which is never overwritten: give '
                        'another name')


@contextmanager
def atomic_write(out: str) -> Iterator[Path]:
    """Context manager: a path to write to, which becomes ``out`` where nothing failed.

    The folder of ``out`` is created if missing. The content is on the disk before the
    file gets its name, so that after a power cut the file is complete or absent.
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
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot do this for folders.
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
    # torch.save writes the name of a path into the file, but not that of an open file.
    with atomic_write(out) as path, path.open('wb') as file:
        torch.save(content, file)


class AtomicFileBackend(LocalBackend):
    """mmengine's local storage with atomic writes, ``backend_args=dict(backend=...)``.

    ``LocalBackend`` writes in place, so that a killed process leaves an incomplete file.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        """Write a file."""
        with atomic_write(filepath) as path:
            path.write_bytes(obj)

    def put_text(self, obj: str, filepath: str, encoding: str = 'utf-8') -> None:
        """Write a text file."""
        self.put(obj.encode(encoding), filepath)


register_backend('AtomicFileBackend', AtomicFileBackend, force=True)

# ----------------------------------------------------------------------------- integrity


def damage(path: str) -> str:
    """Describe the damage of a checkpoint file; '' for an intact file.

    torch writes zip archives, in which every entry has a CRC-32 of its content;
    ``torch.load`` ignores it. Reads the whole file, about 0.6 s a GB.

    Args:
        path (str): File written by ``torch.save``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        return ' '.join(str(error).split()) or type(error).__name__
    return f'checksum of {entry} is wrong' if entry else ''


def latest_checkpoint(work_dir: str) -> str | None:
    """Find the newest intact checkpoint of a run; None where there is no checkpoint.

    The file that ``last_checkpoint`` names is tried first, then the others by their time.
    A damaged file is logged and skipped. Of the path in ``last_checkpoint`` only the file name is
    used, so that a work dir can be moved. A checkpoint in remote storage is not checked.

    Args:
        work_dir (str): Folder of the run.

    Raises:
        CMIDError: There are checkpoints, and all of them are damaged.
    """
    folder = Path(work_dir)
    try:
        named = (folder / POINTER).read_text().strip()
    except (OSError, UnicodeDecodeError):
        named = ''
    if '://' in named:
        return named
    files = [path for pattern in PATTERNS for path in folder.glob(pattern)]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    first = [path for path in (folder / Path(named).name, Path(named)) if path.is_file()][:1]
    candidates = first + [file for file in files
                          if not any(os.path.samefile(file, path) for path in first)]
    for path in candidates:
        reason = damage(path)
        if not reason:
            return str(path)
        print_log(f'{path} is damaged ({reason}): the previous one is tried',
                  logger='current', level=logging.WARNING)
    if candidates:
        raise CMIDError(f'all {len(candidates)} checkpoints in {work_dir} are damaged: start '
                        'again in another work dir, or restore a copy')
    return None


def clear_unfinished(work_dir: str) -> None:
    """Remove the unfinished checkpoints of killed processes."""
    for path in Path(work_dir).glob(f'*.pth.*{UNFINISHED}'):
        path.unlink(missing_ok=True)
