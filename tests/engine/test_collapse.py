"""Numbers that tell of collapse: their ends, and what they must not depend on."""
import math

import pytest
import torch

from cmid_mm.models.selfsup.cell_matching import location_grid, match_cells
from cmid_mm.engine.hooks.collapse import (
    assignment_entropies,
    feature_spread,
    match_distance,
)


def test_spread_is_none_of_equal_vectors_and_one_of_random_directions():
    one = torch.randn(1, 64).expand(50, 64) * torch.rand(50, 1)
    assert feature_spread(one) < 1e-3
    many = torch.randn(4000, 64)
    assert feature_spread(many) == pytest.approx(1, abs=0.02)
    # the length of a vector tells nothing
    torch.testing.assert_close(feature_spread(many * 7), feature_spread(many))
    half = torch.cat([many, many.abs()])
    assert 0.5 < feature_spread(half) < feature_spread(many)


def test_the_two_entropies_tell_the_two_collapses_apart():
    prototypes, places = 16, 160
    sure = torch.zeros(1, prototypes, places)
    sure[0, torch.arange(places) % prototypes, torch.arange(places)] = 1
    assert [float(x) for x in assignment_entropies(sure)] == pytest.approx([0, 1], abs=1e-6)
    no_opinion = torch.full((1, prototypes, places), 1 / prototypes)
    assert [float(x) for x in assignment_entropies(no_opinion)] == pytest.approx([1, 1])
    one_prototype = torch.zeros(1, prototypes, places)
    one_prototype[:, 3] = 1
    assert [float(x) for x in assignment_entropies(one_prototype)] == pytest.approx([0, 0])
    two = torch.zeros(1, prototypes, places)
    two[:, :2] = 0.5
    expected = math.log(2) / math.log(prototypes)
    assert [float(x) for x in assignment_entropies(two)] == pytest.approx([expected] * 2)


@pytest.mark.parametrize('flip', [0., 1.])
def test_distance_is_counted_in_cells(flip):
    box = torch.tensor([[10., 20., 70., 70., flip]])
    for shift, expected in ((0., 0.), (5., 0.5), (4000., 393.0)):
        other = box + torch.tensor([[shift, 0., 0., 0., 0.]])
        grids = [location_grid(boxes, (7, 7)) for boxes in (box, other)]
        match = match_cells(*grids, num_matches=7)
        if shift < 1000:
            assert match_distance(*grids, match) == pytest.approx(expected, abs=1e-4)
        else:
            assert match_distance(*grids, match) > expected
