"""List files of images: one path per line, optionally with a label."""
import os
from collections.abc import Iterator

from cmid_mm.utils.errors import CMIDError, MissingFileError

from .folder_scan import Progress
from .packed_images import is_image_file
from .raster_paths import files_of, split_window

_NAMES_IN_ERROR = 3


def read_list(list_path: str, root: str, extensions: tuple[str, ...], with_label: bool,
              allow_outside: bool = False) -> tuple[list[str], list[int] | None]:
    """Read a list file of the form that mmpretrain's ``CustomDataset`` takes.

    Args:
        list_path (str): The list file, UTF-8 text. Empty lines are skipped.
        root (str): Folder that the paths are relative to.
        extensions (tuple[str]): Endings of images, in lower case. They distinguish a label
            from a path with a blank where labels are not requested.
        with_label (bool): Whether every line ends with white space and a label from 0 on.
        allow_outside (bool): Whether a path may be absolute or contain ``..``: a list is as
            untrusted as its data. Links are followed, as by the scan. Defaults to False.

    Returns:
        tuple: Paths in the order of the list (relative to ``root``, or absolute where
        that is allowed) and labels, None without ``with_label``.

    Raises:
        MissingFileError: The list, or an image that it names, does not exist.
        CMIDError: A line is outside the folder or has no label, or the list is empty.
    """
    files, labels, missing = [], [], []
    progress = Progress(f'Checking the images of {list_path}')
    for number, line in list_lines(list_path):
        place = f'{list_path}, line {number}'
        path, label = _split_line(line, with_label, extensions, place)
        if not allow_outside:
            _check_inside(path, place, 'the data set')
        if not is_image_file(os.path.join(root, path)):
            missing.append(f'{path} (line {number})')
        files.append(path)
        labels.append(label)
        progress.update(len(files))
    if missing:
        raise MissingFileError(
            f'{list_path} names {len(missing)} of {len(files)} images that do not exist '
            f'under {root}: {first_names(missing)}; check data_prefix, or remove the lines')
    if not files:
        raise CMIDError(f'the list file {list_path} names no image: write one path per '
                        f'line, relative to {root}')
    return files, labels if with_label else None


def list_lines(list_path: str) -> Iterator[tuple[int, str]]:
    """Yield number, from 1 on, and text of the lines that are not empty.

    Raises:
        MissingFileError: The list does not exist.
    """
    if not os.path.isfile(list_path):
        raise MissingFileError(f'the list file {list_path} does not exist: check '
                               'ann_file, which is relative to data_root')
    with open(list_path, encoding='utf-8-sig', errors='surrogateescape') as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.strip()


def _split_line(line: str, with_label: bool, extensions: tuple[str, ...],
                place: str) -> tuple[str, int | None]:
    path, label = (line.rsplit(maxsplit=1) + [''])[:2]
    if with_label and not label.isdecimal():
        raise CMIDError(f'{place}: "{line}" has no label; write an integer from 0 on '
                        'after the path, or set with_label=False')
    if with_label:
        return path, int(label)
    labelled = label.isdecimal() and split_window(path)[0].lower().endswith(extensions)
    return (path if labelled else line), None


def refuse_outside(list_path: str) -> None:
    """Raise CMIDError where a line of a list names a file outside the data folder.

    It checks lists that data sets of other packages read.
    """
    for number, line in list_lines(list_path):
        _check_inside(line, f'{list_path}, line {number}', 'PreflightHook')


def _check_inside(path: str, place: str, owner: str) -> None:
    if any(map(leaves_root, files_of(path))):
        raise CMIDError(f'{place}: {path} is outside the data folder; list paths relative to it, '
                        f'or set allow_outside=True in {owner} if you trust the list')


def first_names(names: list[str]) -> str:
    """The first names for an error message, with an ellipsis where there are more."""
    more = ', ...' if len(names) > _NAMES_IN_ERROR else ''
    return ', '.join(names[:_NAMES_IN_ERROR]) + more


def is_listable(file: str) -> bool:
    """Whether a list file can contain a path: no line break, and no blank at its ends."""
    return (file == file.strip() and not file.startswith('\ufeff')
            and '\n' not in file and '\r' not in file)


def leaves_root(path: str) -> bool:
    """Whether a path is absolute or contains a parent folder at any position.

    ``a/../b`` is included: where ``a`` is a link, it leads to the parent of its target.
    """
    return os.path.isabs(path) or os.pardir in path.replace(os.sep, '/').split('/')
