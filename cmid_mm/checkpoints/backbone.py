"""The backbone of a checkpoint: read from any mm framework's file, exported to a file."""
import json
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.fileio import get_local_path
from torch import Tensor

from ..utils.errors import CMIDError, MissingFileError
from ..version import __version__
from .architectures import LIBRARIES, convert_backbone
from .files import atomic_write, check_output, load_checkpoint_file, save_checkpoint_file
from .published import export_published

ENCODERS = dict(student='backbone.', teacher='teacher.backbone.')
FORMATS = ('mm', *LIBRARIES, 'published')

# ----------------------------------------------------------------------------- exporting


def export_backbone(checkpoint: str, out: str, encoder: str | None = None,
                    fmt: str = 'mm') -> dict:
    """Write a backbone to a file; see ``as_exported`` and ``as_format``.

    Args:
        checkpoint (str): File of a CMID pre-training, or one that was exported from it.
        out (str): File to write; its folder is created if missing. With the ending
            ``.safetensors`` it is a safetensors file, with ``meta`` as JSON.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to the student
            of a pre-training, or the encoder of an exported file.
        fmt (str): One of ``FORMATS``, the names and layouts of the tensors. Defaults to 'mm'.

    Returns:
        dict: ``state_dict``, the tensors as they were written, and ``meta``.

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: The file or the encoder is wrong, the format does not support this backbone,
            ``out`` cannot be written, or safetensors is not installed.
    """
    check_output(out, checkpoint)
    content = load_checkpoint_file(checkpoint)
    exported = as_format(as_exported(content, Path(checkpoint).name, encoder), fmt)
    if Path(out).suffix == '.safetensors':
        _save_safetensors(exported, out)
    else:
        # the published backbones are bare state dicts
        content = exported['state_dict'] if fmt == 'published' else exported
        save_checkpoint_file(content, out)
    return exported


def as_exported(checkpoint: dict, source: str, encoder: str | None = None) -> dict:
    """The backbone of a training checkpoint, or an exported one itself.

    Args:
        checkpoint (dict): Content of either file.
        source (str): Name of the file.
        encoder (str, optional): As in ``export_backbone``.

    Returns:
        dict: As from ``extract_backbone``.

    Raises:
        CMIDError: It is neither, or contains the other encoder.
    """
    meta = checkpoint.get('meta') or {}
    if meta.get('format', 'mm') != 'mm':
        raise CMIDError(f'{source} is in the format of {meta["format"]} already: export '
                        'from the training checkpoint')
    if not {'encoder', 'mean', 'std'} <= set(meta):
        return extract_backbone(checkpoint, encoder or 'student', source)
    if encoder not in (None, meta['encoder']):
        raise CMIDError(f'{source} was exported from the {meta["encoder"]}: it holds no '
                        f'{encoder}; export that one from the training checkpoint')
    return dict(state_dict=checkpoint['state_dict'], meta=meta)


def extract_backbone(checkpoint: dict, encoder: str = 'student', source: str = '') -> dict:
    """The student's or the teacher's backbone, ready for any mm config.

    Keys keep the prefix ``backbone.``, so that the same ``init_cfg=dict(type='CMIDPretrained',
    checkpoint=...)`` loads training checkpoints and exported files.

    Args:
        checkpoint (dict): Content of a checkpoint of ``CMID``.
        encoder (str): ``'student'`` or ``'teacher'``. Defaults to 'student'.
        source (str): Name of the checkpoint, for ``meta``.

    Returns:
        dict: ``state_dict``, tensors under ``backbone.*``; ``meta``: source, encoder,
        bands, mean and std (per band, in 0..255), loading (how raw values became
        0..255, see ``ImageFolder``; None where the checkpoint does not state it), config
        (text of the training's config), epoch, iter and cmid_mm_version.

    Raises:
        CMIDError: The encoder is unknown, or the checkpoint is not one of ``CMID``.
    """
    if encoder not in ENCODERS:
        raise CMIDError(f'encoder must be one of {tuple(ENCODERS)}, not {encoder!r}')
    state, meta = checkpoint.get('state_dict', {}), checkpoint.get('meta') or {}
    prefix = ENCODERS[encoder]
    weights = {
        'backbone.' + key.removeprefix(prefix): value.clone()
        for key, value in state.items() if key.startswith(prefix)
    }
    mean, std = (state.get(f'data_preprocessor.{name}') for name in ('mean', 'std'))
    if not weights or mean is None or std is None:
        raise CMIDError(
            f'{source or "this"} is no CMID pre-training checkpoint: it lacks {prefix}* or '
            'data_preprocessor.mean and .std; files of the published code go through '
            'tools/model_converters/convert_published.py first')
    return dict(
        state_dict=weights,
        meta=dict(
            source=source,
            encoder=encoder,
            bands=len(mean),
            mean=mean.tolist(),
            std=std.tolist(),
            loading=(meta.get('dataset_meta') or {}).get('loading'),
            config=meta.get('cfg'),
            epoch=meta.get('epoch'),
            iter=meta.get('iter'),
            cmid_mm_version=__version__))


def as_format(exported: dict, fmt: str) -> dict:
    """Convert an exported backbone to another library's names and layouts.

    Args:
        exported (dict): As from ``extract_backbone``.
        fmt (str): One of ``FORMATS``; ``'mm'`` changes nothing.

    Returns:
        dict: ``state_dict`` (no prefix except for ``'mm'``) and ``meta``, which has
        ``format`` in addition.

    Raises:
        CMIDError: The format is unknown, or does not support this backbone.
    """
    if fmt not in FORMATS:
        raise CMIDError(f'format must be one of {FORMATS}, not {fmt!r}')
    state = exported['state_dict']
    if fmt == 'published':
        state = export_published(exported)
    elif fmt != 'mm':
        state = convert_backbone(
            {key.removeprefix('backbone.'): value for key, value in state.items()}, fmt)
    return dict(state_dict=state, meta=exported['meta'] | dict(format=fmt))


# ------------------------------------------------------------------------------- reading


@dataclass
class BackboneFile:
    """A backbone that was read from a file.

    Attributes:
        name (str): File name.
        tensors (dict[str, Tensor]): With the backbone's own names, no prefix.
        meta (dict): ``encoder``, ``bands``, ``mean``, ``std`` (per band, 0..255),
            ``loading`` and ``epoch``, as far as they are known; see ``extract_backbone``.
    """
    name: str
    tensors: dict[str, Tensor]
    meta: dict = field(default_factory=dict)

    def __str__(self) -> str:
        meta = self.meta
        known = [meta['encoder']] if meta.get('encoder') else []
        if meta.get('bands'):
            known.append(f'{meta["bands"]} bands')
        if meta.get('epoch') is not None:
            known.append(f'epoch {meta["epoch"]}')
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
        exported = extract_backbone(dict(state_dict=state, meta=meta), encoder or 'student', name)
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


# --------------------------------------------------------------------------- safetensors


def _save_safetensors(exported: dict, out: str) -> None:
    """Write a safetensors file; its metadata are strings, here JSON."""
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise CMIDError(f'{out} needs safetensors: `pip install safetensors`, or let the '
                        'name end in .pth') from error
    metadata = {key: json.dumps(value) for key, value in exported['meta'].items()}
    tensors = {key: value.contiguous() for key, value in exported['state_dict'].items()}
    with atomic_write(out) as path:
        save_file(tensors, path, metadata)


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
