import pytest
import torch
import torch.nn.functional as F
from golden_files import Golden

from cmid_mm.checkpoints.published_keys import part_from_published
from cmid_mm.models.necks import CMIDDecoder, CMIDDenseProjector, CMIDGlobalProjector


def load(module, golden, prefix):
    """Fill a projector from published names; everything must be filled."""
    state = {
        part_from_published(match[1]): golden.tensor(key)
        for key, match in golden.matching(rf'{prefix}/(.+)')
    }
    missing = module.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {'prototypes.weight_g'}, missing
    assert not missing.unexpected_keys
    return module.double()


def test_golden_global_projector():
    golden = Golden('mlp_projector')
    x = golden.tensor('x', torch.float64)
    for kind, norm_cfg in (('identity', None), ('bn', dict(type='BN1d'))):
        hidden, inputs = golden[f'{kind}/layer.0.0.weight'].shape
        outputs = golden[f'{kind}/layer.0.3.weight'].shape[0]
        neck = load(
            CMIDGlobalProjector(inputs, hidden, outputs, norm_cfg), golden, kind)
        for training in (False, True):
            expected = golden.tensor(f'{kind}_{"train" if training else "eval"}_out')
            torch.testing.assert_close(
                neck.train(training).project(x), expected, rtol=1e-6, atol=1e-9)
        # a map of two cells whose mean is x
        out = neck(torch.stack([x - 1, x + 1], -1)[..., None])
        torch.testing.assert_close(
            out, golden.tensor(f'{kind}_train_out_normalised'), rtol=1e-6, atol=1e-9)


def test_golden_dense_projector():
    golden = Golden('local_head')
    grad_out = golden.tensor('grad_out', torch.float64)
    for i, case in enumerate(golden.json('cases')):
        neck = load(
            CMIDDenseProjector(case['in_dim'], case['hidden_dim'], case['bottleneck_dim'],
                               case['out_dim'], case['num_layers'],
                               dict(type='BN1d') if case['use_bn'] else None),
            golden, f'case{i}')
        x = golden.tensor('x', torch.float64).requires_grad_()
        out = neck.eval()(x)
        torch.testing.assert_close(out, golden.tensor(f'case{i}_eval_out'), rtol=1e-6, atol=1e-8)
        out = neck.train()(x)
        torch.testing.assert_close(
            out, golden.tensor(f'case{i}_train_out'), rtol=1e-6, atol=1e-8)
        out.backward(grad_out)
        torch.testing.assert_close(
            x.grad, golden.tensor(f'case{i}_train_grad_x'), rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(
            neck.prototypes.weight_v.grad, golden.tensor(f'case{i}_train_grad_weight_v'),
            rtol=1e-6, atol=1e-8)
        after = [key for key in golden.arrays if key.startswith(f'case{i}_after_train/')]
        assert bool(after) == (case['use_bn'] and case['num_layers'] > 1)
        for key in after:
            value = neck.state_dict()[key.split('/')[1]]
            torch.testing.assert_close(
                value, golden.tensor(key).to(value.dtype), rtol=1e-6, atol=1e-9)


def test_dense_projector_starts_as_intended_and_freezes_the_length():
    neck = CMIDDenseProjector(64, 512, 64, 128)
    neck.init_weights()
    for layer in neck.mlp:
        if isinstance(layer, torch.nn.Conv1d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
    assert torch.equal(neck.prototypes.weight_g, torch.ones(128, 1, 1))
    assert not neck.prototypes.weight_g.requires_grad
    # scores are cosines: the length of a prototype does not matter
    cells = torch.randn(2, 64, 5)
    before = neck(cells)
    assert before.abs().max() <= 1
    neck.prototypes.weight_v.data *= 3
    torch.testing.assert_close(neck(cells), before)


@pytest.mark.parametrize('bands', [1, 3, 5])
def test_decoder_puts_a_cell_where_it_belongs(bands):
    decoder = CMIDDecoder(6, 4, bands)
    x = torch.randn(2, 6, 3, 2)
    image = decoder(x)
    assert image.shape == (2, bands, 12, 8)
    block = F.linear(x[:, :, 1, 1], decoder.project.weight[:, :, 0, 0], decoder.project.bias)
    torch.testing.assert_close(
        image[:, :, 4:8, 4:8].flatten(1), block.view(2, bands, 4, 4).flatten(1))
