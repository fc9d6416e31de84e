"""Errors of the user end a tool with one line instead of a traceback.

Every tool imports this module first, which also makes the package of a clone importable.
"""
import atexit
import json
import os
import sys
import time
import warnings
from pathlib import Path

# The package is in the parent folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# mmcv-lite warns whenever it is imported; pre-training needs no compiled operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention')

WRONG_PATH = (NotADirectoryError, FileExistsError, IsADirectoryError, PermissionError)
# The package's classes by name: a tool must work before the package can be imported.
FORESEEABLE = {'UserError', 'CMIDError', 'UnsupportedEnvironment'}


class UserError(Exception):
    """A foreseeable error that a tool itself finds, mostly before the slow imports."""


def rank():
    """Number of this process, before the process group exists."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return int(next((os.environ[name] for name in names if name in os.environ), 0))


def print_line(line):
    """Print one line, from the first process only."""
    if rank() == 0:
        print(line, flush=True)


def wrong_path(error):
    """Message for the path of an ``OSError``.

    Args:
        error (OSError): One of ``WRONG_PATH``.
    """
    path = Path(error.filename)
    for part in (path, *path.parents):
        if not isinstance(error, PermissionError) and part.is_file():
            return f'{part} is a file, but a folder is required; give another path'
    if isinstance(error, IsADirectoryError):
        return f'{path} is a folder, but a file is required; give another path'
    return f'{path} cannot be used: {error.strerror}; give another path'


def clear_line(error):
    """The line that replaces the traceback of a foreseeable error.

    Args:
        error (Exception): The error that ended the run.

    Returns:
        str | None: None for an internal error, which keeps its traceback.
    """
    if FORESEEABLE & {kind.__name__ for kind in type(error).__mro__}:
        # a worker of a loader sends its whole traceback as the message
        text = str(error).rstrip() or type(error).__name__
        in_worker = text.startswith('Caught ') and '\n' in text
        return text.splitlines()[-1].partition(': ')[2] if in_worker else text
    if isinstance(error, ModuleNotFoundError) and error.name in ('torch', 'mmengine'):
        return (f'{error.name} is not installed for {sys.executable}; activate the '
                f'environment that has it, or create one with tools/quickstart.sh')
    if type(error).__name__ == 'OutOfMemoryError' or "can't allocate memory" in str(error):
        return (f'out of memory ({str(error).splitlines()[0]}); reduce it with '
                f'--cfg-options train_dataloader.batch_size=..., --amp, or '
                f'model.backbone.with_cp=True')
    if isinstance(error, WRONG_PATH) and error.filename:
        return wrong_path(error)
    return None


def run(main):
    """Run a tool; a foreseeable error ends it in one line, without a traceback.

    ``CMID_TRACEBACK=1`` shows the traceback nevertheless.
    """
    status = None
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        status = end.code
    except Exception as error:
        line = clear_line(error)
        report_to_launcher(line or f'{type(error).__name__}: {error}')
        if line is None or os.environ.get('CMID_TRACEBACK'):
            raise
        sys.exit(f'{Path(sys.argv[0]).name}: error: {line}')
    if 'torch' in sys.modules and sys.modules['torch'].distributed.is_initialized():
        leave_group(sys.modules['torch'].distributed, status or 0)
    if status is not None:
        sys.exit(status)


def leave_group(distributed, status):
    """Leave the process group; with gloo, end the process with ``status``."""
    on_cpu = distributed.get_backend() == 'gloo'
    distributed.destroy_process_group()
    if on_cpu:
        # Sometimes the C++ part aborts while the interpreter ends, on a thread of gloo that still
        # runs, and torchrun reports a failure after everything has been written. Therefore only
        # the exit handlers of Python run, and nothing after them.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def report_to_launcher(message):
    """Pass the message to torchrun for its own report, which is printed after ours."""
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if file:
        Path(file).write_text(json.dumps(dict(message=message, timestamp=int(time.time()))))
