"""Logistic regression on frozen features: its optimum, its choices, its invariances."""
import pytest
import torch
from mmpretrain.registry import METRICS

from cmid_mm.evaluation.metrics.linear_probe import (
    LinearProbe,
    check_l2,
    choose_l2,
    fit_logistic,
    rotate_to_principal_axes,
    standardise,
)


def clouds(number, noise, dims=12, seed=0):
    """Features around a centre for each of three classes."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, dims, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(number) % 3
    return centres[labels] + noise * torch.randn(number, dims, generator=generator), labels


def test_the_fit_is_the_optimum():
    """scipy, in double precision and with the gradient written out by hand."""
    features, labels = clouds(90, 2.)
    features, l2 = features.double(), 0.03
    weight, bias = fit_logistic(features, labels, l2, tolerance=1e-9)
    truth = torch.nn.functional.one_hot(labels).double()
    padded = torch.cat([features, torch.ones(90, 1).double()], 1)

    def objective(flat):
        parameters = torch.from_numpy(flat).view(13, 3)
        scores = padded @ parameters
        penalty = parameters.clone()
        penalty[-1] = 0
        value = (scores.logsumexp(1) - (scores * truth).sum(1)).mean()
        gradient = padded.T @ (scores.softmax(1) - truth) / 90 + l2 * penalty
        return (value + l2 / 2 * penalty.square().sum()).item(), gradient.flatten().numpy()

    found = torch.cat([weight, bias[None]]).flatten().numpy()
    assert abs(objective(found)[1]).max() < 1e-8
    minimize = pytest.importorskip('scipy.optimize').minimize
    expected = minimize(objective, 0 * found, jac=True, tol=1e-12).x.reshape(13, 3)
    torch.testing.assert_close(weight, torch.from_numpy(expected[:-1]), rtol=0, atol=1e-5)
    # scores know the bias up to a number that is the same for all classes
    shifted = torch.from_numpy(expected[-1])
    torch.testing.assert_close(bias - bias.mean(), shifted - shifted.mean(), rtol=0, atol=1e-5)


def test_separable_classes_are_separated_and_noise_is_not():
    gallery, labels = clouds(60, 0.1)
    queries, truth = clouds(30, 0.1, seed=1)
    assert torch.equal(LinearProbe().rank(gallery, labels, queries)[:, 0], truth)
    queries = torch.randn(300, 12, generator=torch.Generator().manual_seed(2))
    hits = LinearProbe().rank(gallery, labels, queries)[:, 0] == torch.arange(300) % 3
    assert hits.float().mean() < 0.6


def test_unit_place_and_rotation_of_features_do_not_matter():
    gallery, labels = clouds(120, 3.)
    queries, _ = clouds(60, 3., seed=1)
    expected = LinearProbe().rank(gallery, labels, queries)
    assert 0.4 < (expected[:, 0] == torch.arange(60) % 3).float().mean() < 1
    scale, shift = torch.logspace(-3, 3, 12), torch.linspace(-5, 5, 12)
    moved = LinearProbe().rank(gallery * scale + shift * scale, labels, queries * scale
                               + shift * scale)
    assert torch.equal(moved[:, 0], expected[:, 0])
    # neither does the order of the columns, nor one that is constant
    order = torch.randperm(12)
    gallery, queries = (torch.cat([x[:, order], torch.full((len(x), 1), 7.3)], 1)
                     for x in (gallery, queries))
    assert torch.equal(LinearProbe().rank(gallery, labels, queries)[:, 0], expected[:, 0])


def test_standardised_by_the_gallery_alone():
    gallery, queries = standardise(torch.tensor([[1., 5.], [3., 5.]]), torch.tensor([[4., 6.]]))
    assert gallery.tolist() == [[-1, 0], [1, 0]] and queries.tolist() == [[2, 0]]


@pytest.mark.parametrize('kind,best', [('noisy', 10), ('hidden', 1e-4)])
def test_the_penalty_is_chosen_on_a_part_of_the_gallery(kind, best):
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(200) % 2
    signs = 2. * labels[:, None] - 1
    if kind == 'noisy':
        # many features with little signal: a weak penalty overfits
        gallery = torch.randn(200, 160, generator=generator)
        gallery[:, :40] += 0.15 * signs
    else:
        # a small difference of two large numbers: a strong penalty misses it
        gallery = torch.randn(200, 1, generator=generator)
        gallery = torch.cat([gallery, gallery + 0.05 * signs], 1)
    gallery, _ = standardise(gallery, gallery)
    strengths, held_out, right = check_l2((1e-4, 0.1, 10)), torch.arange(200) % 5 == 0, {}
    for l2 in strengths:
        weight, bias = fit_logistic(gallery[~held_out], labels[~held_out], l2)
        found = (gallery[held_out] @ weight + bias).argmax(1)
        right[l2] = int((found == labels[held_out]).sum())
    assert list(right) == [10, 0.1, 1e-4]
    assert max(right, key=right.get) == choose_l2(gallery, labels, strengths, held_out) == best
    assert choose_l2(gallery, labels, [0.5], held_out) == 0.5


def test_principal_axes_are_a_rotation():
    gallery, queries = standardise(*(torch.randn(number, 6) for number in (50, 20)))
    rotated = rotate_to_principal_axes(gallery, queries)
    torch.testing.assert_close(torch.cdist(rotated[1], rotated[0]), torch.cdist(queries, gallery))
    products = rotated[0].T @ rotated[0]
    torch.testing.assert_close(products, products.diagonal().diag(), rtol=0, atol=1e-4)


def test_features_that_are_not_finite_are_named():
    metric = METRICS.build(dict(type='LinearProbe'))
    metric.process(None, [
        dict(feature=torch.tensor([1., number]), gt_label=i % 2, split=split)
        for split in ('gallery', 'query') for i, number in enumerate((0., torch.inf, 2.))])
    with pytest.raises(ValueError, match='LinearProbe: 2 of 6 features are not finite'):
        metric.evaluate(6)
