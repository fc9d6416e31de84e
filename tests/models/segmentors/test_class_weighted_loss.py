"""Cross entropy with weights of classes: ignored pixels, weights, measured shares."""
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg')
from cmid_mm.models.segmentors import ClassWeightedCrossEntropy  # noqa: E402
from cmid_mm.utils.errors import CMIDError  # noqa: E402


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 5, 7, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 5, 7), generator=generator)
    labels[0, :2] = 255
    return scores, labels


def test_it_is_the_weighted_mean_of_labelled_pixels(batch):
    scores, labels = batch
    weights = [1., 4., 0.5]
    found = ClassWeightedCrossEntropy(weights)(scores, labels, ignore_index=255)
    expected = F.cross_entropy(scores, labels, torch.tensor(weights), ignore_index=255)
    torch.testing.assert_close(found, expected)
    # what is ignored has no gradient
    found.backward()
    assert (scores.grad[0, :, :2] == 0).all() and (scores.grad[0, :, 2:] != 0).any()


def test_no_label_no_loss(batch):
    scores, labels = batch
    found = ClassWeightedCrossEntropy([1., 4., 0.5])(scores, torch.full_like(labels, 255))
    assert found.item() == 0
    found.backward()
    assert torch.isfinite(scores.grad).all()


def test_weights_of_shares():
    loss = ClassWeightedCrossEntropy('auto')
    loss.set_shares([0.64, 0.32, 0.04])
    weights = loss.class_weight
    # a sixteenth of the pixels, four times the weight; a pixel has the weight 1 on average
    assert weights[2] / weights[0] == pytest.approx(4)
    assert (weights * torch.tensor([0.64, 0.32, 0.04])).sum() == pytest.approx(1)
    rare = ClassWeightedCrossEntropy('auto')
    rare.set_shares([1., 1e-9, 0.])
    assert rare.class_weight.max() / rare.class_weight.min() == pytest.approx(10)
    assert 'class_weight' not in loss.state_dict()
    fixed = ClassWeightedCrossEntropy([1., 2., 3.])
    fixed.set_shares([0.1, 0.8, 0.1])
    assert fixed.class_weight.tolist() == [1., 2., 3.]


@pytest.mark.parametrize('weights', ['atuo', [1., -1., 1.], [0., 0., 0.]])
def test_weights_are_checked(weights):
    with pytest.raises(CMIDError, match='class_weight must be'):
        ClassWeightedCrossEntropy(weights)


def test_as_many_weights_as_classes(batch):
    with pytest.raises(CMIDError, match='2 numbers, but the head has 3 classes'):
        ClassWeightedCrossEntropy([1., 2.])(*batch)


def test_auto_needs_the_shares(batch):
    with pytest.raises(CMIDError, match='PreflightHook'):
        ClassWeightedCrossEntropy('auto')(*batch)
