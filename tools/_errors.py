"""Foreseeable errors end a tool in one line instead of a traceback.

Every tool imports this module first, which also lets a clone serve without installation.
"""
import atexit
import json
import os
import re
import sys
import time
import traceback
import warnings
from pathlib import Path

# The package lies beside this folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# mmcv-lite says so whenever it is imported; pre-training needs no compiled operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention')

WRONG_PATH = (NotADirectoryError, FileExistsError, IsADirectoryError, PermissionError)


class UserError(Exception):
    """A foreseeable mistake; its message is all that the user needs to see."""


def rank():
    """Number of this process, before the process group exists."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return int(next((os.environ[name] for name in names if name in os.environ), 0))


def say(line):
    """Prints one line, from the first process only."""
    if rank() == 0:
        print(line, flush=True)


def wrong_path(error):
    """What is wrong with the path of an ``OSError``.

    Args:
        error (OSError): One of ``WRONG_PATH``.
    """
    path = Path(error.filename)
    for part in (path, *path.parents):
        if not isinstance(error, PermissionError) and part.is_file():
            return f'{part} is a file, but a folder is wanted there; give another path'
    if isinstance(error, IsADirectoryError):
        return f'{path} is a folder, but a file is wanted there; give another path'
    return f'{path} cannot be used: {error.strerror}; give another path'


def clear_line(error):
    """The one line that says all about a foreseeable error.

    Args:
        error (Exception): What ended the run.

    Returns:
        str | None: None for an error that needs its traceback.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in ('torch', 'mmengine'):
        return (f'{error.name} is not installed for {sys.executable}; activate the '
                f'environment that has it, or make one with tools/quickstart.sh')
    if type(error).__name__ == 'OutOfMemoryError' or "can't allocate memory" in str(error):
        return (f'out of memory ({str(error).splitlines()[0]}); lower it with '
                f'--cfg-options train_dataloader.batch_size=..., --amp, or '
                f'model.backbone.with_cp=True')
    if isinstance(error, WRONG_PATH) and error.filename:
        return wrong_path(error)
    # A `raise` in this package is a check of the user's input: its message suffices.
    # The text, unlike the traceback object, also tells where a loader's worker stopped.
    text = ''.join(traceback.format_exception(error)).rstrip()
    frames = re.findall(r'File "(.+)", line \d+, in .+\n\s+(.+)', text)
    file, statement = frames[-1] if frames else ('', '')
    if 'cmid_mm' in Path(file).parts and statement.startswith('raise'):
        return text.splitlines()[-1].partition(': ')[2]
    return None


def run(main):
    """Runs a tool; a foreseeable error ends it in one line, without a traceback.

    ``CMID_TRACEBACK=1`` shows the traceback all the same.
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
        tell_launcher(line or f'{type(error).__name__}: {error}')
        if line is None or os.environ.get('CMID_TRACEBACK'):
            raise
        sys.exit(f'{Path(sys.argv[0]).name}: error: {line}')
    if 'torch' in sys.modules and sys.modules['torch'].distributed.is_initialized():
        leave_group(sys.modules['torch'].distributed, status or 0)
    if status is not None:
        sys.exit(status)


def leave_group(distributed, status):
    """Ends the part of this process in its group."""
    on_cpu = distributed.get_backend() == 'gloo'
    distributed.destroy_process_group()
    if on_cpu:
        # Now and then the C++ side aborts in the interpreter's end, on a thread of gloo that
        # still runs, and torchrun reports a failure after everything has been written. So
        # what Python registered for the end runs, and nothing after it.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def tell_launcher(message):
    """Gives torchrun the message to end its own report with, which hides ours."""
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if file:
        Path(file).write_text(json.dumps(dict(message=message, timestamp=int(time.time()))))
