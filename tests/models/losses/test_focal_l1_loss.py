import torch
from golden_files import Golden

from cmid_mm.models.losses import FocalL1Loss

REDUCTIONS = dict(none=lambda x: x, mean=torch.mean, sum=torch.sum)


def test_golden():
    golden = Golden('focal_l1')
    target = golden.tensor('target', torch.float64)
    for i, case in enumerate(golden.json('cases')):
        prediction = golden.tensor('pred', torch.float64).requires_grad_()
        loss = FocalL1Loss(case['alpha'], case['gamma'], case['activate'], case['residual'])
        out = loss(prediction, target)
        if case['weight']:
            out = out * golden.tensor('weight', torch.float64)
        out = REDUCTIONS[case['reduction']](out)
        torch.testing.assert_close(out, golden.tensor(f'out{i}'), rtol=1e-6, atol=1e-12)
        if f'grad{i}' in golden:
            out.backward()
            expected = golden.tensor(f'grad{i}', torch.float64)
            torch.testing.assert_close(prediction.grad, expected, rtol=1e-5, atol=1e-9)
    first = golden.json('cases')[0]
    for key, match in golden.matching(r'regression_loss_weight(\d+)p(\d+)_none'):
        loss = FocalL1Loss(first['alpha'], first['gamma'], first['activate'],
                           loss_weight=float(f'{match[1]}.{match[2]}'))
        out = loss(golden.tensor('pred', torch.float64), target)
        torch.testing.assert_close(out, golden.tensor(key), rtol=1e-6, atol=1e-12)


def test_float32_is_close_to_float64():
    golden = Golden('focal_l1')
    pair = golden.tensor('pred'), golden.tensor('target')
    out = FocalL1Loss()(*pair)
    torch.testing.assert_close(
        out.double(), FocalL1Loss()(*(x.double() for x in pair)), rtol=1e-5, atol=1e-7)
