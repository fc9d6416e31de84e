"""Fused window attention is the attention of every OpenMMLab Swin, in values and gradients."""
import copy
import importlib
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.utils import WindowMSA
from mmpretrain.registry import MODELS
from small_models import TINY_SWIN

from cmid_mm.models.selfsup.window_attention import (
    FusedWindowAttention,
    use_fused_attention,
    window_attention,
)


@pytest.fixture
def fused_everywhere(monkeypatch):
    """On the CPU with gradient too, where the written-out attention is used otherwise."""
    monkeypatch.setattr(FusedWindowAttention, 'has_fused_kernel', lambda self, x: True)


@pytest.fixture
def addends(monkeypatch):
    """The addends of all calls of torch's attention."""
    found, attention = [], F.scaled_dot_product_attention

    def record(query, key, value, addend, *args, **kwargs):
        found.append(addend)
        return attention(query, key, value, addend, *args, **kwargs)

    monkeypatch.setattr(F, 'scaled_dot_product_attention', record)
    return found


def backbone(package='mmpretrain'):
    """A thin Swin of a package, in float64, with biases that matter."""
    torch.manual_seed(0)
    if package == 'mmpretrain':
        model = MODELS.build(dict(TINY_SWIN, window_size=4, img_size=72, pad_small_map=True))
    else:
        pytest.importorskip(package)
        swin = importlib.import_module(f'{package}.models.backbones.swin')
        model = swin.SwinTransformer(embed_dims=16, depths=(2, 2, 2, 2), window_size=4,
                                     num_heads=(1, 2, 4, 8), drop_path_rate=0.)
    model.init_weights()
    for name, parameter in model.named_parameters():
        if 'bias_table' in name:
            torch.nn.init.normal_(parameter)
    # mmpretrain's own train() returns nothing
    model.double().train()
    return model


def fused_copy(model):
    model = copy.deepcopy(model)
    assert use_fused_attention(model) == 8
    return model


def values_and_gradients(model, images):
    model.zero_grad()
    output = model(images)[-1]
    # a layer norm ends the network: a sum of squares would have no gradient
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return output.detach(), {name: parameter.grad for name, parameter in
                             model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize('package', ['mmpretrain', 'mmseg', 'mmdet'])
def test_a_whole_swin_is_the_same(package, fused_everywhere):
    # 72 x 72 px: 18 x 18 cells, which windows of 4 do not divide
    images = torch.randn(3, 3, 72, 72, dtype=torch.float64)
    plain = backbone(package)
    fused = fused_copy(plain)
    output, gradients = values_and_gradients(plain, images)
    fused_output, fused_gradients = values_and_gradients(fused, images)
    torch.testing.assert_close(fused_output, output, rtol=1e-9, atol=1e-9)
    assert fused_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-8, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(fused(images)[-1], output, rtol=1e-9, atol=1e-9)


def test_in_half_and_single_precision(fused_everywhere):
    """Within 1e-5, and under autocast as near as the plain one."""
    plain = backbone().float()
    images = torch.randn(2, 3, 72, 72)
    output, gradients = values_and_gradients(plain, images)
    errors = []
    for model in (copy.deepcopy(plain), fused_copy(plain)):
        with torch.autocast('cpu', torch.bfloat16):
            rough, rough_gradients = values_and_gradients(model, images)
        name = 'stages.0.blocks.1.attn.w_msa.relative_position_bias_table'
        errors.append([(rough - output).norm() / output.norm(),
                       (rough_gradients[name] - gradients[name]).norm()
                       / gradients[name].norm()])
    for error, fused_error in zip(*errors):
        assert 0 < fused_error < 1.5 * error + 1e-3
    fused_output, fused_gradients = values_and_gradients(model, images)
    assert (fused_output - output).norm() < 1e-5 * output.norm()
    for name, gradient in gradients.items():
        assert (fused_gradients[name] - gradient).norm() < 1e-5 * gradient.norm() + 1e-6, name


@pytest.mark.parametrize('masks', [0, 4])
def test_the_addend_is_small_and_fit_for_the_fused_kernel(masks, addends):
    """Cast before it is repeated for every window; only contiguous ones have a kernel."""
    windows, cells, heads = 32, 6, 2
    qkv = torch.randn(windows, cells, 3, heads, 3).bfloat16()
    # as the module makes it of its table
    bias = torch.randn(cells, cells, heads).permute(2, 0, 1)
    mask = torch.randn(masks, cells, cells) if masks else None
    window_attention(qkv, bias, mask, 0.7)
    addend, = addends
    assert addend.dtype == torch.bfloat16 and addend.stride(-1) == 1
    numbers = (windows if masks else 1) * heads * cells**2
    assert addend.untyped_storage().nbytes() == numbers * addend.itemsize


def test_on_a_cpu_passes_with_gradient_use_the_written_out_attention(addends):
    plain = backbone()
    fused = fused_copy(plain)
    images = torch.randn(2, 3, 72, 72, dtype=torch.float64)
    output, gradients = values_and_gradients(plain, images)
    fused_output, fused_gradients = values_and_gradients(fused, images)
    assert torch.equal(fused_output, output) and not addends
    assert all(torch.equal(fused_gradients[name], gradients[name]) for name in gradients)
    with torch.no_grad():
        fused(images)
    assert len(addends) == 8


def test_parameters_names_and_initialisation_stay_the_same():
    model = backbone()
    before, keys = dict(model.named_parameters()), list(model.state_dict())
    original = copy.deepcopy(model)
    use_fused_attention(model)
    assert list(model.state_dict()) == keys
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert use_fused_attention(model) == 0
    pickle.loads(pickle.dumps(model))
    for either in (original, model):
        torch.manual_seed(1)
        for module in either.modules():
            module._is_init = False
        either.init_weights()
    for name, parameter in original.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name


def test_dropout_of_weights_is_kept(fused_everywhere):
    torch.manual_seed(0)
    fused = FusedWindowAttention(WindowMSA(8, (2, 2), 2, attn_drop=0.5))
    x = torch.randn(200, 4, 8)
    assert not torch.equal(fused(x), fused(x))
    mean = sum(fused(x) for _ in range(400)) / 400
    fused.eval()
    torch.testing.assert_close(mean, fused(x), rtol=0, atol=0.15)
    assert torch.equal(fused(x), fused(x))
