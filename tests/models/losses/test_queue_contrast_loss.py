import torch
from golden_files import Golden
from mmpretrain.registry import MODELS

from cmid_mm.models.losses import QueueContrastLoss


def test_golden():
    golden = Golden('moco_loss')
    for key, match in golden.matching(r'loss_(\w+)_t([\d.]+)'):
        query = golden.tensor('query', torch.float64).requires_grad_()
        queue = golden.tensor(f'queue_{match[1]}', torch.float64)
        # published queues hold one key a column
        loss = QueueContrastLoss(float(match[2]))(
            query, golden.tensor('key', torch.float64), queue.t().contiguous())
        torch.testing.assert_close(loss, golden.tensor(key), rtol=1e-6, atol=0)
        weighted = QueueContrastLoss(float(match[2]), loss_weight=3)
        torch.testing.assert_close(
            weighted(query, golden.tensor('key', torch.float64), queue.t()), 3 * loss)
        loss.backward()
        torch.testing.assert_close(
            query.grad, golden.tensor(f'grad{key}'.replace('loss', 'q')), rtol=1e-6, atol=1e-9)


def test_golden_byol_loss_is_mmpretrains():
    golden = Golden('moco_loss')
    loss = MODELS.build(
        dict(type='CosineSimilarityLoss', shift_factor=2.0, scale_factor=2.0))
    out = loss(2 * golden.tensor('query', torch.float64), 3 * golden.tensor('key', torch.float64))
    torch.testing.assert_close(out, golden.tensor('byol_linear_loss'), rtol=1e-6, atol=0)
