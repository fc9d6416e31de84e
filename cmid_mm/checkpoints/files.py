"""Reads a checkpoint as the untrusted file that it is."""
import re
from pathlib import Path

import torch

from cmid_mm.environment import checkpoint_globals

# These tell of the machine and not of the file; other kinds of OSError come from both.
_NOT_THE_FILE = (PermissionError, MemoryError, torch.OutOfMemoryError)


def load_checkpoint_file(path: str, map_location='cpu') -> dict:
    """Read a checkpoint without running anything that it holds.

    Args:
        path (str): File.
        map_location (str | torch.device | Callable): As in ``torch.load``. Defaults to
            'cpu'.

    Returns:
        dict: Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, or would have to run code to be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no such checkpoint: {path}')
    # a context manager of torch takes off its list what it has put there, whoever put it
    # there before; the onedl family's mmengine uses one
    torch.serialization.add_safe_globals(checkpoint_globals())
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except _NOT_THE_FILE:
        raise
    except Exception as error:
        raise ValueError(f'{path} {_complaint(error)}') from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, no checkpoint')
    return checkpoint


def load_checkpoint_url(url: str, model_dir: str | None = None, map_location=None,
                        progress: bool = True) -> dict:
    """Download a checkpoint and read it without running anything that it holds.

    Takes the place of ``torch.hub.load_state_dict_from_url``, which keeps the file and
    downloads it once, but runs what it holds unless it is told otherwise.

    Args:
        url (str): Address of the file.
        model_dir (str, optional): Folder that keeps it. Defaults to None: torch's own.
        map_location (str | torch.device | Callable): As in ``torch.load``.
        progress (bool): Whether a bar is shown. Defaults to True.

    Raises:
        OSError: It cannot be downloaded.
        ValueError: It is no checkpoint, or would have to run code to be read.
    """
    try:
        return torch.hub.load_state_dict_from_url(
            url, model_dir, map_location, progress, weights_only=True)
    except (OSError, *_NOT_THE_FILE):
        raise
    except Exception as error:
        raise ValueError(f'{url} {_complaint(error)}') from error


def _complaint(error: Exception) -> str:
    foreign = re.search(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', str(error))
    if foreign and foreign[1].startswith('Exploring.'):
        return ('is a pre-training file of the published CMID code: convert it with '
                'tools/model_converters/convert_published.py first')
    if foreign:
        return (f'holds a {foreign[1]} and would have to run code to be read: save the '
                'checkpoint again with tensors and plain values only')
    return (f'cannot be read as a checkpoint ({type(error).__name__}): it is damaged, cut '
            'off or of another format; take another file')
