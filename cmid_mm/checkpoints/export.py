"""The backbone of a training checkpoint, exported to a file of its own."""
import json
from pathlib import Path

from ..evaluation.probes import better_encoder, probes_of
from ..utils.errors import CMIDError
from ..version import __version__
from .architectures import LIBRARIES, convert_backbone
from .files import atomic_write, check_output, load_checkpoint_file, save_checkpoint_file
from .published import export_published

#: Encoder -> prefix of its backbone in a training checkpoint.
ENCODERS = dict(student='backbone.', teacher='teacher.backbone.')
FORMATS = ('mm', *LIBRARIES, 'published')


def export_backbone(checkpoint: str, out: str, encoder: str | None = None,
                    fmt: str = 'mm') -> dict:
    """Write the backbone of a checkpoint to a file.

    Args:
        checkpoint (str): File of a CMID pre-training, or one that was exported from it.
        out (str): File to write; its folder is created if missing. With the ending
            ``.safetensors`` it is a safetensors file, with ``meta`` as JSON.
        encoder (str, optional): As in ``extract_backbone``; ``'best'`` takes the one with the
            better probes, see ``better_encoder``.
        fmt (str): One of ``FORMATS``, the names and layouts of the tensors. Defaults to 'mm'.

    Returns:
        dict: As from ``extract_backbone``, with the tensors as they were written (no prefix
        except for ``'mm'``); ``meta`` has in addition ``format`` and, where the training was
        probed at this checkpoint, ``probes``, see ``probes_of``.

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: The file or the encoder is wrong, there is no probe to choose the best
            encoder by, the format is unknown or does not support this backbone, ``out`` cannot
            be written, or safetensors is not installed.
    """
    check_output(out, checkpoint)
    exported = convert_checkpoint(checkpoint, encoder, fmt)
    if Path(out).suffix == '.safetensors':
        save_safetensors(exported, out)
    else:
        # the published backbones are bare state dicts
        save_checkpoint_file(exported['state_dict'] if fmt == 'published' else exported, out)
    return exported


def convert_checkpoint(checkpoint: str, encoder: str | None = None, fmt: str = 'mm') -> dict:
    """The backbone of a checkpoint in a format; arguments, result and errors as above."""
    if fmt not in FORMATS:
        raise CMIDError(f'format must be one of {FORMATS}, not {fmt!r}')
    content = load_checkpoint_file(checkpoint)
    probes = probes_of(checkpoint, (content.get('meta') or {}).get('iter'))
    if encoder == 'best':
        if not probes:
            raise CMIDError(f'{checkpoint} has no probes to choose the best encoder by: train '
                            'with default_hooks.probe.interval=N, or compare both with '
                            'tools/test.py CONFIG CHECKPOINT --probes and name one')
        encoder = better_encoder(probes)
    exported = extract_backbone(content, encoder, Path(checkpoint).name)
    if probes:
        exported['meta']['probes'] = probes
    if fmt == 'published':
        exported['state_dict'] = export_published(exported)
    elif fmt != 'mm':
        exported['state_dict'] = convert_backbone(
            {key.removeprefix('backbone.'): value
             for key, value in exported['state_dict'].items()}, fmt)
    exported['meta'] = exported['meta'] | dict(format=fmt)
    return exported


def extract_backbone(checkpoint: dict, encoder: str | None = None, source: str = '') -> dict:
    """The student's or the teacher's backbone, ready for any mm config.

    Keys keep the prefix ``backbone.``, so that the same ``init_cfg=dict(type='CMIDPretrained',
    checkpoint=...)`` loads training checkpoints and exported files.

    Args:
        checkpoint (dict): Content of a checkpoint of ``CMID``, or of an exported file, whose
            backbone is returned as it is.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the student
            of a pre-training, or the encoder of an exported file.
        source (str): Name of the checkpoint, for ``meta``.

    Returns:
        dict: ``state_dict``, tensors under ``backbone.*``; ``meta``: source, encoder,
        bands, mean and std (per band, in 0..255), loading (how raw values became
        0..255, see ``ImageFolder``) and input (see ``describe_input``), None where the checkpoint
        does not state them, config
        (text of the training's config), epoch, iter and cmid_mm_version.

    Raises:
        CMIDError: The encoder is unknown or not in the file, or the checkpoint is not one of
            ``CMID``.
    """
    if encoder not in (None, *ENCODERS):
        raise CMIDError(f'encoder must be one of {tuple(ENCODERS)}, not {encoder!r}')
    state, meta = checkpoint.get('state_dict', {}), checkpoint.get('meta') or {}
    if meta.get('format', 'mm') != 'mm':
        raise CMIDError(f'{source} is in the format of {meta["format"]} already: export '
                        'from the training checkpoint')
    if {'encoder', 'mean', 'std'} <= set(meta):
        if encoder not in (None, meta['encoder']):
            raise CMIDError(f'{source} was exported from the {meta["encoder"]}: it holds no '
                            f'{encoder}; export that one from the training checkpoint')
        return dict(state_dict=state, meta=meta)
    encoder = encoder or 'student'
    prefix = ENCODERS[encoder]
    weights = {'backbone.' + key.removeprefix(prefix): value.clone()
               for key, value in state.items() if key.startswith(prefix)}
    mean, std = (state.get(f'data_preprocessor.{name}') for name in ('mean', 'std'))
    if not weights or mean is None or std is None:
        raise CMIDError(
            f'{source or "this"} is no CMID pre-training checkpoint: it lacks {prefix}* or '
            'data_preprocessor.mean and .std; files of the published code go through '
            'tools/model_converters/convert_published.py first')
    return dict(state_dict=weights, meta=dict(
        source=source, encoder=encoder, bands=len(mean), mean=mean.tolist(), std=std.tolist(),
        loading=(meta.get('dataset_meta') or {}).get('loading'), input=meta.get('input'),
        config=meta.get('cfg'), epoch=meta.get('epoch'), iter=meta.get('iter'),
        cmid_mm_version=__version__))


def save_safetensors(exported: dict, out: str) -> None:
    """Write a safetensors file; its metadata are strings, here JSON."""
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise CMIDError(f'{out} needs safetensors: `pip install safetensors`, or let the '
                        'name end in .pth') from error
    with atomic_write(out) as path:
        save_file({key: value.contiguous() for key, value in exported['state_dict'].items()},
                  path, {key: json.dumps(value) for key, value in exported['meta'].items()})
