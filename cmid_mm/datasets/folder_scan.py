"""Lists of the images under a folder, in an order that is the same on every machine."""
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from cmid_mm.utils.errors import CMIDError, MissingFileError

from .packed_images import list_packed

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp', '.jp2')


class Progress:
    """Logs the count of a task of unknown length, once every few seconds.

    Args:
        task (str): Start of the line, for example 'Scanning /data/images'.
        seconds (float): Time between two lines. Defaults to 3.0.
    """

    def __init__(self, task: str, seconds: float = 3.0) -> None:
        self.task = task
        self.seconds = seconds
        self.start = self.last = time.monotonic()

    def update(self, count: int) -> None:
        """Log a line if the last one is old enough."""
        now = time.monotonic()
        if now - self.last >= self.seconds:
            self.last = now
            rate = count / (now - self.start)
            print_log(f'{self.task}: {count:,} so far, {rate:,.0f} per second', logger='current')


def on_first_process(function: Callable, *args) -> Any:
    """Call a function in the first process of a training and broadcast its result or error.

    Every process must make the call. Only one process then reads the folder, and all processes
    have the same order of images.
    """
    outcome = [None]
    if is_main_process():
        try:
            outcome = [function(*args)]
        except Exception as error:
            # Otherwise the other processes would wait for a result forever.
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def scan_folder(root: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> list[str]:
    """List the images under a folder, at any depth; an empty list where there is none.

    Links to folders are followed. Names that begin with a dot are left out: they are
    leftovers of file managers and editors.

    Args:
        root (str): The folder, or a packed data set, which lists the files of its folder.
        extensions (Sequence[str]): Endings of images, in lower case; file names may
            have any case.

    Returns:
        list[str]: Paths relative to ``root``, ``/`` between the parts, sorted by their
        bytes.

    Raises:
        MissingFileError: ``root`` does not exist.
        CMIDError: ``root`` is neither a folder nor a packed data set, or a folder of the
            tree cannot be read.
    """
    root = os.path.abspath(root)
    packed = list_packed(root, extensions)
    if packed is not None:
        return packed
    if not os.path.exists(root):
        raise MissingFileError(
            f'the image folder {root} does not exist: check data_root and data_prefix')
    if not os.path.isdir(root):
        raise CMIDError(
            f'{root} is not a folder: data_root must be the folder that holds the images')
    files, folders, progress = [], 0, Progress(f'Scanning {root}')
    pending = [('', ())]
    while pending:
        folder, ancestors = pending.pop()
        path = os.path.join(root, folder)
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if identity in ancestors:
                print_log(f'{path} links back to a folder above it and is left out',
                          logger='current', level=logging.WARNING)
                continue
            folders += 1
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith('.'):
                        continue
                    relative = f'{folder}/{entry.name}' if folder else entry.name
                    if entry.is_dir():
                        pending.append((relative, (*ancestors, identity)))
                    elif entry.name.lower().endswith(tuple(extensions)):
                        files.append(relative)
                        progress.update(len(files))
        except OSError as error:
            raise CMIDError(f'the folder {path} cannot be read ({error.strerror}): grant '
                            'the right to read it, or move it out of the data') from error
    files.sort(key=os.fsencode)
    print_log(f'Found {len(files):,} images in {folders:,} folders of {root} '
              f'({time.monotonic() - progress.start:.1f} s)', logger='current')
    return files


def list_images(root: str) -> list[str]:
    """As :func:`scan_folder`, but no image is a CMIDError."""
    files = scan_folder(root)
    if not files:
        raise CMIDError(f'{root} holds no image ({", ".join(sorted(IMAGE_EXTENSIONS))})')
    return files
