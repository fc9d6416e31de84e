import numpy as np
import pytest

from cmid_mm.visualization import draw_matched_cells
from cmid_mm.visualization.correspondence import displacements, draw_matches, mutual_matches
from cmid_mm.visualization.panels import hues


@pytest.fixture
def scene():
    return np.random.default_rng(0).normal(size=(16, 10, 11)).astype(np.float32)


def test_a_shift_is_found(scene):
    first, second, cosine = mutual_matches(scene[:, :8, :8], scene[:, 2:, 3:], 30)
    # 6 x 5 cells are in both
    assert len(cosine) == 30 and cosine.min() > 0.9
    assert (first - second == [2, 3]).all()
    assert len({tuple(cell) for cell in first.tolist()}) == 30


def test_the_strongest_stay_and_all_are_mutual(scene):
    noisy = scene + 0.8 * np.random.default_rng(1).normal(size=scene.shape)
    first, second, cosine = mutual_matches(scene, noisy, 110)
    assert 20 < len(cosine) < 110 and (np.diff(cosine) <= 0).all()
    assert len({tuple(cell) for cell in second.tolist()}) == len(second)
    back = mutual_matches(noisy, scene, 110)
    assert {(*a, *b) for a, b in zip(first.tolist(), second.tolist())} == {
        (*b, *a) for a, b in zip(back[0].tolist(), back[1].tolist())}
    few = mutual_matches(scene, noisy, 5)
    assert np.array_equal(few[0], first[:5]) and np.array_equal(few[2], cosine[:5])


def test_what_all_places_share_changes_nothing(scene):
    pair = scene[:, :8, :8], scene[:, 2:, 3:]
    found = [mutual_matches(*maps, 64) for maps in (pair, [cells + 50 for cells in pair])]
    cells = [{(*a, *b) for a, b in zip(first.tolist(), second.tolist())}
             for first, second, _ in found]
    assert cells[0] == cells[1] and np.allclose(found[0][2], found[1][2], atol=1e-3)


def test_displacements_are_shares_of_the_side():
    cells = np.array([[0, 0], [4, 7]])
    assert np.allclose(displacements(cells, cells, ((8, 8), (8, 8))), 0)
    moved = displacements(cells, cells + [3, 4], ((8, 8), (8, 8)))
    assert np.allclose(moved, 5 / 8)
    # maps of two sizes: centres are compared
    assert np.allclose(displacements(cells[:1], cells[:1], ((4, 4), (8, 8))), 2**0.5 / 16)


def test_matches_are_drawn_at_their_cells():
    images = [np.full((400, 400, 3), 60, np.uint8), np.full((400, 400, 1), 90, np.uint8)]
    cells = np.array([[0, 0], [3, 3]]), np.array([[0, 1], [3, 0]])
    picture = draw_matches(images, cells, ((4, 4), (4, 4)))
    assert picture.shape == (400, 812, 3)
    # centres of cells of 100 px, the second image after a gap of 12
    ends = [(50, 50), (50, 412 + 150)], [(350, 350), (350, 412 + 50)]
    colours = [[tuple(picture[place]) for place in pair] for pair in ends]
    assert colours[0][0] == colours[0][1] != colours[1][0] == colours[1][1]
    assert tuple(picture[200, 100]) == (60, 60, 60) and tuple(picture[200, 700]) == (90, 90, 90)
    # a line over the gap
    assert (picture[50, 404] != 255).any() and (picture[120, 404] == 255).all()
    small = draw_matches([image[:60, :60] for image in images], cells, ((4, 4), (4, 4)))
    assert small.shape == (360, 732, 3)


def test_matched_cells_of_views_are_numbered_scene_by_scene():
    view = np.full((400, 400, 3), 90, np.uint8)
    scene = (view, view), (np.array([0, 6]), np.array([3, 5]))
    picture = draw_matched_cells(*zip(scene, scene), (2, 4))
    assert picture.shape == (2 * 412, 812, 3) and (view == 90).all()
    assert np.array_equal(picture[:412], picture[412:])
    # cells of two rows and four columns are 200 px high and 100 px wide
    ends = [(100, 50), (100, 412 + 350)], [(300, 250), (300, 412 + 150)]
    for pair, colour in zip(ends, hues(np.array([(50 / 400 + 100 / 400) / 2, (.75 + .625) / 2]))):
        assert all(tuple(picture[place]) == tuple(colour) for place in pair)
    # the numbers are white
    for row, column in (end for pair in ends for end in pair):
        number = picture[row - 12:row + 10, column + 5:column + 20]
        assert (number > 200).all(2).sum() > 8
