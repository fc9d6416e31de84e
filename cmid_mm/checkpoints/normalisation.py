"""Comparison of a config's normalisation with that of a checkpoint's pre-training."""
import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.logging import MessageHub

# Order of the bands of a photograph from each loader; that of other loaders is unknown.
LOADERS = dict(
    LoadRSImage='RGB', LoadRSImagePair='RGB',
    LoadSingleRSImageFromFile='RGB', LoadMultipleRSImageFromFile='RGB',
    LoadImageFromFile='BGR', MultiImgLoadImageFromFile='BGR')
# In units of 0..255; the difference between float32 and a config's decimals is far smaller.
TOLERANCE = 0.01


class Verdict(NamedTuple):
    """``agrees`` is None where something is unknown; ``text`` is one line."""
    agrees: bool | None
    text: str


def running_config() -> dict | None:
    """Config of the training that is about to start, from mmengine's ``MessageHub``.

    A resumed run fills the hub, including the text of the config, from its checkpoint, which is
    an untrusted file. The text is therefore parsed and never executed.

    Returns:
        dict | None: None outside of a training, or where the text is not Python.
    """
    return parse_config(MessageHub.get_current_instance().get_info('cfg'))


def parse_config(text: Any) -> dict | None:
    """Plain values of the text of a config, which is not executed; None where it is no Python."""
    if not isinstance(text, str):
        return None
    try:
        statements = ast.parse(text).body
        return {statement.targets[0].id: _literal(statement.value) for statement in statements
                if isinstance(statement, ast.Assign)
                and isinstance(statement.targets[0], ast.Name)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal(node: ast.expr) -> Any:
    """Value of an expression as ``Config.pretty_text`` writes it; None for any other."""
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
        named = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
        return next((_literal(arg) for arg in node.args if isinstance(arg, ast.Dict)), {}) | named
    if isinstance(node, ast.Dict):
        return {key.value: _literal(value) for key, value in zip(node.keys, node.values)
                if isinstance(key, ast.Constant)}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def check_normalisation(meta: dict, config: dict | None) -> Verdict:
    """Compare a checkpoint's normalisation with a config's.

    Args:
        meta (dict): ``mean``, ``std`` (per band, in 0..255) and ``loading`` of the
            checkpoint, as far as known; see ``BackboneFile``.
        config (dict, optional): Config of the training.
    """
    if not meta.get('mean') or not meta.get('std'):
        return Verdict(None, 'normalisation unknown: the file does not state it')
    if config is None or not isinstance(config.get('model'), dict):
        return Verdict(None, 'normalisation not compared: no running config; the file was '
                       f'trained with mean {_numbers(meta["mean"])} std '
                       f'{_numbers(meta["std"])}')
    path, found = _find(config)
    complaints = _about_numbers(meta, path, found)
    if meta.get('bands', 3) == 3:
        complaints += _about_order(path, found, config)
    complaints += _about_range(meta, config)
    if complaints:
        return Verdict(False, 'normalisation differs: ' + '; '.join(complaints))
    return Verdict(True, 'normalisation agrees')


def _about_numbers(meta: dict, path: str, found: dict) -> list[str]:
    bands = len(meta['mean'])
    # Change detection has the bands of two dates.
    dates = 2 if len(found.get('mean') or ()) == 2 * bands else 1
    wanted = {name: list(meta[name]) * dates for name in ('mean', 'std')}
    given = {name: list(found.get(name) or ()) for name in wanted}
    # A single number is that of every band.
    if all(_close(given[name] * (bands if len(given[name]) == 1 else 1), wanted[name])
           for name in wanted):
        return []
    has = f'mean {_numbers(given["mean"])} std {_numbers(given["std"])}'
    fix = f'set the first in Normalize of every pipeline ({path})'
    if not path.endswith('Normalize'):
        fix = '--cfg-options ' + ' '.join(
            f'{path}.{name}={_numbers(values)}' for name, values in wanted.items())
    return [f'the checkpoint was trained with mean {_numbers(wanted["mean"])} std '
            f'{_numbers(wanted["std"])}, {path} has {has if given["mean"] else "no mean and std"}'
            f': {fix}']


def _about_order(path: str, found: dict, config: dict) -> list[str]:
    loader = _loader(config)
    order = LOADERS.get(_type(loader))
    if order is None or not found:
        return []
    if loader.get('imdecode_backend') == 'tifffile':
        order = 'RGB'
    switch = next((name for name in ('bgr_to_rgb', 'to_rgb', 'rgb_to_bgr') if found.get(name)),
                  None)
    if path.endswith('Normalize') and 'to_rgb' not in found:
        switch = 'to_rgb'  # mmcv's default
    if (order == 'RGB') != bool(switch):
        return []
    classifier = 'to_rgb' in found or 'Cls' in _type(found) or (
        not _type(found) and config.get('default_scope') == 'mmpretrain')
    switch = switch or ('to_rgb' if classifier else 'bgr_to_rgb')
    return [f'the checkpoint was trained on RGB, this model is given BGR ({_type(loader)} '
            f'reads {order}): {path}.{switch}={order == "BGR"}']


def _about_range(meta: dict, config: dict) -> list[str]:
    from ..datasets.transforms.loading import LoadRSImage
    trained, loader = meta.get('loading'), _loader(config)
    if not isinstance(trained, dict) or not loader:
        return []
    given = {}
    if _type(loader) in ('LoadRSImage', 'LoadRSImagePair'):
        given = LoadRSImage(**{key: value for key, value in loader.items()
                               if key != 'type'}).settings()
    return [f'raw values became 0..255 with {name}={trained.get(name)} in pre-training and '
            f'with {given.get(name)} here: set it in mmpretrain.LoadRSImage'
            for name in ('value_range', 'band_indices') if trained.get(name) != given.get(name)]


def _find(config: dict) -> tuple[str, dict]:
    """Path and settings of a config's normalisation; an empty dict where there is none."""
    preprocessors = [item for item in _dicts(config['model'], 'model')
                     if item[0].endswith('.data_preprocessor')]
    preprocessors = preprocessors or [
        ('data_preprocessor', config.get('data_preprocessor') or {})]
    transforms = [(f'{path}.Normalize', node) for path, node in _dicts(
        config.get('train_dataloader'), 'train_dataloader') if _type(node) == 'Normalize']
    for path, node in sorted(preprocessors, key=lambda item: item[0].count('.')):
        if node.get('mean'):
            return path, node
    return next(iter(transforms), ('model.data_preprocessor', {}))


def _loader(config: dict) -> dict:
    """The first transform of the training that reads images; {} where there is none."""
    return next((node for _, node in _dicts(config.get('train_dataloader'), 'train_dataloader')
                 if _type(node) in LOADERS), {})


def _dicts(node, path: str) -> Iterator[tuple[str, dict]]:
    """All dicts inside a config, outer ones first, with dotted paths."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from _dicts(value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _dicts(value, f'{path}.{index}')


def _type(node: dict) -> str:
    """Name of a class without its scope or module."""
    return str(node.get('type') or '').split('.')[-1]


def _close(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        abs(a - b) <= TOLERANCE for a, b in zip(first, second))


def _numbers(values: list) -> str:
    """Format numbers without spaces, as ``--cfg-options`` requires."""
    return f'[{",".join(f"{value:.6g}" for value in values)}]'
