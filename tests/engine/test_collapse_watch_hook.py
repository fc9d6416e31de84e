"""Numbers that show a collapse, and the warnings about them."""
import math
from types import SimpleNamespace

import pytest
import torch
from tiny_run import tiny_runner

from cmid_mm.engine.hooks import CollapseWatchHook
from cmid_mm.engine.hooks.collapse_watch_hook import (
    assignment_entropies,
    feature_spread,
    match_distance,
)
from cmid_mm.models.selfsup.cell_matching import location_grid, match_cells


def test_spread_is_zero_of_equal_vectors_and_one_of_random_directions():
    one = torch.randn(1, 64).expand(50, 64) * torch.rand(50, 1)
    assert feature_spread(one) < 1e-3
    many = torch.randn(4000, 64)
    assert feature_spread(many) == pytest.approx(1, abs=0.02)
    # independent of the length of the vectors
    torch.testing.assert_close(feature_spread(many * 7), feature_spread(many))
    half = torch.cat([many, many.abs()])
    assert 0.5 < feature_spread(half) < feature_spread(many)


def test_the_two_entropies_distinguish_the_two_collapses():
    prototypes, places = 16, 160
    sure, one_prototype, two = torch.zeros(3, 1, prototypes, places)
    sure[0, torch.arange(places) % prototypes, torch.arange(places)] = 1
    one_prototype[:, 3] = 1
    two[:, :2] = 0.5
    uniform = torch.full((1, prototypes, places), 1 / prototypes)
    share = math.log(2) / math.log(prototypes)
    for probability, expected in (
            (sure, [0, 1]), (uniform, [1, 1]), (one_prototype, [0, 0]), (two, [share, share])):
        found = [float(x) for x in assignment_entropies(probability)]
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('flip', [0., 1.])
def test_distance_is_counted_in_cells(flip):
    box = torch.tensor([[10., 20., 70., 70., flip]])
    for shift, expected in ((0., 0.), (5., 0.5), (4000., None)):
        other = box + torch.tensor([[shift, 0., 0., 0., 0.]])
        grids = [location_grid(boxes, (7, 7)) for boxes in (box, other)]
        distance = match_distance(*grids, match_cells(*grids, num_matches=7))
        if expected is None:
            assert distance > 393
        else:
            assert distance == pytest.approx(expected, abs=1e-4)


def test_the_numbers_are_logged_at_every_check(tmp_path):
    runner = tiny_runner(tmp_path, 'run', {'default_hooks.collapse_watch.interval': 3})
    runner.train()
    scalars = runner.message_hub.log_scalars
    for name in ('feature_spread', 'teacher_entropy', 'prototype_usage', 'match_distance'):
        values = scalars[f'train/{name}'].data[0]
        # eight steps, a check after the third and the sixth
        assert len(values) == 2 and all(value >= 0 for value in values), name
    # two keys an image, 12 and 24 images so far, room for 50
    assert scalars['train/queue_fresh'].data[0].tolist() == pytest.approx([24 / 50, 48 / 50])


GOOD = dict(feature_spread=0.8, teacher_entropy=0.6, prototype_usage=0.9, match_distance=0.3)


@pytest.mark.parametrize('name, value', [
    ('feature_spread', 0.01), ('teacher_entropy', 1.), ('prototype_usage', 0.),
    ('match_distance', 3.)])
def test_a_warning_comes_once_and_only_after_some_checks(name, value):
    hook, lines = CollapseWatchHook(patience=3, interval=10), []
    hub = SimpleNamespace(runtime_info={})
    hub.update_info = hub.runtime_info.__setitem__
    runner = SimpleNamespace(logger=SimpleNamespace(warning=lines.append), message_hub=hub)
    for values in (GOOD, GOOD | {name: value}, GOOD | {name: value}, GOOD):
        hook.warn(runner, values)
    assert not lines
    for _ in range(6):
        hook.warn(runner, GOOD | {name: value})
    line, = lines
    assert line.startswith(f'{name} is {value:.4g} at 3 checks, 10 steps apart: ')
