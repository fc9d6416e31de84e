"""Matched cells have the same colour, at the right places."""
import numpy as np
import pytest

from cmid_mm.visualization import draw_matched_cells
from cmid_mm.visualization.matched_cells import _GAP, colour_of

SIDE = 400


def draw(source, target, scenes=1, side=SIDE):
    view = np.full((side, side, 3), 90, np.uint8)
    match = np.array(source), np.array(target)
    picture = draw_matched_cells([(view, view)] * scenes, [match] * scenes, (2, 4))
    assert (view == 90).all()
    return picture


def outlines(picture, number):
    """Corners (top, left, bottom, right) of what has the colour of a match, in each view."""
    halves = picture[:, :SIDE], picture[:, SIDE + _GAP:]
    places = [np.nonzero((half == colour_of(number)).all(2)) for half in halves]
    return [(rows.min(), columns.min(), rows.max(), columns.max()) for rows, columns in places]


def test_both_ends_of_a_match_have_its_colour_around_the_cell():
    # cells of two rows and four columns are 200 px high and 100 px wide
    picture = draw([0, 6], [3, 5])
    assert picture.shape == (SIDE, 2 * SIDE + _GAP, 3) and picture.dtype == np.uint8
    expected = {0: [(0, 0), (0, 300)], 1: [(200, 200), (200, 100)]}
    for number, corners in expected.items():
        for (top, left), found in zip(corners, outlines(picture, number)):
            assert found == pytest.approx((top, left, top + 199, left + 99), abs=2)


def test_a_cell_that_is_matched_twice_has_both_numbers():
    once, twice = draw([0], [3]), draw([0, 1], [3, 3])
    right = slice(SIDE + _GAP + 300, None)
    bright = [(picture[60:140, right] > 230).all(2).sum() for picture in (once, twice)]
    assert bright[1] > 1.5 * bright[0] > 0


def test_small_views_are_enlarged_and_scenes_lie_in_two_columns():
    assert draw([0], [0], side=64).shape[0] == 448
    one, three = draw([0], [0]), draw([0], [0], scenes=3)
    assert three.shape[0] == 2 * one.shape[0] + _GAP
    assert three.shape[1] == 2 * one.shape[1] + 2 * _GAP
    assert np.array_equal(three[:SIDE, :one.shape[1]], one)
    assert (three[SIDE + _GAP:, -SIDE:] == 255).all()
