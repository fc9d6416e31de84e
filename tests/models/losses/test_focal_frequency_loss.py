import pytest
import torch
from golden_files import Golden

from cmid_mm.models.losses import FocalFrequencyLoss


def build(case):
    return FocalFrequencyLoss(case['alpha'], case['log_matrix'], case['ave_spectrum'],
                              case.get('loss_weight', 1.0))


def test_golden():
    golden = Golden('focal_frequency')
    for i, case in enumerate(golden.json('cases')):
        assert case['batch_matrix'], 'the published code knows no other'
        prediction = golden.tensor(f'pred{case["inputs"]}', torch.float64).requires_grad_()
        target = golden.tensor(f'target{case["inputs"]}', torch.float64)
        out = build(case)(prediction, target)
        torch.testing.assert_close(out, golden.tensor(f'out{i}'), rtol=1e-6, atol=0)
        out.backward()
        expected = golden.tensor(f'grad{i}', torch.float64)
        torch.testing.assert_close(
            prediction.grad, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())


def test_golden_given_weights():
    golden = Golden('focal_frequency')
    weights = golden.tensor('predefined_matrix', torch.float64)
    name = next(name for name, _ in golden.matching(r'pred\d+')
                if golden[name].shape[1:] == weights.shape[1:])
    pair = [golden.tensor(key, torch.float64) for key in (name, name.replace('pred', 'target'))]
    for key, match in golden.matching(r'predefined_matrix_out_loss_weight(\d+)p(\d+)'):
        loss = FocalFrequencyLoss(loss_weight=float(f'{match[1]}.{match[2]}'))
        torch.testing.assert_close(
            loss(*pair, weights), golden.tensor(key), rtol=1e-6, atol=0)


@pytest.mark.parametrize('average', [True, False])
def test_float32(average):
    loss = FocalFrequencyLoss(average_spectrum=average)
    a, b = torch.rand(2, 3, 3, 28, 20, dtype=torch.float64)
    torch.testing.assert_close(
        loss(a.float(), b.float()).double(), loss(a, b), rtol=1e-5, atol=0)


def test_half_precision_is_widened_also_under_autocast():
    loss = FocalFrequencyLoss()
    a, b = torch.rand(2, 3, 3, 28, 28).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        out = loss(a, b)
    assert out.dtype == torch.float32
    assert torch.equal(out, loss(a.float(), b.float()))


def test_average_ignores_which_image_is_which_and_per_image_does_not():
    a, b = torch.rand(2, 4, 3, 16, 16, dtype=torch.float64)
    swapped = b.roll(1, 0)
    average, single = FocalFrequencyLoss(), FocalFrequencyLoss(average_spectrum=False)
    torch.testing.assert_close(average(a, b), average(a, swapped))
    assert not torch.isclose(single(a, b), single(a, swapped))


@pytest.mark.parametrize('average', [True, False])
def test_equal_images_have_no_loss_and_a_finite_gradient(average):
    a = torch.rand(2, 3, 8, 8).requires_grad_()
    loss = FocalFrequencyLoss(average_spectrum=average)(a, a.detach().clone())
    loss.backward()
    assert loss == 0 and torch.equal(a.grad, torch.zeros_like(a))
