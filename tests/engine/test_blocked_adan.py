"""Block by block, Adan's step is mmpretrain's to the last bit."""
import copy

import pytest
import torch
from mmpretrain.engine.optimizers.adan_t import Adan

from cmid_mm.engine.optimizers import blocked_adan
from cmid_mm.engine.optimizers.blocked_adan import BlockedAdan


def parameters():
    """A matrix of several blocks, a vector, channels last, and one without gradient."""
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    tensors = [torch.randn(50, 30), torch.randn(7), kernel, torch.randn(3)]
    return [torch.nn.Parameter(tensor) for tensor in tensors]


def optimisers(**options):
    """mmpretrain's and ours, on parameters of the same values, in two groups."""
    found = []
    for kind in (Adan, BlockedAdan):
        own = parameters()
        groups = [dict(params=own[:1] + own[2:], weight_decay=0.02), dict(params=own[1:2])]
        found.append((kind(groups, lr=0.01, **options), own))
    return found


def take_steps(pairs, steps, first=0):
    for step in range(first, first + steps):
        torch.manual_seed(100 + step)
        # the last one has none
        gradients = [torch.randn(parameter.shape) for parameter in pairs[0][1][:-1]]
        for optimiser, own in pairs:
            for parameter, gradient in zip(own, gradients):
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
            optimiser.step()


def assert_equal(pairs):
    (_, plain), (_, ours) = pairs
    for one, other in zip(plain, ours):
        assert torch.equal(one, other)
    for key, state in pairs[0][0].state_dict()['state'].items():
        for name, value in state.items():
            assert torch.equal(pairs[1][0].state_dict()['state'][key][name], value), name


@pytest.mark.parametrize('block', [64, 1500, 2**16])
@pytest.mark.parametrize('options', [{}, dict(no_prox=True), dict(betas=(0.9, 0.8, 0.95))],
                         ids=['default', 'no_prox', 'betas'])
def test_bitwise(block, options, monkeypatch):
    monkeypatch.setattr(blocked_adan, '_BLOCK', block)
    # mmpretrain's multi-tensor code knows no no_prox of its own rounding
    pairs = optimisers(foreach='no_prox' not in options, **options)
    before = copy.deepcopy([parameter.detach() for parameter in pairs[0][1]])
    take_steps(pairs, 4)
    if 'no_prox' in options:
        for one, other in zip(pairs[0][1], pairs[1][1]):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
    else:
        assert_equal(pairs)
    assert all(not torch.equal(old, new) for old, new in zip(before, pairs[1][1][:-1]))
    assert torch.equal(before[-1], pairs[1][1][-1])


def test_goes_on_from_mmpretrains_state():
    pairs = optimisers()
    take_steps(pairs, 2)
    plain, ours = pairs
    ours[0].load_state_dict(copy.deepcopy(plain[0].state_dict()))
    take_steps(pairs, 2, first=2)
    assert_equal(pairs)


def test_state_of_another_memory_format():
    pairs = optimisers()
    take_steps(pairs, 1)
    state = pairs[1][0].state[pairs[1][1][2]]
    for name, value in state.items():
        state[name] = value.contiguous()
    take_steps(pairs, 2, first=1)
    assert_equal(pairs)


def test_gradients_are_left_as_they_are():
    pairs = optimisers()
    take_steps(pairs, 2)
    for one, other in zip(pairs[0][1][:-1], pairs[1][1][:-1]):
        assert torch.equal(one.grad, other.grad)


def test_a_limit_on_gradients_takes_mmpretrains_way():
    pairs = optimisers(max_grad_norm=0.5)
    take_steps(pairs, 3)
    assert_equal(pairs)
