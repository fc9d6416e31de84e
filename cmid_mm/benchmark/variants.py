"""Named changes of a config that are compared with each other."""
import argparse
import copy
from dataclasses import dataclass, field

from mmengine.config import Config, DictAction

from cmid_mm.utils.config_keys import check_setting, suggestion

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
            raise ValueError(f'--compare {text}: no such variant{suggestion(name, BUILT_IN)}; '
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
        try:
            check_setting(cfg, key)
        except ValueError as error:
            raise ValueError(f'--compare {key}: {error}') from error
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
