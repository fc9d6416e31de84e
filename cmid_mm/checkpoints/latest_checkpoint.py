"""The checkpoint to go on from: the newest one that is whole."""
import logging
import os
import zipfile
from pathlib import Path

from mmengine.logging import print_log

from .output_file import UNFINISHED

POINTER = 'last_checkpoint'
PATTERNS = ('epoch_*.pth', 'iter_*.pth')


def damage(path: str) -> str:
    """What is wrong with a checkpoint file, in a few words; empty where nothing is.

    torch writes zip archives, and every entry of one carries a CRC-32 of its content.
    ``torch.load`` does not look at it. Reads the whole file, about 0.6 s a GB.

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
    """Newest whole checkpoint of a run, None where there is none at all.

    The file that ``last_checkpoint`` names comes first, then the others by their time.
    A damaged one is told in the log and passed over. The name counts and not the folder in
    front of it, so a work dir can be moved.

    Args:
        work_dir (str): Folder of the run.

    Raises:
        ValueError: There are checkpoints, and all of them are damaged.
    """
    candidates = _candidates(Path(work_dir))
    for path in candidates:
        complaint = damage(path)
        if not complaint:
            return str(path)
        print_log(f'{path} is damaged ({complaint}): taking the one before',
                  logger='current', level=logging.WARNING)
    if candidates:
        raise ValueError(f'all {len(candidates)} checkpoints in {work_dir} are damaged: start '
                         'anew in another work dir, or bring back a copy')
    return None


def clear_unfinished(work_dir: str) -> None:
    """Remove what a killed process left half written."""
    for path in Path(work_dir).glob(f'*.pth.*{UNFINISHED}'):
        path.unlink(missing_ok=True)


def _candidates(work_dir: Path) -> list[Path]:
    files = [path for pattern in PATTERNS for path in work_dir.glob(pattern)]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    try:
        named = Path((work_dir / POINTER).read_text().strip())
    except (OSError, UnicodeDecodeError):
        return files
    for path in (work_dir / named.name, named):
        if path.is_file():
            return [path, *(file for file in files if not os.path.samefile(file, path))]
    return files
