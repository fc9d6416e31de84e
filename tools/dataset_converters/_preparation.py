"""Functions for the tools of this folder.

It makes the modules of tools/ importable, so tools import ``UserError``, ``run`` and
``tool_parser`` from here.
"""
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _errors import UserError, run  # noqa: E402, F401
from _options import tool_parser  # noqa: E402

MAX_NAMES_IN_ERROR = 4
MAX_WORKERS = 16


def argument_parser(doc, name):
    """Parser of a tool: the download folder, ``--out`` and ``--workers``.

    Args:
        doc (str): The tool's docstring, shown as its help.
        name (str): Name of the data set, whose folder in data/ is the default of ``--out``.
    """
    parser = tool_parser(doc)
    parser.add_argument('folder', type=Path, help='folder of the download')
    parser.add_argument('--out', type=Path, default=Path('data', name),
                        help='folder for the result (default: %(default)s)')
    parser.add_argument('--workers', type=int,
                        default=min(MAX_WORKERS, len(os.sched_getaffinity(0))),
                        help=f'processes (default: one per core, at most {MAX_WORKERS})')
    return parser


def parse_args(parser, arguments=None):
    """Parse and check the options of :func:`argument_parser`.

    Args:
        parser (argparse.ArgumentParser): Its options may be more.
        arguments (list[str], optional): Replace ``sys.argv[1:]``.

    Raises:
        UserError: The folder does not exist, or there is no process.
    """
    args = parser.parse_args(arguments)
    if not args.folder.is_dir():
        raise UserError(f'the folder {args.folder} does not exist; give the folder of the '
                        'download')
    if args.workers < 1:
        raise UserError(f'--workers {args.workers}: at least one process is needed')
    return args


def expect(counts, wanted, what):
    """Check the number of files of a set.

    Args:
        counts (dict[str, int]): Files found, by class or part.
        wanted (dict[str, int]): Files of the published set, by the same names.
        what (str): Name of the set and its folder, for the message.

    Raises:
        UserError: Numbers differ; the message names the first few, missing files first.
    """
    wrong = [(counts.get(name, 0), wanted.get(name, 0), name)
             for name in dict.fromkeys((*wanted, *counts))
             if counts.get(name, 0) != wanted.get(name, 0)]
    if not wrong:
        return
    wrong.sort(key=lambda row: row[0] > row[1])
    rest = len(wrong) - MAX_NAMES_IN_ERROR
    found = ', '.join(f'{name} ({number:,} of {must:,})'
                      for number, must, name in wrong[:MAX_NAMES_IN_ERROR])
    if wrong[0][0] < wrong[0][1]:
        problem, fix = 'is incomplete', 'download or unpack it again'
    else:
        problem, fix = 'has too many files', 'move away what does not belong to it'
    raise UserError(f'{what} {problem}: {found}' +
                    (f' and {rest} more' if rest > 0 else '') + f'; {fix}')


def check_size(name, shape, wanted):
    """Raise ``UserError`` unless an image has the size (height, width) that it must have."""
    if tuple(shape[:2]) != tuple(wanted):
        raise UserError(f'{name} has {shape[1]} x {shape[0]} pixels instead of {wanted[1]} x '
                        f'{wanted[0]}; download or unpack it again')


def windows(height, width, size, overlap=0):
    """Windows that cover an image, row by row.

    The last window of a row and of a column is moved inside, so that all have the same
    size; an image that is smaller than a window gives one window that ends at its border.

    Args:
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.
        size (int): Side of a window, in pixels.
        overlap (int): Pixels that neighbours share at least, below ``size``. Defaults to 0.

    Returns:
        list[tuple[int, int, int, int]]: (top, left, bottom, right), bottom and right
        exclusive.
    """
    def starts(length):
        last = max(length - size, 0)
        return [*range(0, last, size - overlap), last]

    return [(top, left, min(top + size, height), min(left + size, width))
            for top in starts(height) for left in starts(width)]


def check_overlap(overlap, size):
    """Raise ``UserError`` for an overlap that :func:`windows` cannot have."""
    if not 0 <= overlap < size:
        raise UserError(f'--overlap {overlap} must be at least 0 and less than {size}, the side '
                        'of a tile')


def write_png(path, pixels):
    """Write uint8 pixels (H, W), (H, W, 3) in the order RGB, or (H, W, 4)."""
    if pixels.ndim == 3:
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), code)
    if not cv2.imwrite(str(path), pixels):
        raise UserError(f'{path} cannot be written: is the disk full?')


def run_jobs(function, jobs, label, workers):
    """Call a function on every job in parallel, with a progress bar.

    Args:
        function (Callable): Takes one job; its result must be picklable.
        jobs (Sequence): One item per call.
        label (str): Printed before the progress bar.
        workers (int): Processes; 1 is this process.

    Returns:
        list: Results in the order of the jobs.

    Raises:
        UserError: A process was killed.
        Exception: A job raised it; ``_errors.clear_line`` gives the line of a foreseeable one.
    """
    from cmid_mm.datasets.parallel_reading import read_in_parallel

    class Jobs:

        def __len__(self):
            return len(jobs)

        def __getitem__(self, index):
            return function(jobs[index])

    print(f'{label} ({len(jobs):,})', file=sys.stderr, flush=True)
    try:
        return list(read_in_parallel(Jobs(), workers if workers > 1 else 0))
    except RuntimeError as error:
        # of torch, where the operating system ended a process
        if 'DataLoader worker (pid' not in str(error):
            raise
        raise UserError(f'{label}: a process was killed, perhaps for lack of memory; try '
                        '--workers 1') from error


@contextmanager
def output_folder(out):
    """Context manager: a temporary folder, which is renamed to ``out`` at the end.

    It is removed where the block fails; the next call removes the folder of a killed one.

    Args:
        out (Path | str): The folder to create.

    Raises:
        UserError: ``out`` is a file, or a folder that is not empty.
    """
    out = Path(os.path.abspath(out))
    if out.is_file() or out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out} exists and is not empty; remove it or give another --out')
    partial = out.with_name(f'.{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
