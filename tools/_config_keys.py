"""Dotted keys of a config and their values on the command line.

mmengine merges every key, so a misspelt one would have no effect. It also reads ``2021`` as a
number and drops white space, which changes the path of a folder.
"""
import argparse
import difflib
import inspect

# top-level keys that mmengine reads besides the arguments of its Runner
RUNNER_OPTIONS = {
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
ABSENT = object()
# settings that are paths, for a config that does not have them yet
PATHS = ('ann_file', 'checkpoint', 'data_prefix', 'data_root', 'experiment_name', 'filename',
         'list', 'load_from', 'out_dir', 'work_dir')


class Text(str):
    """Value of a setting as it was typed; :func:`read_value` gives it a type."""


class SettingsAction(argparse.Action):
    """Collects ``KEY=VALUE`` as a dict of ``Text``, also over several uses of the option."""

    def __call__(self, parser, namespace, values, option_string=None):
        options = dict(getattr(namespace, self.dest) or {})
        for word in values:
            key, equals, text = word.partition('=')
            if not equals:
                parser.error(f'{option_string} {word}: expected KEY=VALUE')
            options[key] = Text(text)
        setattr(namespace, self.dest, options)


def read_value(key, text, present):
    """Value of a setting.

    Args:
        key (str): Dotted key.
        text (Text): As it was typed.
        present (object): Value in the config, ``ABSENT`` where it has none.

    Returns:
        object: The text itself where it is a path, by the key or by a / in the present value;
        otherwise what mmengine reads, numbers and lists among others, with the white space of
        a text.
    """
    from mmengine.config import DictAction
    plain = str(text).strip('\'"')
    names = key.split('.')
    is_path = (names[-1] in PATHS or names[-2:-1] == ['data_prefix']
               or isinstance(present, str) and '/' in present)
    typed = present is not ABSENT and present is not None and not isinstance(present, str)
    if is_path and not typed and plain != 'None' and plain[:1] not in ('[', '('):
        return plain
    value = DictAction._parse_iterable(str(text))
    return plain if isinstance(value, str) else value


def suggestion(word, known):
    """``'; did you mean ...?'`` or an empty string."""
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean {close[0]}?' if close else ''


def has_key(cfg, key):
    """Whether a dotted key leads to a value of the config."""
    return find_value(cfg, key) is not ABSENT


def find_value(cfg, key):
    """Value of a dotted key, ``ABSENT`` where the config has none."""
    place = cfg
    for part in key.split('.'):
        if isinstance(place, (list, tuple)) and part.isdigit() and int(part) < len(place):
            place = place[int(part)]
        elif hasattr(place, 'keys') and part in place:
            place = place[part]
        else:
            return ABSENT
    return place


def check_top_level(cfg, key):
    """Raise ValueError where neither config nor runner has the first part of a dotted key."""
    from mmengine.runner import Runner
    top = key.split('.')[0]
    known = set(cfg) | set(inspect.signature(Runner).parameters) | RUNNER_OPTIONS
    if top not in known:
        raise ValueError(f'the config has no {top!r}{suggestion(top, known)}')
