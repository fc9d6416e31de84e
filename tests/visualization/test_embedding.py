import sys

import numpy as np
import pytest

from cmid_mm.visualization.embedding import embed, folder_classes, scatter
from cmid_mm.visualization.panels import COLOURS, colours_for


@pytest.fixture
def vectors():
    """Two kinds of scenes, 12 of each, of any length."""
    draw = np.random.default_rng(0)
    kinds = np.repeat([[9., 0, 0, 0], [0, 9, 0, 0]], 12, 0) + draw.normal(size=(24, 4))
    return (kinds * draw.uniform(1, 50, (24, 1))).astype(np.float32)


def apart(places):
    middles = places[:12].mean(0), places[12:].mean(0)
    inside = max(np.linalg.norm(half - middle, axis=1).mean()
                 for half, middle in zip((places[:12], places[12:]), middles))
    return np.linalg.norm(middles[0] - middles[1]) / inside


def test_components_keep_kinds_apart(vectors):
    places = embed(vectors, 'pca')
    assert places.shape == (24, 2) and apart(places) > 4
    # the cosine does not see lengths
    assert np.allclose(embed(vectors * np.arange(1, 25)[:, None], 'pca'), places, atol=1e-5)


@pytest.mark.parametrize('method, name', [('tsne', 'sklearn'), ('umap', 'umap')])
def test_libraries_keep_kinds_apart(vectors, method, name):
    pytest.importorskip(name)
    places = embed(vectors, method, seed=1)
    assert places.shape == (24, 2) and apart(places) > 1.5
    assert np.array_equal(places, embed(vectors, method, seed=1))


@pytest.mark.parametrize('method, name, fix', [
    ('tsne', 'sklearn', 'pip install scikit-learn'), ('umap', 'umap', 'pip install umap-learn')])
def test_a_missing_library_is_named(vectors, method, name, fix, monkeypatch):
    for module in [key for key in sys.modules if key.split('.')[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=fix):
        embed(vectors, method)


def test_folders_are_classes():
    names, labels = folder_classes(['d/train/b/1.png', 'd/train/a/1.png', 'd/val/b/2.png'], 'd')
    assert (names, labels) == (['a', 'b'], [1, 0, 1])
    assert folder_classes(['d/1.png', 'd/a/1.png'], 'd/') is None
    assert folder_classes(['d/a/1.png', 'd/a/2.png'], 'd') is None


def test_thumbnails_lie_at_their_places():
    images = [np.full((20, 40, bands), level, np.uint8)
              for level, bands in ((50, 3), (100, 1), (150, 5))]
    places = np.array([[0., 0.], [2., 8.], [1., 4.]])
    picture = scatter(places, images, [1, 0, 1], side=200, thumbnail=40)
    # x to the right, y upwards: the first at the bottom left
    assert tuple(picture[200 - 40 + 10, 20]) == (50, 50, 50)
    assert tuple(picture[10, 180]) == (100, 100, 100)
    assert tuple(picture[90, 100]) == (150, 150, 150)
    assert tuple(picture[0, 160]) == COLOURS[0] and tuple(picture[160, 0]) == COLOURS[1]
    # half as high as wide, white elsewhere
    assert (picture != 255).any(2).sum() == 3 * 20 * 40
    plain = scatter(places, images, side=200, thumbnail=40)
    assert tuple(plain[160, 0]) == (50, 50, 50)
    # one place for all
    assert (scatter(0 * places, images, side=200, thumbnail=40) != 255).any(2).sum() == 800


def test_many_classes_have_colours_of_their_own():
    assert colours_for(3) == list(COLOURS[:3])
    assert len(set(colours_for(45))) == 45
