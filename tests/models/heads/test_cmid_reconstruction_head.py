import torch
from golden_files import Golden
from mmpretrain.registry import MODELS
from published_settings import reconstruction_head_of

from cmid_mm.models.heads import CMIDReconstructionHead
from cmid_mm.models.preprocessing.block_mask import upsample_mask


def test_golden():
    golden = Golden('mim_loss_head')
    target = golden.tensor('x', torch.float64)
    for i, case in enumerate(golden.json('cases')):
        reconstruction = golden.tensor('x_rec', torch.float64).requires_grad_()
        head = MODELS.build(reconstruction_head_of(case))
        mask = golden.tensor(case['mask'])
        mask = upsample_mask(mask, target.shape[-1] // mask.shape[-1])
        loss = head.loss(reconstruction, target, mask)
        torch.testing.assert_close(loss, golden.tensor(f'out{i}'), rtol=1e-6, atol=0)
        if f'grad{i}' in golden:
            loss.backward()
            expected = golden.tensor(f'grad{i}', torch.float64)
            torch.testing.assert_close(reconstruction.grad, expected, rtol=1e-4,
                                       atol=1e-5 * expected.abs().max().item())


def test_pixel_term_counts_masked_pixels_only():
    reconstruction, target = torch.rand(2, 2, 3, 16, 16)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[:, :8] = True
    head = CMIDReconstructionHead(frequency_loss=None)
    loss = head.loss(reconstruction, target, mask)
    elsewhere = reconstruction.clone()
    elsewhere[:, :, 8:] += 1
    assert torch.equal(head.loss(elsewhere, target, mask), loss)
    here = reconstruction.clone()
    here[:, :, :8] += 1
    assert head.loss(here, target, mask) > loss
