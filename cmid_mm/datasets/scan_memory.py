"""Remembers what a folder holds until one of its folders changes.

The memory only saves time. Whatever goes wrong with it, a log line says so and the
folder is read again.
"""
import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

try:
    import fcntl
except ImportError:  # Windows has no such locks; every process then reads the folder.
    fcntl = None

# File systems keep times in steps of up to two seconds. A folder that changed later
# than that before the scan may change again without showing it.
_SETTLED_NS = 2_000_000_000
_LOCK_WAIT_SECONDS = 600
_LOCK_POLL_SECONDS = 0.2


def cache_folder() -> Path:
    """Folder for things that can be made again: ``CMID_CACHE`` or ``~/.cache/cmid_mm``.

    Raises:
        RuntimeError: There is no home folder.
    """
    named = os.environ.get('CMID_CACHE')
    return Path(named) if named else Path.home() / '.cache' / 'cmid_mm'


class ScanMemory:
    """The remembered scan of one folder.

    The file is the SHA-256 of its second line, a line break and that line: JSON with
    the root, the extensions, the time of every folder and the list of images. Nothing
    in it can run code.

    Args:
        root (str): Absolute path of the folder.
        extensions (tuple[str]): Endings that make a file an image.
    """

    def __init__(self, root: str, extensions: tuple) -> None:
        self.root = root
        self.extensions = list(extensions)
        identity = json.dumps([root, self.extensions]).encode()
        name = f'scan-{hashlib.sha256(identity).hexdigest()[:32]}.json'
        try:
            self.path = cache_folder() / name
        except RuntimeError as error:
            self.path = None
            self._complain(error)

    def recall(self) -> list[str] | None:
        """The remembered images, or None where nothing fitting is remembered."""
        if self.path is None:
            return None
        try:
            digest, payload = self.path.read_bytes().split(b'\n', 1)
            if hashlib.sha256(payload).hexdigest().encode() != digest:
                raise ValueError('the remembered scan is damaged')
            memory = json.loads(payload)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._complain(error)
            return None
        if memory['root'] != self.root or memory['extensions'] != self.extensions:
            return None
        if not all(map(self._unchanged, *zip(*memory['folders'].items(), strict=True))):
            return None
        print_log(f'{len(memory["files"]):,} images of {self.root} are remembered from '
                  'an earlier start', logger='current', level=logging.INFO)
        return memory['files']

    def store(self, files: list[str], folders: dict[str, int], started: int) -> None:
        """Remember a scan.

        Args:
            files (list[str]): Relative paths of the images.
            folders (dict[str, int]): Time of change of each folder, nanoseconds.
            started (int): Time at which the scan began, nanoseconds.
        """
        if self.path is None or max(folders.values()) > started - _SETTLED_NS:
            return
        payload = json.dumps(dict(root=self.root, extensions=self.extensions,
                                  folders=folders, files=files)).encode()
        unfinished = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(dir=self.path.parent, suffix='.part')
            with os.fdopen(handle, 'wb') as file:
                file.write(hashlib.sha256(payload).hexdigest().encode() + b'\n')
                file.write(payload)
            os.replace(unfinished, self.path)
        except OSError as error:
            if unfinished is not None:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
            self._complain(error)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Let the processes of one machine read the folder one after the other.

        It spares them work and is never needed for a right result: where the lock
        cannot be had, the block runs all the same.
        """
        with contextlib.ExitStack() as held:
            if fcntl is not None and self.path is not None:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    file = held.enter_context(open(f'{self.path}.lock', 'w'))
                    self._wait_for(file)
                except OSError as error:
                    self._complain(error)
            yield

    def _wait_for(self, file) -> None:
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        told = False
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not told:
                    print_log(f'Another process is scanning {self.root}; waiting for '
                              'its result', logger='current', level=logging.INFO)
                    told = True
                time.sleep(_LOCK_POLL_SECONDS)

    def _unchanged(self, folder: str, modified: int) -> bool:
        try:
            status = os.stat(os.path.join(self.root, folder) if folder else self.root)
        except OSError:
            return False
        return status.st_mtime_ns == modified

    def _complain(self, error: Exception) -> None:
        print_log(f'The scan of {self.root} cannot be remembered or recalled ({error}); '
                  'training is not affected', logger='current', level=logging.WARNING)
