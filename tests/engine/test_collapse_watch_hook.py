"""Warnings of a run that learns nothing."""
from types import SimpleNamespace

import pytest
from tiny_run import tiny_runner

from cmid_mm.engine.hooks import CollapseWatchHook

NAMES = ('feature_spread', 'teacher_entropy', 'prototype_usage', 'queue_fresh',
         'match_distance')


def test_the_numbers_are_logged_at_every_look(tmp_path):
    runner = tiny_runner(tmp_path, 'run', {'default_hooks.collapse_watch.interval': 3})
    runner.train()
    scalars = runner.message_hub.log_scalars
    for name in NAMES:
        values = scalars[f'train/{name}'].data[0]
        # eight steps, a look after the third and the sixth
        assert len(values) == 2 and all(value >= 0 for value in values), name
    # two keys an image, 12 and 24 images so far, room for 50
    assert scalars['train/queue_fresh'].data[0].tolist() == pytest.approx([24 / 50, 48 / 50])


class Look:
    """A runner that remembers warnings."""

    def __init__(self):
        self.lines = []
        self.logger = SimpleNamespace(warning=self.lines.append)
        self.message_hub = SimpleNamespace(runtime_info={})
        self.message_hub.update_info = self.message_hub.runtime_info.__setitem__


GOOD = dict(feature_spread=0.8, teacher_entropy=0.6, prototype_usage=0.9, match_distance=0.3)


@pytest.mark.parametrize('name,value', [
    ('feature_spread', 0.01), ('teacher_entropy', 1.), ('prototype_usage', 0.), (
        'match_distance', 3.)])
def test_a_warning_comes_once_and_only_after_some_looks(name, value):
    hook, runner = CollapseWatchHook(patience=3, interval=10), Look()
    for values in (GOOD, GOOD | {name: value}, GOOD | {name: value}, GOOD):
        hook.warn(runner, values)
    assert not runner.lines
    for _ in range(6):
        hook.warn(runner, GOOD | {name: value})
    line, = runner.lines
    assert line.startswith(f'{name} is {value:.4g} for 3 looks of 10 steps: ')
