"""Backbones that are read from the files of any mm framework."""
import json
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.fileio import get_local_path
from torch import Tensor

from ..datasets.input_description import describe
from ..utils.errors import CMIDError, MissingFileError
from .export import ENCODERS, extract_backbone
from .files import load_checkpoint_file


@dataclass
class BackboneFile:
    """A backbone that was read from a file.

    Attributes:
        name (str): File name.
        tensors (dict[str, Tensor]): With the backbone's own names, no prefix.
        meta (dict): ``encoder``, ``bands``, ``mean``, ``std`` (per band, 0..255),
            ``loading``, ``input`` and ``epoch``, as far as they are known; see
            ``extract_backbone``.
    """
    name: str
    tensors: dict[str, Tensor]
    meta: dict = field(default_factory=dict)

    def __str__(self) -> str:
        known = [text.format(self.meta[key]) for key, text in (
            ('encoder', '{}'), ('bands', '{} bands'), ('epoch', 'epoch {}'))
            if self.meta.get(key) is not None]
        known += filter(None, [describe(self.meta.get('input') or {})])
        return f'{self.name} ({", ".join(known)})' if known else self.name


def read_backbone_file(checkpoint: str, encoder: str | None = None,
                       prefix: str | None = None, map_location='cpu') -> BackboneFile:
    """Read a backbone from an untrusted file.

    Args:
        checkpoint (str): Path, or address that ``mmengine.fileio`` reads (http, https,
            s3, ...), of an exported file, a training checkpoint of CMID, a checkpoint of
            mmpretrain, mmseg, mmdet and the like, or a plain state dict;
            ``.safetensors`` too.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            student of a training checkpoint, or the encoder of an exported file.
        prefix (str, optional): Prefix of the backbone's keys. Defaults to None: ``backbone.``,
            or none where no key has it; so does a prefix that no key has.
        map_location (str | torch.device): Device of the tensors. Defaults to 'cpu'.

    Raises:
        MissingFileError: The file does not exist.
        CMIDError: It cannot be read safely, or contains no tensors or not that encoder.
    """
    name = checkpoint.rsplit('/', 1)[-1]
    content = _read(checkpoint, map_location)
    meta = content.get('meta') if isinstance(content.get('meta'), dict) else {}
    state = _state_dict(content, name)

    if any(key.startswith(ENCODERS['teacher']) for key in state):
        if encoder is None and prefix and prefix.startswith('teacher.'):
            encoder = 'teacher'
        exported = extract_backbone(dict(state_dict=state, meta=meta), encoder, name)
        state, meta, prefix = exported['state_dict'], exported['meta'], None
    elif encoder not in (None, meta.get('encoder') or 'student'):
        held = f'the {meta["encoder"]}' if meta.get('encoder') else (
            'one encoder and does not state whose')
        raise CMIDError(f'encoder={encoder!r}, but {name} holds {held}: omit encoder, or give '
                        f'a training checkpoint or a file of the {encoder}')
    prefixes = [f'{prefix.rstrip(".")}.'] if prefix else []
    for start in (*prefixes, 'backbone.'):
        if any(key.startswith(start) for key in state):
            state = {key.removeprefix(start): value for key, value in state.items()
                     if key.startswith(start)}
            break
    return BackboneFile(name, state, meta)


def _read(checkpoint: str, map_location) -> dict:
    read = _read_safetensors if checkpoint.endswith('.safetensors') else load_checkpoint_file
    if '://' not in checkpoint:
        return read(checkpoint, map_location)
    # Not mmengine's CheckpointLoader: over http it executes code in the file.
    with get_local_path(checkpoint) as path:
        return read(str(path), map_location)


def _state_dict(content: dict, name: str) -> dict[str, Tensor]:
    for state in (content.get('state_dict'), content.get('model'), content):
        tensors = {key.removeprefix('module.'): value for key, value in state.items()
                   if isinstance(value, Tensor)} if isinstance(state, dict) else {}
        if tensors:
            return tensors
    raise CMIDError(f'{name} holds no tensors, neither under state_dict or model nor by '
                    'themselves: give the checkpoint of a model')


def _read_safetensors(path: str, map_location) -> dict:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise CMIDError(f'{path}: reading it needs `pip install safetensors`') from error
    if not Path(path).is_file():
        raise MissingFileError(f'no such checkpoint: {path}')
    try:
        with safe_open(path, 'pt', device=str(map_location)) as file:
            state = {key: file.get_tensor(key) for key in file.keys()}
            meta = {key: _value(text) for key, text in (file.metadata() or {}).items()}
    except SafetensorError as error:
        raise CMIDError(f'{path} cannot be read as safetensors ({error}): it is damaged '
                        'or of another format; use another file') from error
    return dict(state_dict=state, meta=meta)


def _value(text: str):
    """A value of the metadata: parsed JSON, or the string itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
