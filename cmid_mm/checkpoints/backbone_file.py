"""The backbone that a checkpoint of any of the mm frameworks holds."""
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.fileio import get_local_path

from .backbone import ENCODERS, extract_backbone
from .files import load_checkpoint_file


@dataclass
class BackboneFile:
    """What was read.

    Attributes:
        name (str): File name.
        tensors (dict[str, torch.Tensor]): Under the backbone's own names, no prefix.
        meta (dict): ``encoder``, ``bands``, ``mean``, ``std`` (per band, 0..255),
            ``loading`` and ``epoch``, as far as the file tells; see ``extract_backbone``.
    """
    name: str
    tensors: dict[str, torch.Tensor]
    meta: dict = field(default_factory=dict)

    def __str__(self) -> str:
        meta = self.meta
        told = [meta[key] for key in ('encoder', ) if meta.get(key)]
        if meta.get('bands'):
            told.append(f'{meta["bands"]} bands')
        if meta.get('epoch') is not None:
            told.append(f'epoch {meta["epoch"]}')
        return f'{self.name} ({", ".join(told)})' if told else self.name


def read_backbone_file(checkpoint: str, encoder: str | None = None,
                       prefix: str | None = None, map_location='cpu') -> BackboneFile:
    """Read a backbone; the file may run no code.

    Args:
        checkpoint (str): Path, or address that ``mmengine.fileio`` reads (http, https,
            s3, ...), of an exported file, a training checkpoint of CMID, a checkpoint of
            mmpretrain, mmseg, mmdet and the like, or a plain state dict;
            ``.safetensors`` too.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            student of a training checkpoint, whichever an exported file holds.
        prefix (str, optional): What the backbone's keys begin with. Defaults to None:
            ``backbone.``, or nothing where no key begins so.
        map_location (str | torch.device): Where the tensors go. Defaults to 'cpu'.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read safely, holds no tensors or not that encoder.
    """
    name = checkpoint.rsplit('/', 1)[-1]
    content = _read(checkpoint, map_location)
    state = _state_dict(content, name)
    if all(key.startswith('module.') for key in state):
        state = {key.removeprefix('module.'): value for key, value in state.items()}

    if any(key.startswith(ENCODERS['teacher']) for key in state):
        if encoder is None and prefix and prefix.startswith('teacher.'):
            encoder = 'teacher'
        exported = extract_backbone(
            dict(state_dict=state, meta=_dict(content.get('meta'))), encoder or 'student', name)
        state, meta, prefix = exported['state_dict'], exported['meta'], None
    else:
        meta = _dict(content.get('meta'))
        _check_encoder(encoder, meta.get('encoder'), name)
    return BackboneFile(name, _without_prefix(state, prefix), meta)


def _read(checkpoint: str, map_location) -> dict:
    read = _read_safetensors if checkpoint.endswith('.safetensors') else load_checkpoint_file
    if '://' not in checkpoint:
        return read(checkpoint, map_location)
    # Not mmengine's CheckpointLoader: over http it unpickles without weights_only.
    with get_local_path(checkpoint) as path:
        return read(str(path), map_location)


def _read_safetensors(path: str, map_location) -> dict:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ValueError(f'{path}: reading it needs `pip install safetensors`') from error
    if not Path(path).is_file():
        raise FileNotFoundError(f'no such checkpoint: {path}')
    try:
        with safe_open(path, 'pt', device=str(map_location)) as file:
            state = {key: file.get_tensor(key) for key in file.keys()}
            meta = {key: _value(text) for key, text in (file.metadata() or {}).items()}
    except SafetensorError as error:
        raise ValueError(f'{path} cannot be read as safetensors ({error}): it is damaged '
                         'or of another format; take another file') from error
    return dict(state_dict=state, meta=meta)


def _value(text: str):
    """A value of safetensors' metadata, which knows strings only: JSON, else the string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _state_dict(content: dict, name: str) -> dict[str, torch.Tensor]:
    for state in (content.get('state_dict'), content.get('model'), content):
        tensors = {key: value for key, value in _dict(state).items()
                   if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise ValueError(f'{name} holds no tensors under state_dict, model or by themselves: '
                     'give the checkpoint of a model')


def _dict(value) -> dict:
    return value if isinstance(value, dict) else {}


def _check_encoder(wanted: str | None, held: str | None, name: str) -> None:
    if wanted in (None, held) or (wanted == 'student' and held is None):
        return
    cure = (f'the {held}' if held else 'one encoder and does not say whose')
    raise ValueError(f'encoder={wanted!r}, but {name} holds {cure}: leave encoder away, or '
                     f'give a training checkpoint or a file of the {wanted}')


def _without_prefix(state: dict, prefix: str | None) -> dict:
    """The backbone's tensors; a ``prefix`` that no key has is as good as none."""
    wanted = [] if not prefix else [prefix.rstrip('.') + '.']
    for start in wanted + [ENCODERS['student']]:
        found = {key.removeprefix(start): value for key, value in state.items()
                 if key.startswith(start)}
        if found:
            return found
    return state
