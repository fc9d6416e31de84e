"""What the tools that prepare data sets share.

Importing it makes ``_errors`` and the package importable from a clone; tools take
``UserError`` and ``run`` from here.
"""
import argparse
import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _errors import UserError, clear_line, run  # noqa: E402, F401

_NAMES_IN_ERROR = 4
_MOST_WORKERS = 16

# What the processes of `run_jobs` inherit when they are forked, so that neither the
# function nor the jobs have to be sent.
_inherited = {}


def argument_parser(doc, default_out):
    """Parser of a preparation tool: the download folder, ``--out``, ``--workers``.

    Args:
        doc (str): The tool's docstring, shown as its help.
        default_out (str): Where the prepared set goes unless ``--out`` says otherwise.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of the download')
    parser.add_argument('--out', type=Path, default=Path(default_out),
                        help='folder for the result (default: %(default)s)')
    parser.add_argument('--workers', type=int,
                        help='processes (default: one per core, at most '
                             f'{_MOST_WORKERS})')
    return parser


def parse_args(doc, default_out, arguments=None):
    """Command line of a tool without switches of its own.

    Args:
        doc (str): The tool's docstring.
        default_out (str): Default of ``--out``.
        arguments (list[str], optional): Stands in for ``sys.argv[1:]``.

    Returns:
        argparse.Namespace: ``folder`` (Path, exists), ``out`` (Path), ``workers``.

    Raises:
        UserError: The folder does not exist.
    """
    args = argument_parser(doc, default_out).parse_args(arguments)
    require_folder(args.folder)
    return args


def require_folder(folder):
    """Raise ``UserError`` unless ``folder`` is a folder."""
    if not folder.is_dir():
        raise UserError(f'the folder {folder} does not exist; give the one that holds the '
                        'download')


def expect(counts, wanted, what):
    """Check that a set holds what it must hold.

    Args:
        counts (dict[str, int]): Files found, by class or part.
        wanted (dict[str, int]): Files that there must be, by the same names.
        what (str): Name of the set and its folder, for the message.

    Raises:
        UserError: Something is missing, or there is more than there must be; the message
            names the first few.
    """
    few, many = [], []
    for name in (*wanted, *(name for name in counts if name not in wanted)):
        found, must = counts.get(name, 0), wanted.get(name, 0)
        line = f'{name} ({found:,} of {must:,})' if name in wanted else \
            f'{name} ({found:,}, unknown)'
        if found < must:
            few.append(line)
        elif found > must:
            many.append(line)
    if few:
        raise UserError(f'{what} is incomplete: {_some(few)}; download or unpack it again')
    if many:
        raise UserError(f'{what} holds more than it should: {_some(many)}; move what does '
                        'not belong to it away')


def _some(lines):
    rest = len(lines) - _NAMES_IN_ERROR
    return ', '.join(lines[:_NAMES_IN_ERROR]) + (f' and {rest} more' if rest > 0 else '')


def windows(height, width, size, overlap=0):
    """Windows that cover an image, row by row.

    The last one of a row and of a column is moved inside, so that all have the same size;
    an image that is smaller than a window gives one window that ends at its border.

    Args:
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.
        size (int): Side of a window, in pixels.
        overlap (int): Pixels that neighbours share at least. Defaults to 0.

    Returns:
        list[tuple[int, int, int, int]]: (top, left, bottom, right), bottom and right
        exclusive.

    Raises:
        ValueError: The overlap is negative or not below the size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f'overlap={overlap} must lie between 0 and size={size}')
    return [(top, left, min(top + size, height), min(left + size, width))
            for top in _starts(height, size, size - overlap)
            for left in _starts(width, size, size - overlap)]


def _starts(length, size, step):
    last = max(length - size, 0)
    return [*range(0, last, step), last]


def run_jobs(function, jobs, label, workers=None):
    """Call a function on every job, in several processes, with progress and time left.

    Args:
        function (Callable): Takes one job; what it returns must be picklable.
        jobs (Iterable): Anything.
        label (str): What is being done, shown before the progress.
        workers (int, optional): Processes; 1 stays in this one. Defaults to one per core.

    Returns:
        list: What the function returned, in the order of the jobs.

    Raises:
        UserError: A job failed foreseeably (its own message), or a process was killed.
        Exception: What else a job raised.
    """
    from mmengine.utils import ProgressBar
    jobs = list(jobs)
    if workers is not None and workers < 1:
        raise UserError(f'--workers {workers}: at least one process is needed')
    if not jobs:
        return []
    workers = min(workers or _cores(), _MOST_WORKERS, len(jobs))
    print(f'{label} ({len(jobs):,})', file=sys.stderr, flush=True)
    progress = ProgressBar(len(jobs), bar_width=30, file=sys.stderr)
    # a bar that moves at most a hundred times keeps a log file readable
    step = max(1, len(jobs) // 100)
    results = []
    try:
        for result in _results(function, jobs, workers):
            results.append(result)
            if len(results) % step == 0 or len(results) == len(jobs):
                progress.update(len(results) - progress.completed)
    except BrokenProcessPool as error:
        raise UserError(f'{label}: a process was killed, perhaps for lack of memory; try '
                        '--workers 1') from error
    finally:
        print(file=sys.stderr, flush=True)
    return results


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _results(function, jobs, workers):
    _inherited.update(function=function, jobs=jobs)
    try:
        if workers == 1:
            yield from map(_run_job, range(len(jobs)))
            return
        with ProcessPoolExecutor(workers, multiprocessing.get_context('fork'),
                                 initializer=_one_thread) as pool:
            chunk = min(16, len(jobs) // (4 * workers) or 1)
            yield from pool.map(_run_job, range(len(jobs)), chunksize=chunk)
    finally:
        _inherited.clear()


def _one_thread():
    import cv2
    cv2.setNumThreads(0)


def _run_job(index):
    try:
        return _inherited['function'](_inherited['jobs'][index])
    except Exception as error:
        # The traceback, which tells what is foreseeable, does not leave this process.
        line = clear_line(error)
        if line is None:
            raise
        raise UserError(line) from None


@contextmanager
def output_folder(out):
    """A folder to fill that becomes ``out`` when all is done, and never before.

    Yields a temporary sibling of ``out``. It is renamed at the end and removed where the
    block fails; what a killed run left is removed by the next.

    Args:
        out (Path | str): The folder to make.

    Raises:
        UserError: ``out`` is a file, or a folder that holds something.
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
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
