"""Conversion between files of the published CMID code and of this project."""
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from ..utils.errors import CMIDError
from ..version import __version__
from .architectures import PUBLISHED, recognise
from .files import check_output, load_checkpoint_file, save_checkpoint_file
from .published_keys import NOT_PUBLISHED, convert_published, to_published

# in 0..255; the published code normalises every data set by MillionAID's statistics
MEAN = tuple(255 * value for value in (0.33797, 0.3605, 0.3348))
STD = tuple(255 * value for value in (0.1359, 0.1352, 0.1407))
STUDENT = 'online_encoder.model.'


class Ignored:
    """Replacement of an object of a foreign class; its state is dropped."""

    def __setstate__(self, state):
        pass


def as_list(items=(), maxlen=None) -> list:
    """Replacement of ``collections.deque``."""
    return list(items)


# Objects in a published pre-training file besides tensors and plain values. Each is read as a
# replacement, so that no code of the file's choice is executed.
REPLACEMENTS = (
    (OrderedDict, 'Exploring.utils.metric.MetricStroge'),
    (Ignored, 'Exploring.utils.history_buffer.HistoryBuffer'),
    (as_list, 'collections.deque'),
)


def load_published_file(path: str) -> dict:
    """As ``load_checkpoint_file``, for published files, too; their logged values are dropped."""
    with torch.serialization.safe_globals(list(REPLACEMENTS)):
        return load_checkpoint_file(path)


def convert_published_file(source: str, out: str, to: str = 'cmid_mm') -> dict:
    """Convert a file; ``to`` is ``'cmid_mm'`` or ``'published'``.

    Returns:
        dict: ``found`` and ``written``, the contents, and ``not_converted``, texts.

    Raises:
        MissingFileError: The file does not exist.
        CMIDError: It is no file that can be converted, or ``out`` cannot be written.
    """
    check_output(out, source)
    found, name = load_published_file(source), Path(source).name
    try:
        written = (import_published(found, name) if to == 'cmid_mm'
                   else export_published(found))
    except CMIDError as error:
        raise CMIDError(f'{name}: {error}') from error
    save_checkpoint_file(written, out)
    return dict(found=found, written=written, not_converted=not_converted(found, written))


def import_published(content: dict, source: str) -> dict:
    """Convert the content of a published file to this project's form.

    Args:
        content (dict): A pre-training file (fields model, epoch, ...), or a backbone
            (a bare state dict).
        source (str): Name of the file, for ``meta``.

    Returns:
        dict: ``state_dict`` and ``meta``. From a pre-training file the whole model, to test
        or to start a training from; from a backbone an exported file as from
        ``extract_backbone``. The optimiser's state and the logged values are dropped.

    Raises:
        CMIDError: The file is not a published one.
    """
    meta = dict(source=source, origin='published CMID', cmid_mm_version=__version__)
    model = content.get('model')
    whole = isinstance(model, dict) and any(key.startswith(STUDENT) for key in model)
    if not whole and (not content or 'state_dict' in content or 'model' in content):
        raise CMIDError('no published CMID file: neither a field "model" with '
                        f'{STUDENT}* nor the tensors of a backbone')
    for key, value in (model if whole else content).items():
        if not isinstance(value, Tensor):
            raise CMIDError(
                f'no published CMID file: {key} is a {type(value).__name__}, no tensor')
    if whole:
        state = convert_published(model)
        state |= dict(zip(NOT_PUBLISHED, (torch.tensor(MEAN), torch.tensor(STD))))
        epoch = content.get('epoch')
        # published epochs count from 0, here the number is that of finished epochs
        meta |= dict(epoch=None if epoch is None else epoch + 1, iter=None,
                     num_gpus=content.get('num_gpus'))
        return dict(meta=meta, state_dict=state)
    recognise(content, 'no published CMID backbone', PUBLISHED)
    # the entries of `extract_backbone`
    meta |= dict(encoder='student', bands=len(MEAN), mean=list(MEAN), std=list(STD),
                 loading=None, config=None, epoch=None, iter=None)
    return dict(state_dict={f'backbone.{key}': value for key, value in content.items()},
                meta=meta)


def export_published(content: dict) -> dict:
    """Convert the content of a checkpoint or exported file to the published form.

    Args:
        content (dict): A checkpoint of ``CMID`` or an exported backbone.

    Returns:
        dict: For a checkpoint, epoch and num_gpus where they are known, and model; for a
        backbone, its state dict.

    Raises:
        CMIDError: The file is neither.
    """
    state, meta = content.get('state_dict'), content.get('meta') or {}
    if not isinstance(state, dict) or not any(key.startswith('backbone.') for key in state):
        raise CMIDError('no file of this project: it lacks a state_dict with backbone.*')
    if all(key.startswith('backbone.') for key in state):
        backbone = OrderedDict(
            (key.removeprefix('backbone.'), value) for key, value in state.items())
        recognise(backbone, 'this backbone has no published form', PUBLISHED)
        return backbone
    known = dict(epoch=meta['epoch'] - 1 if meta.get('epoch') else None,
                 num_gpus=meta.get('num_gpus'))
    return {key: value for key, value in known.items() if value is not None} | dict(
        model=to_published(state))


def not_converted(found: dict, written: dict) -> list[str]:
    """Describe the content of a file that was not converted, one text for each part.

    The optimiser's state is not converted: its names are swapped in published files (see
    docs/deviations.md), so a training starts from the weights alone.
    """
    explained = dict(
        optimizer="the optimiser's state", param_schedulers='the schedules',
        metric_storage='logged values', message_hub='logged values', hooks='state of hooks')
    left = [text for key, text in explained.items() if found.get(key)]
    if 'state_dict' in written:
        return left
    # published files are used with the published statistics only
    state, meta = found['state_dict'], found.get('meta') or {}
    for key, published in zip(NOT_PUBLISHED, (MEAN, STD)):
        name = key.split('.')[-1]
        value = torch.as_tensor(state.get(key, meta.get(name, published)))
        if len(value) != len(published) or not torch.allclose(
                value.double(), torch.tensor(published).double(), atol=0.01):
            left.append(f'{name} {[round(x, 2) for x in value.tolist()]} of the images')
    return left
