import numpy as np
import pytest

from cmid_mm.visualization.feature_pca import components, pca_colours


@pytest.fixture
def levels():
    """(64, 3) of 0 and 1, columns independent of each other, a quarter of each is 1."""
    steps = [0, 0, 0, 1]
    return np.array([(a, b, c) for a in steps for b in steps for c in steps], float)


@pytest.fixture
def cells(levels):
    """(4, 8, 8): three channels of falling variance, in another order, and one of none."""
    channels = [3 * levels[:, 1], 10 * levels[:, 0], np.full(64, 5.), levels[:, 2]]
    return np.stack(channels).reshape(4, 8, 8).astype(np.float32)


def test_colours_are_the_components_by_variance(cells, levels):
    (colours, ) = pca_colours([cells])
    assert colours.dtype == np.uint8
    assert np.array_equal(colours.reshape(64, 3), (255 * levels).astype(np.uint8))


def test_colours_do_not_depend_on_the_axes(cells):
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    turned = np.tensordot(turn, cells, 1).astype(np.float32)
    difference = pca_colours([turned])[0].astype(int) - pca_colours([cells])[0]
    assert np.abs(difference).max() <= 1


def test_colours_mean_the_same_in_every_image(cells):
    whole, part = pca_colours([cells, cells[:, 2:5, :7]])
    assert part.shape == (3, 7, 3) and np.array_equal(part, whole[2:5, :7])
    # alone, the part would be spread over all colours by itself
    alone = pca_colours([3 * cells[:, 2:5, :7] + 4])[0]
    assert alone.min() == 0 and alone.max() == 255


def test_a_component_without_variance_is_grey(cells):
    (colours, ) = pca_colours([cells[[1, 2, 2]]])
    assert set(np.unique(colours[..., 0])) == {0, 255} and (colours[..., 1:] == 128).all()


def test_components_are_uncorrelated_and_signed():
    values = components(np.random.default_rng(0).gamma(1, size=(200, 6)) * range(1, 7))
    covariance = np.cov(values.T)
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)
    assert (np.diff(np.diag(covariance)) < 0).all()
    assert (values.max(0) >= -values.min(0)).all()
