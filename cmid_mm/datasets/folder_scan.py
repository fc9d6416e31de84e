"""Lists the images under a folder: fast, with progress, remembered until it changes."""
import logging
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import print_log

from .packed_images import packed_images
from .scan_memory import ScanMemory

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp')

_FILES_BETWEEN_LOOKS = 1000


class Scan(NamedTuple):
    """What a scan found.

    Attributes:
        files (list[str]): Paths relative to the root with ``/``, sorted by their bytes,
            so that the index of an image is the same on every machine.
        folders (dict[str, int]): Time of the last change of every folder of the tree
            (relative path, '' is the root), in nanoseconds.
    """
    files: list
    folders: dict


class Progress:
    """Logs how far a long count has come, once every few seconds.

    Args:
        doing (str): Start of the line, for example 'Scanning /data/images'.
        seconds (float): Time between two lines. Defaults to 3.0.
    """

    def __init__(self, doing: str, seconds: float = 3.0) -> None:
        self.doing = doing
        self.seconds = seconds
        self.start = self.last = time.monotonic()

    def update(self, count: int) -> None:
        """Log a line where the last one is old enough."""
        now = time.monotonic()
        if now - self.last >= self.seconds:
            self.last = now
            rate = count / (now - self.start)
            print_log(f'{self.doing}: {count:,} so far, {rate:,.0f} per second',
                      logger='current', level=logging.INFO)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start


def scan_folder(root: str,
                extensions: Sequence[str] = IMAGE_EXTENSIONS,
                remember: bool = True) -> list[str]:
    """List the images under a folder, at any depth.

    Links to folders are followed. Names that begin with a dot are left out: they are
    the leftovers of file managers and editors.

    Args:
        root (str): The folder, or a packed data set, which says what its folder held.
        extensions (Sequence[str]): Endings that make a file an image, in lower case;
            the case of the file's own name does not matter.
        remember (bool): Whether the result is kept in the user's cache and taken from
            there as long as no folder of the tree has changed. Defaults to True.

    Returns:
        list[str]: Paths relative to ``root``, ``/`` between the parts, sorted by bytes.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        NotADirectoryError: ``root`` is not a folder.
        OSError: A folder of the tree cannot be read.
        ValueError: ``root`` is a file that ends in ``.lmdb`` and no packed data set.
    """
    root = os.path.abspath(root)
    packed = packed_images(root, extensions)
    if packed is not None:
        return packed
    if not os.path.exists(root):
        raise FileNotFoundError(
            f'the image folder {root} does not exist: check data_root and data_prefix')
    if not os.path.isdir(root):
        raise NotADirectoryError(
            f'{root} is not a folder: data_root names the folder that holds the images')
    extensions = tuple(sorted(extensions))
    if not remember:
        return walk(root, extensions).files

    memory = ScanMemory(root, extensions)
    files = memory.recall()
    if files is None:
        with memory.lock():
            # Another process of the same run may just have done the work.
            files = memory.recall()
            if files is None:
                started = time.time_ns()
                scan = walk(root, extensions)
                memory.store(scan.files, scan.folders, started)
                files = scan.files
    return files


def walk(root: str, extensions: tuple) -> Scan:
    """Read the whole tree, whatever is remembered; see :func:`scan_folder`."""
    files, folders = [], {}
    progress = Progress(f'Scanning {root}')
    pending = [('', ())]
    while pending:
        folder, ancestors = pending.pop()
        path = os.path.join(root, folder) if folder else root
        try:
            # Before the listing, so that a change during it shows at the next start.
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if identity in ancestors:
                print_log(f'{path} links back to a folder above it and is left out',
                          logger='current', level=logging.WARNING)
                continue
            folders[folder] = status.st_mtime_ns
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith('.'):
                        continue
                    relative = f'{folder}/{name}' if folder else name
                    if entry.is_dir():
                        pending.append((relative, (*ancestors, identity)))
                    elif name.lower().endswith(extensions):
                        files.append(relative)
                        if len(files) % _FILES_BETWEEN_LOOKS == 0:
                            progress.update(len(files))
        except OSError as error:
            raise OSError(f'the folder {path} cannot be read ({error.strerror}): give '
                          'the right to read it, or move it out of the data') from error
        progress.update(len(files))
    files.sort(key=os.fsencode)
    print_log(f'Found {len(files):,} images in {len(folders):,} folders of {root} '
              f'({progress.elapsed:.1f} s)', logger='current', level=logging.INFO)
    return Scan(files, folders)
