"""Whether anything reads a setting of a config, and what was meant where nothing does.

mmengine merges whatever it is given, so that a misspelt key would have no effect.
"""
import difflib
import inspect

from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    TRANSFORMS,
)

_REGISTRIES = (MODELS, OPTIM_WRAPPERS, OPTIMIZERS, DATASETS, TRANSFORMS, HOOKS)
# top-level keys that mmengine reads besides the arguments of its Runner
_RUNNER_OPTIONS = {
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'strategy',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}


def suggestion(word: str, known) -> str:
    """``'; did you mean ...?'`` or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean {close[0]}?' if close else ''


def follow(cfg: Config, key: str) -> tuple:
    """How far a dotted key leads into a config.

    Returns:
        tuple[object, list[str], list[str]]: The last value that is there, the parts of the
        key that lead to it and those that lead no further.
    """
    place, parts = cfg, key.split('.')
    for number, part in enumerate(parts):
        if isinstance(place, (list, tuple)) and part.isdigit() and int(part) < len(place):
            place = place[int(part)]
        elif hasattr(place, 'keys') and part in place:
            place = place[part]
        else:
            return place, parts[:number], parts[number:]
    return place, parts, []


def has_key(cfg: Config, key: str) -> bool:
    """Whether a dotted key leads to a value of the config."""
    return not follow(cfg, key)[2]


def check_top_level(cfg: Config, key: str) -> None:
    """ValueError where the first part of a dotted key means nothing to config or runner."""
    top = key.split('.')[0]
    known = set(cfg) | set(inspect.signature(Runner).parameters) | _RUNNER_OPTIONS
    if top not in known:
        raise ValueError(f'the config has no {top!r}{suggestion(top, known)}')


def check_setting(cfg: Config, key: str) -> None:
    """ValueError where a dotted key is neither in the config nor an argument of its class.

    What a class passes on as keywords cannot be known; there only names that look like
    a misspelt one are refused.
    """
    check_top_level(cfg, key)
    place, way, missing = follow(cfg, key)
    # what is new may have any content, but must be known itself
    if not missing or not way or not hasattr(place, 'keys'):
        return
    name = missing[0]
    known, open_ended = _arguments(place)
    known |= set(place)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if name not in known and (close or not open_ended):
        raise ValueError(f'{".".join(way)} has no {name!r}{suggestion(name, known)}')


def _arguments(settings) -> tuple[set, bool]:
    """Names of the arguments of what a dict builds, and whether others are passed on."""
    kind = settings.get('type')
    if isinstance(kind, str):
        kind = next(filter(None, (registry.get(kind) for registry in _REGISTRIES)), None)
    if kind is None:
        return set(), True
    parameters = inspect.signature(kind).parameters.values()
    return ({parameter.name for parameter in parameters},
            any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters))
