"""A backbone out of a pre-training checkpoint."""
from pathlib import Path

import torch

from ..version import __version__
from .checkpoint_file import load_checkpoint_file

ENCODERS = dict(student='backbone.', teacher='teacher.backbone.')


def export_backbone(checkpoint: str, out: str, encoder: str = 'student') -> dict:
    """Write a backbone to a file of its own; see ``extract_backbone``.

    Args:
        checkpoint (str): File of a CMID pre-training.
        out (str): File to write; its folder is made where it is missing.
        encoder (str): ``'student'`` or ``'teacher'``. Defaults to 'student'.

    Returns:
        dict: What was written.
    """
    exported = extract_backbone(
        load_checkpoint_file(checkpoint), encoder, Path(checkpoint).name)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    torch.save(exported, out)
    return exported


def extract_backbone(checkpoint: dict, encoder: str = 'student', source: str = '') -> dict:
    """The student's or the teacher's backbone, ready for any mm config.

    Keys keep the prefix ``backbone.``, so that one ``init_cfg=dict(type='Pretrained',
    checkpoint=..., prefix='backbone.')`` serves training checkpoints and exported files.

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
        raise ValueError(f'{source or "this"} is no CMID pre-training checkpoint: it lacks '
                         f'{prefix}* or data_preprocessor.mean and .std')
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
