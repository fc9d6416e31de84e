"""Reads a list of images: one path a line, perhaps with a label."""
import os

from .folder_scan import Progress
from .packed_images import is_image_file

_NAMES_IN_ERROR = 3


def read_list(list_path: str,
              root: str,
              extensions: tuple,
              with_label: bool,
              allow_outside: bool = False) -> tuple[list[str], list[int] | None]:
    """Read a list file of the form that mmpretrain's ``CustomDataset`` takes.

    Args:
        list_path (str): The list file, UTF-8 text. Empty lines are passed over.
        root (str): Folder that the paths start from.
        extensions (tuple[str]): Endings of images, in lower case. They tell a label
            from a path with a blank in it where labels are not wanted.
        with_label (bool): Whether every line ends with a label: an integer from 0 on,
            after white space.
        allow_outside (bool): Whether a path may be absolute or have ``..`` in it: a
            list file is not to be trusted more than the data it came with. Links in the
            folder are followed, as by the scan: who puts them there has the data in hand.
            Defaults to False.

    Returns:
        tuple: Paths in the order of the list (relative to ``root``, or absolute where
        that is allowed) and labels, None without ``with_label``.

    Raises:
        FileNotFoundError: The list, or something that it names, does not exist.
        ValueError: A line leaves the folder or has no label, or the list is empty.
    """
    if not os.path.isfile(list_path):
        raise FileNotFoundError(f'the list file {list_path} does not exist: check '
                                'ann_file, which starts from data_root')
    files, labels, missing = [], [], []
    progress = Progress(f'Checking the images of {list_path}')
    with open(list_path, encoding='utf-8-sig', errors='surrogateescape') as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line:
                continue
            place = f'{list_path}, line {number}'
            path, label = _split_line(line, with_label, extensions, place)
            if not allow_outside and leaves_root(path):
                raise ValueError(
                    f'{place}: {path} lies outside the data folder {root}; list paths '
                    'relative to it, or set allow_outside=True if you trust the list')
            if not is_image_file(os.path.join(root, path)):
                missing.append(f'{path} (line {number})')
            files.append(path)
            labels.append(label)
            progress.update(len(files))
    if missing:
        shown = ', '.join(missing[:_NAMES_IN_ERROR])
        more = ', ...' if len(missing) > _NAMES_IN_ERROR else ''
        raise FileNotFoundError(
            f'{list_path} names {len(missing)} of {len(files)} images that do not exist '
            f'under {root}: {shown}{more}; check data_prefix, or take the lines out')
    if not files:
        raise ValueError(f'the list file {list_path} names no image: write one path a '
                         f'line, relative to {root}')
    return files, labels if with_label else None


def _split_line(line: str, with_label: bool, extensions: tuple,
                place: str) -> tuple[str, int | None]:
    parts = line.rsplit(maxsplit=1)
    if not with_label:
        labelled = (len(parts) == 2 and parts[1].isdecimal()
                    and parts[0].lower().endswith(extensions))
        return (parts[0] if labelled else line), None
    if len(parts) != 2 or not parts[1].isdecimal():
        raise ValueError(f'{place}: "{line}" has no label; write an integer from 0 on '
                         'after the path, or set with_label=False')
    return parts[0], int(parts[1])


def leaves_root(path: str) -> bool:
    """Whether a path is absolute or has a parent folder in it, wherever.

    ``a/../b`` counts too: where ``a`` is a link, it leads to the parent of its target.
    """
    return os.path.isabs(path) or os.pardir in path.replace(os.sep, '/').split('/')


def refuse_outside(list_path: str) -> None:
    """Raise ValueError where a line of a list leaves the folder that it starts from.

    For lists that data sets of other packages read.

    Args:
        list_path (str): The list file, UTF-8 text, a path or name a line.
    """
    with open(list_path, encoding='utf-8-sig', errors='surrogateescape') as lines:
        for number, line in enumerate(lines, 1):
            if leaves_root(line.strip()):
                raise ValueError(
                    f'{list_path}, line {number}: {line.strip()} lies outside the data '
                    'folder; list paths relative to it, or set allow_outside=True in '
                    'ListPathsHook if you trust the list')
