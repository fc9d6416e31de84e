"""Dotted keys of a config: whether they exist, and suggestions where they do not.

mmengine merges every key, so a misspelt one would have no effect.
"""
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


def suggestion(word, known):
    """``'; did you mean ...?'`` or an empty string."""
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean {close[0]}?' if close else ''


def has_key(cfg, key):
    """Whether a dotted key leads to a value of the config."""
    place = cfg
    for part in key.split('.'):
        if isinstance(place, (list, tuple)) and part.isdigit() and int(part) < len(place):
            place = place[int(part)]
        elif hasattr(place, 'keys') and part in place:
            place = place[part]
        else:
            return False
    return True


def check_top_level(cfg, key):
    """Raise ValueError where neither config nor runner has the first part of a dotted key."""
    from mmengine.runner import Runner
    top = key.split('.')[0]
    known = set(cfg) | set(inspect.signature(Runner).parameters) | RUNNER_OPTIONS
    if top not in known:
        raise ValueError(f'the config has no {top!r}{suggestion(top, known)}')
