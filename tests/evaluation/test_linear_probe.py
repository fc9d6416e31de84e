"""Logistic regression on frozen features: its optimum, its choices, its invariances."""
import pytest
import torch
from mmpretrain.registry import METRICS

from cmid_mm.evaluation.metrics.linear_probe import (
    LinearProbe,
    fit_logistic,
    standardise,
    turn,
)


def clouds(number, noise, dims=12, seed=0):
    """Features around a centre for each of three classes."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, dims, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(number) % 3
    return centres[labels] + noise * torch.randn(number, dims, generator=generator), labels


def test_the_fit_is_the_optimum():
    """scipy, in numbers of twice the length and with the gradient written out by hand."""
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
    bank, labels = clouds(60, 0.1)
    queries, truth = clouds(30, 0.1, seed=1)
    assert torch.equal(LinearProbe().rank(bank, labels, queries)[:, 0], truth)
    queries = torch.randn(300, 12, generator=torch.Generator().manual_seed(2))
    hits = LinearProbe().rank(bank, labels, queries)[:, 0] == torch.arange(300) % 3
    assert hits.float().mean() < 0.6


def test_unit_place_and_rotation_of_features_do_not_matter():
    bank, labels = clouds(120, 3.)
    queries, _ = clouds(60, 3., seed=1)
    expected = LinearProbe().rank(bank, labels, queries)
    assert 0.4 < (expected[:, 0] == torch.arange(60) % 3).float().mean() < 1
    scale, shift = torch.logspace(-3, 3, 12), torch.linspace(-5, 5, 12)
    moved = LinearProbe().rank(bank * scale + shift * scale, labels, queries * scale
                               + shift * scale)
    assert torch.equal(moved[:, 0], expected[:, 0])
    # neither does the order of the columns, nor one that says nothing
    order = torch.randperm(12)
    bank, queries = (torch.cat([x[:, order], torch.full((len(x), 1), 7.3)], 1)
                     for x in (bank, queries))
    assert torch.equal(LinearProbe().rank(bank, labels, queries)[:, 0], expected[:, 0])


def test_standardised_by_the_bank_alone():
    bank, queries = standardise(torch.tensor([[1., 5.], [3., 5.]]), torch.tensor([[4., 6.]]))
    assert bank.tolist() == [[-1, 0], [1, 0]] and queries.tolist() == [[2, 0]]


@pytest.mark.parametrize('kind,best', [('noisy', 10), ('hidden', 1e-4)])
def test_the_penalty_is_chosen_on_a_part_of_the_bank(kind, best):
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(200) % 2
    signs = 2. * labels[:, None] - 1
    if kind == 'noisy':
        # many features that say little: a weak penalty learns the bank by heart
        bank = torch.randn(200, 160, generator=generator)
        bank[:, :40] += 0.15 * signs
    else:
        # a small difference of two large numbers: a strong penalty does not see it
        bank = torch.randn(200, 1, generator=generator)
        bank = torch.cat([bank, bank + 0.05 * signs], 1)
    bank, _ = standardise(bank, bank)
    probe, held_out, right = LinearProbe(l2=(1e-4, 0.1, 10)), torch.arange(200) % 5 == 0, {}
    for l2 in probe.l2:
        weight, bias = fit_logistic(bank[~held_out], labels[~held_out], l2)
        found = (bank[held_out] @ weight + bias).argmax(1)
        right[l2] = int((found == labels[held_out]).sum())
    assert list(right) == [10, 0.1, 1e-4]
    assert max(right, key=right.get) == probe.choose(bank, labels) == best
    assert LinearProbe(l2=(0.5, )).choose(bank, labels) == 0.5


def test_principal_axes_are_a_rotation():
    bank, queries = standardise(*(torch.randn(number, 6) for number in (50, 20)))
    turned = turn(bank, queries)
    torch.testing.assert_close(torch.cdist(turned[1], turned[0]), torch.cdist(queries, bank))
    products = turned[0].T @ turned[0]
    torch.testing.assert_close(products, products.diagonal().diag(), rtol=0, atol=1e-4)


@pytest.mark.parametrize('l2', [(), (0.1, 0), (-1, )])
def test_a_penalty_is_positive(l2):
    with pytest.raises(ValueError, match='l2 needs'):
        METRICS.build(dict(type='LinearProbe', l2=l2))


def test_features_that_are_not_finite_are_named():
    metric = METRICS.build(dict(type='LinearProbe'))
    metric.process(None, [
        dict(feature=torch.tensor([1., number]), gt_label=i % 2, split=split)
        for split in ('bank', 'query') for i, number in enumerate((0., torch.inf, 2.))])
    with pytest.raises(ValueError, match='LinearProbe: 2 of 6 features are not finite'):
        metric.evaluate(6)
