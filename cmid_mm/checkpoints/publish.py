"""Publishing of checkpoints: weights and metadata without private paths."""
import hashlib
import io
import re
from datetime import date
from pathlib import Path, PureWindowsPath

import torch
from torch import Tensor

from ..utils.errors import CMIDError
from .export import extract_backbone
from .files import atomic_write, check_output, load_checkpoint_file

# entries of meta that describe one run on one machine
OF_THE_RUN = ('time', 'experiment_name', 'hook_msgs', 'env_info')
# a quoted absolute path in the text of a config; PATH is the same without its quotes
PATH = r'(?:/|~[\w.-]*/|[A-Za-z]:[\\/])[^\'"\n]*'
QUOTED_PATH = re.compile(rf'([\'"])({PATH})\1')


def publish(checkpoint: str, out: str, keep: str = 'all',
            encoder: str | None = None) -> dict:
    """Write a checkpoint without the parts that only its own training needs.

    ``state_dict`` and ``meta`` are kept; optimiser, schedules, logged values and averaged copies
    of weights are dropped. Absolute paths in ``meta``, including its config, are replaced by the
    names at their ends, and entries that describe the run are dropped.

    Args:
        checkpoint (str): Any mmengine checkpoint, or an exported backbone.
        out (str): Beginning of the name to write: ``dir/name.pth`` becomes
            ``dir/name_YYYYMMDD-xxxxxxxx.pth`` with today's date and the first eight digits
            of the file's SHA-256. Equal content has equal digits.
        keep (str): ``'all'`` tensors or, for a CMID pre-training, the ``'backbone'`` only.
            Defaults to 'all'.
        encoder (str, optional): Encoder to keep, see ``export_backbone``.

    Returns:
        dict: ``path`` (Path), ``sha256`` (whole), ``tensors`` (number), ``dropped`` (names
        of fields).

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: It is not one of mmengine, contains no such backbone, or ``out`` cannot be
            written.
    """
    out = Path(out)
    check_output(out, checkpoint)
    content = load_checkpoint_file(checkpoint)
    name = Path(checkpoint).name
    state = content.get('state_dict')
    if not (isinstance(state, dict) and state
            and all(isinstance(value, Tensor) for value in state.values())):
        raise CMIDError(
            f'{name} is no mmengine checkpoint: it has no state_dict of tensors; files of '
            'the published CMID code go through '
            'tools/model_converters/convert_published.py first')
    kept = extract_backbone(content, encoder, name) if keep == 'backbone' else content
    meta = {key: without_paths(value) for key, value in (kept.get('meta') or {}).items()
            if key not in OF_THE_RUN}
    published = dict(state_dict=kept['state_dict'], meta=meta)

    buffer = io.BytesIO()
    torch.save(published, buffer)
    digits = hashlib.sha256(buffer.getbuffer()).hexdigest()
    final = out.with_name(f'{out.stem}_{date.today():%Y%m%d}-{digits[:8]}.pth')
    check_output(final, checkpoint)
    with atomic_write(final) as path:
        path.write_bytes(buffer.getbuffer())
    return dict(path=final, sha256=digits, tensors=len(published['state_dict']),
                dropped=[key for key in content if key not in published])


def without_paths(value):
    """Replace absolute paths in a plain value by the names at their ends.

    Args:
        value: A string, the text of a config, or containers of such; others are kept.
    """
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_paths(item) for item in value)
    if not isinstance(value, str):
        return value
    if re.fullmatch(PATH, value):
        return _end_of(value)
    return QUOTED_PATH.sub(lambda found: found[1] + _end_of(found[2]) + found[1], value)


def _end_of(path: str) -> str:
    """Last part of a path of any operating system."""
    return PureWindowsPath(path).name if '\\' in path else Path(path).name
