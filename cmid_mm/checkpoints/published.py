"""Whole files of the published CMID code, to this project's and back."""
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from ..version import __version__
from .architectures import recognise
from .files import check_output, load_checkpoint_file, save_checkpoint_file
from .published_keys import NOT_PUBLISHED, convert_published, to_published

# in 0..255; the published code normalises every data set by MillionAID's statistics
MEAN = tuple(255 * value for value in (0.33797, 0.3605, 0.3348))
STD = tuple(255 * value for value in (0.1359, 0.1352, 0.1407))
STUDENT = 'online_encoder.model.'
# architectures of the published backbones
KINDS = ('ResNet', 'Swin')


class Ignored:
    """Takes the place of an object whose class is foreign; its state is dropped."""

    def __setstate__(self, state):
        pass


def as_list(items=(), maxlen=None) -> list:
    """Takes the place of ``collections.deque``."""
    return list(items)


# Objects that a published pre-training file holds beside tensors and plain values. Each
# is read as a stand-in, so that nothing of the file's own choice runs.
STAND_INS = (
    (OrderedDict, 'Exploring.utils.metric.MetricStroge'),
    (Ignored, 'Exploring.utils.history_buffer.HistoryBuffer'),
    (as_list, 'collections.deque'),
)


def load_published_file(path: str) -> dict:
    """Read a published checkpoint, and any other, without running what it holds.

    Args:
        path (str): File.

    Returns:
        dict: Its content, logged values replaced by nothing.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, or would have to run code to be read.
    """
    with torch.serialization.safe_globals(list(STAND_INS)):
        return load_checkpoint_file(path)


def import_published(content: dict, source: str) -> dict:
    """A published file as this project writes such files.

    Args:
        content (dict): A pre-training file (fields model, epoch, ...), or a backbone alone
            (its state dict, nothing around it).
        source (str): Name of the file, for ``meta`` and messages.

    Returns:
        dict: ``state_dict`` and ``meta``. Of a pre-training file the whole model, to test
        or to start a training from; of a backbone an exported file as
        ``extract_backbone`` makes it. The optimiser's state and the logged values stay
        behind.

    Raises:
        ValueError: The file is no published one.
    """
    meta = dict(source=source, origin='published CMID', cmid_mm_version=__version__)
    model = content.get('model')
    if isinstance(model, dict) and any(key.startswith(STUDENT) for key in model):
        check_tensors(model, source)
        try:
            state = convert_published(model)
        except KeyError as error:
            raise ValueError(f'{source}: {error.args[0]}') from error
        state |= dict(zip(NOT_PUBLISHED, (torch.tensor(MEAN), torch.tensor(STD))))
        epoch = content.get('epoch')
        # published epochs count from 0, here they say how many are finished
        meta |= dict(epoch=None if epoch is None else epoch + 1, iter=None,
                     num_gpus=content.get('num_gpus'))
        return dict(meta=meta, state_dict=state)
    if not content or 'state_dict' in content or 'model' in content:
        raise ValueError(f'{source} is no published CMID file: neither a field "model" '
                         f'with {STUDENT}* nor the tensors of a backbone')
    check_tensors(content, source)
    recognise(content, f'{source} is no published CMID backbone', KINDS)
    # as `extract_backbone` says it
    meta |= dict(encoder='student', bands=len(MEAN), mean=list(MEAN), std=list(STD),
                 loading=None, config=None, epoch=None, iter=None)
    return dict(state_dict={f'backbone.{key}': value for key, value in content.items()},
                meta=meta)


def check_tensors(state: dict, source: str) -> None:
    """ValueError where a state dict holds anything but tensors."""
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f'{source} is no published CMID file: {key} is a '
                             f'{type(value).__name__}, no tensor')


def export_published(content: dict, source: str) -> dict:
    """The way back: a checkpoint or exported file of this project in published form.

    Args:
        content (dict): A checkpoint of ``CMID`` or an exported backbone.
        source (str): Name of the file, for messages.

    Returns:
        dict: Of a checkpoint: epoch and num_gpus where they are known, and model. Of a
        backbone: its state dict.

    Raises:
        ValueError: The file is neither.
    """
    state, meta = content.get('state_dict'), content.get('meta') or {}
    if not isinstance(state, dict) or not any(key.startswith('backbone.') for key in state):
        raise ValueError(f'{source} is no file of this project: it lacks a state_dict with '
                         'backbone.*')
    if all(key.startswith('backbone.') for key in state):
        backbone = OrderedDict(
            (key.removeprefix('backbone.'), value) for key, value in state.items())
        recognise(backbone, f'{source} has no published form', KINDS)
        return backbone
    known = dict(num_gpus=meta.get('num_gpus'))
    if meta.get('epoch'):
        known = dict(epoch=meta['epoch'] - 1) | known
    try:
        model = to_published(state)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    known = {key: value for key, value in known.items() if value is not None}
    return known | dict(model=model)


def left_behind(found: dict, written: dict) -> list[str]:
    """What of a file's content did not come along, one entry for each, for the user.

    The optimiser's state is not converted: its names are swapped in published files (see
    docs/deviations.md), so a training starts anew from the weights.
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


def convert_published_file(source: str, out: str, to: str = 'cmid_mm') -> dict:
    """Convert a file; ``to`` is ``'cmid_mm'`` or ``'published'``.

    Returns:
        dict: ``found`` and ``written``, the contents, and ``left_behind``, texts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no file that can be converted, or ``out`` cannot be written.
    """
    check_output(out, source)
    convert = dict(cmid_mm=import_published, published=export_published)[to]
    found = load_published_file(source)
    written = convert(found, Path(source).name)
    save_checkpoint_file(written, out)
    return dict(found=found, written=written, left_behind=left_behind(found, written))
