import pytest
import torch
from golden_files import Golden
from mmpretrain.registry import MODELS
from published_settings import reconstruction_head_of

from cmid_mm.models.heads import CMIDReconstructionHead


def test_golden():
    golden = Golden('mim_loss_head')
    target = golden.tensor('x', torch.float64)
    for i, case in enumerate(golden.json('cases')):
        reconstruction = golden.tensor('x_rec', torch.float64).requires_grad_()
        head = MODELS.build(reconstruction_head_of(case))
        loss = head.loss(reconstruction, target, golden.tensor(case['mask']))
        torch.testing.assert_close(loss, golden.tensor(f'out{i}'), rtol=1e-6, atol=0)
        if f'grad{i}' in golden:
            loss.backward()
            expected = golden.tensor(f'grad{i}', torch.float64)
            torch.testing.assert_close(reconstruction.grad, expected, rtol=1e-4,
                                       atol=1e-5 * expected.abs().max().item())


def views():
    mask = torch.zeros(2, 2, 2, dtype=torch.bool)
    mask[:, 0] = True
    return torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), mask


def test_pixel_term_sees_masked_places_only():
    reconstruction, target, mask = views()
    head = CMIDReconstructionHead(frequency_loss=None)
    loss = head.loss(reconstruction, target, mask)
    elsewhere = reconstruction.clone()
    elsewhere[:, :, 8:] += 1
    assert torch.equal(head.loss(elsewhere, target, mask), loss)
    here = reconstruction.clone()
    here[:, :, :8] += 1
    assert head.loss(here, target, mask) > loss


def test_mask_resolution_does_not_matter():
    reconstruction, target, mask = views()
    head = CMIDReconstructionHead()
    fine = mask.repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(
        head.loss(reconstruction, target, fine), head.loss(reconstruction, target, mask))


def test_bad_fill_is_refused():
    with pytest.raises(ValueError, match='noise'):
        CMIDReconstructionHead(frequency_fill='noise')
    with pytest.raises(ValueError, match='None'):
        CMIDReconstructionHead(frequency_fill=None)
    CMIDReconstructionHead(frequency_fill=None, frequency_visible_weight=1)
