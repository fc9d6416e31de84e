"""A backbone out of a pre-training checkpoint."""
import json
from pathlib import Path

from ..version import __version__
from .architectures import LIBRARIES, convert_backbone
from .files import (
    atomic_write,
    check_output,
    load_checkpoint_file,
    save_checkpoint_file,
)
from .published import export_published

ENCODERS = dict(student='backbone.', teacher='teacher.backbone.')
FORMATS = ('mm', *LIBRARIES, 'published')


def export_backbone(checkpoint: str, out: str, encoder: str | None = None,
                    fmt: str = 'mm') -> dict:
    """Write a backbone to a file of its own; see ``as_exported`` and ``as_format``.

    Args:
        checkpoint (str): File of a CMID pre-training, or one that was exported from it.
        out (str): File to write; its folder is made where it is missing. The ending
            ``.safetensors`` decides the file's kind; ``meta`` then is JSON.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to the student
            of a pre-training, and to what an exported file holds.
        fmt (str): One of ``FORMATS``: whose names and layouts. Defaults to 'mm'.

    Returns:
        dict: ``state_dict``, the tensors as they were written, and ``meta``.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ImportError: safetensors is wanted and not installed.
        ValueError: The file or the encoder is a wrong one, the format has no counterpart
            of this backbone, or ``out`` cannot be written.
    """
    check_output(out, checkpoint)
    content = load_checkpoint_file(checkpoint)
    exported = as_format(as_exported(content, Path(checkpoint).name, encoder), fmt)
    if Path(out).suffix == '.safetensors':
        save_safetensors(exported, out)
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
        dict: As of ``extract_backbone``.

    Raises:
        ValueError: It is neither, or holds the other encoder.
    """
    meta = checkpoint.get('meta') or {}
    if meta.get('format', 'mm') != 'mm':
        raise ValueError(f'{source} is in the format of {meta["format"]} already: export '
                         'from the training checkpoint')
    if not {'encoder', 'mean', 'std'} <= set(meta):
        return extract_backbone(checkpoint, encoder or 'student', source)
    if encoder not in (None, meta['encoder']):
        raise ValueError(f'{source} was exported from the {meta["encoder"]}: it holds no '
                         f'{encoder}; export that one from the training checkpoint')
    return dict(state_dict=checkpoint['state_dict'], meta=meta)


def as_format(exported: dict, fmt: str) -> dict:
    """An exported backbone under another library's names and layouts.

    Args:
        exported (dict): As of ``extract_backbone``.
        fmt (str): One of ``FORMATS``; ``'mm'`` changes nothing.

    Returns:
        dict: ``state_dict`` (no prefix except for ``'mm'``) and ``meta``, which has
        ``format`` in addition.

    Raises:
        ValueError: The format is unknown, or has no counterpart of this backbone.
    """
    if fmt not in FORMATS:
        raise ValueError(f'format must be one of {FORMATS}, not {fmt!r}')
    meta = exported['meta'] | dict(format=fmt)
    if fmt == 'mm':
        return dict(state_dict=exported['state_dict'], meta=meta)
    if fmt == 'published':
        return dict(state_dict=export_published(exported, 'this backbone'), meta=meta)
    state = {key.removeprefix('backbone.'): value
             for key, value in exported['state_dict'].items()}
    return dict(state_dict=convert_backbone(state, fmt), meta=meta)


def save_safetensors(exported: dict, out: str) -> None:
    """Write tensors and meta as safetensors, whose metadata are strings: here JSON."""
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise ImportError(f'{out} needs safetensors: `pip install safetensors`, or let the '
                          'name end in .pth') from error
    metadata = {key: json.dumps(value) for key, value in exported['meta'].items()}
    tensors = {key: value.contiguous() for key, value in exported['state_dict'].items()}
    with atomic_write(out) as path:
        save_file(tensors, path, metadata)


def extract_backbone(checkpoint: dict, encoder: str = 'student', source: str = '') -> dict:
    """The student's or the teacher's backbone, ready for any mm config.

    Keys keep the prefix ``backbone.``, so that one ``init_cfg=dict(type='CMIDPretrained',
    checkpoint=...)`` serves training checkpoints and exported files.

    Args:
        checkpoint (dict): Content of a checkpoint of ``CMID``.
        encoder (str): ``'student'`` or ``'teacher'``. Defaults to 'student'.
        source (str): Where the checkpoint comes from, for ``meta``.

    Returns:
        dict: ``state_dict``, tensors under ``backbone.*``; ``meta``: source, encoder,
        bands, mean and std (per band, in 0..255), loading (how raw values became
        0..255, see ``ImageFolder``; None where the checkpoint does not say), config
        (text of the training's config), epoch, iter and cmid_mm_version.

    Raises:
        ValueError: The encoder is unknown, or the checkpoint is none of ``CMID``.
    """
    if encoder not in ENCODERS:
        raise ValueError(f'encoder must be one of {tuple(ENCODERS)}, not {encoder!r}')
    state = checkpoint.get('state_dict', {})
    prefix = ENCODERS[encoder]
    weights = {
        'backbone.' + key.removeprefix(prefix): value.clone()
        for key, value in state.items() if key.startswith(prefix)
    }
    mean, std = (state.get(f'data_preprocessor.{name}') for name in ('mean', 'std'))
    if not weights or mean is None or std is None:
        raise ValueError(
            f'{source or "this"} is no CMID pre-training checkpoint: it lacks {prefix}* or '
            'data_preprocessor.mean and .std; files of the published code go through '
            'tools/model_converters/convert_published.py first')
    meta = checkpoint.get('meta', {})
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
