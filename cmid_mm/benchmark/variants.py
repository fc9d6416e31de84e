"""Named changes of a config that are compared with each other."""
import argparse
import copy
import difflib
import inspect
from dataclasses import dataclass, field

from mmengine.config import Config, DictAction
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

# the step of the published code: each of these is what a faster one replaced
PLAIN = {
    'optim_wrapper.precision': 'float32',
    'optim_wrapper.optimizer.type': 'Adan',
    'model.fused_attention': False,
    'model.joint_views': False,
    'model.channels_last': False,
    'model.compile': None,
}


@dataclass(frozen=True)
class Variant:
    """A name and what it changes.

    Args:
        name (str): For tables.
        options (dict[str, object]): Dotted key of the config -> value.
        teacher_loop (bool): Whether the teacher moves parameter by parameter in a Python
            loop. Defaults to False.
        published_loader (bool): Whether samples come from ``PublishedPipeline``, in the
            measurement of the loader alone. Defaults to False.
    """
    name: str
    options: dict = field(default_factory=dict)
    teacher_loop: bool = False
    published_loader: bool = False


def _published_but(name: str, **changes) -> Variant:
    """The plain step with one thing changed."""
    options = PLAIN | {key.replace('__', '.'): value for key, value in changes.items()}
    return Variant(f'published+{name}', options, teacher_loop=True)


BUILT_IN = {variant.name: variant for variant in (
    Variant('default'),
    Variant('published', PLAIN, teacher_loop=True, published_loader=True),
    _published_but('bfloat16', optim_wrapper__precision='bfloat16'),
    _published_but('channels_last', model__channels_last=True),
    _published_but('fused_attention', model__fused_attention=True),
    _published_but('joint_views', model__joint_views=True),
    _published_but('blocked_adan', optim_wrapper__optimizer__type='BlockedAdan'),
    Variant('published+foreach_teacher', PLAIN),
    Variant('compile', {'model.compile': {}}),
    Variant('float32', {'optim_wrapper.precision': 'float32'}),
)}


def parse_variant(text: str) -> Variant:
    """``NAME`` of a built-in variant, or ``NAME:KEY=VALUE,KEY=VALUE``.

    Values are written as for ``--cfg-options``; commas within brackets part nothing. A
    built-in name with options is the built-in variant with these options on top.

    Raises:
        ValueError: A name without options is not built in, or an option has no value.
    """
    name, colon, rest = text.partition(':')
    if not colon:
        if name not in BUILT_IN:
            raise ValueError(f'--compare {text}: no such variant{_suggest(name, BUILT_IN)}; '
                             f'built in are {", ".join(BUILT_IN)}, others need options: '
                             'NAME:KEY=VALUE')
        return BUILT_IN[name]
    options = _split(rest)
    wrong = next((option for option in options if not option.partition('=')[0].strip()
                  or '=' not in option), None)
    if not name or wrong is not None:
        raise ValueError(f'--compare {text}: wanted NAME:KEY=VALUE,KEY=VALUE')
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction)
    values = parser.parse_args(['--options', *options]).options
    base = BUILT_IN.get(name, BUILT_IN['default'])
    return Variant(text if name in BUILT_IN else name, base.options | values,
                   base.teacher_loop, base.published_loader)


def parse_variants(texts: list[str]) -> list[Variant]:
    """:func:`parse_variant` of each; ValueError where two have the same name."""
    variants = [parse_variant(text) for text in texts]
    names = [variant.name for variant in variants]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'--compare names {twice} twice: give each variant its own name')
    return variants


def apply_variant(cfg: Config, variant: Variant) -> Config:
    """A copy of the config with the options of a variant.

    Raises:
        ValueError: An option that nothing reads.
    """
    cfg = copy.deepcopy(cfg)
    for key, value in variant.options.items():
        check_setting(cfg, key)
        _make_room(cfg, key, value)
    try:
        cfg.merge_from_dict(variant.options)
    except (KeyError, TypeError) as error:
        raise ValueError(f'--compare {variant.name}: {error.args[0]}') from error
    return cfg


def _make_room(cfg: Config, key: str, value) -> None:
    """Take a None out of the way of a dict, into which mmengine does not merge one."""
    parts = key.split('.')
    for number, part in enumerate(parts):
        if not hasattr(cfg, 'keys') or part not in cfg:
            return
        if cfg[part] is None and (isinstance(value, dict) or number + 1 < len(parts)):
            del cfg[part]
            return
        cfg = cfg[part]


def check_setting(cfg: Config, key: str) -> None:
    """ValueError where a dotted key is neither in the config nor an argument of its class.

    What a class passes on as keywords cannot be known; there only names that look like
    a misspelt one are refused.
    """
    place = cfg
    *parts, last = key.split('.')
    for number, part in enumerate(parts):
        if isinstance(place, (list, tuple)) and part.isdigit() and int(part) < len(place):
            place = place[int(part)]
        elif hasattr(place, 'keys') and part in place:
            place = place[part]
        else:
            # what is new may have any content, but must be known itself
            last = part
            parts = parts[:number]
            break
        if not hasattr(place, 'keys') and not isinstance(place, (list, tuple)):
            return
    if isinstance(place, (list, tuple)) or last in place:
        return
    known, open_ended = _arguments(place if parts else dict(type=Runner))
    known |= set(place)
    close = difflib.get_close_matches(last, known, n=1, cutoff=0.8)
    if last in known or (open_ended and not close):
        return
    where = f'{".".join(parts)} has' if parts else 'the config has'
    raise ValueError(f'--compare {key}: {where} no {last!r}{_suggest(last, known)}')


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


def _split(text: str) -> list[str]:
    """Parts between the commas that lie in no bracket."""
    parts, depth = [''], 0
    for character in text:
        depth += (character in '[(') - (character in ')]')
        if character == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += character
    return parts


def _suggest(word: str, known) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean {close[0]}?' if close else ''
