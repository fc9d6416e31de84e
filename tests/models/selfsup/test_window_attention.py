"""Fused window attention is the attention of every OpenMMLab Swin, in values and gradients."""
import copy
import importlib
import pickle

import pytest
import torch
from mmpretrain.models.utils.attention import ShiftWindowMSA, WindowMSA
from mmpretrain.registry import MODELS
from small_models import TINY_SWIN

from cmid_mm.models.selfsup import window_attention
from cmid_mm.models.selfsup.window_attention import (
    FusedWindowAttention,
    shift_mask,
    use_fused_attention,
)


def backbone(package):
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


def values_and_gradients(model, images):
    model.zero_grad()
    output = model(images)[-1]
    # a layer norm ends the network: a sum of squares would have no gradient
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return output.detach(), {name: parameter.grad for name, parameter in
                             model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize('package', ['mmpretrain', 'mmseg', 'mmdet'])
@pytest.mark.parametrize('scores', [1, 2**9, 2**20])
def test_a_whole_swin_is_the_same(package, scores, monkeypatch):
    """Chunks of one window, of some of an image's windows, and of several images."""
    monkeypatch.setattr(window_attention, '_SCORES_IN_CACHE', scores)
    # 72 x 72 px: 18 x 18 cells, which windows of 4 do not divide
    images = torch.randn(3, 3, 72, 72, dtype=torch.float64)
    plain = backbone(package)
    fused = copy.deepcopy(plain)
    assert use_fused_attention(fused) == 8
    output, gradients = values_and_gradients(plain, images)
    fused_output, fused_gradients = values_and_gradients(fused, images)
    torch.testing.assert_close(fused_output, output, rtol=1e-9, atol=1e-9)
    assert fused_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-8, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(fused(images)[-1], output, rtol=1e-9, atol=1e-9)


def test_in_single_precision_within_1e_5():
    plain = backbone('mmpretrain').float()
    fused = copy.deepcopy(plain)
    use_fused_attention(fused)
    images = torch.randn(2, 3, 72, 72)
    output, gradients = values_and_gradients(plain, images)
    fused_output, fused_gradients = values_and_gradients(fused, images)
    assert (fused_output - output).norm() < 1e-5 * output.norm()
    for name, gradient in gradients.items():
        assert (fused_gradients[name] - gradient).norm() < 1e-5 * gradient.norm() + 1e-6, name


def test_gradients_by_differences():
    qkv = torch.randn(4, 6, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, 6, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.randn(2, 6, 6, dtype=torch.float64)
    for given in (mask, None):
        assert torch.autograd.gradcheck(
            lambda qkv, bias, given=given: window_attention.window_attention(
                qkv, bias, given, 0.7), (qkv, bias))


def test_under_autocast_it_is_as_near_as_the_plain_one():
    exact = backbone('mmpretrain').float()
    fused = copy.deepcopy(exact)
    use_fused_attention(fused)
    images = torch.randn(2, 3, 72, 72)
    output, gradients = values_and_gradients(exact, images)
    errors = []
    for model in (copy.deepcopy(exact), fused):
        with torch.autocast('cpu', torch.bfloat16):
            rough, rough_gradients = values_and_gradients(model, images)
        name = 'stages.0.blocks.1.attn.w_msa.relative_position_bias_table'
        errors.append([(rough - output).norm() / output.norm(),
                       (rough_gradients[name] - gradients[name]).norm()
                       / gradients[name].norm()])
    for plain, ours in zip(*errors):
        assert 0 < ours < 1.5 * plain + 1e-3


def test_parameters_stay_the_same_objects_under_the_same_names():
    model = backbone('mmpretrain')
    before = dict(model.named_parameters())
    keys = list(model.state_dict())
    use_fused_attention(model)
    assert list(model.state_dict()) == keys
    after = dict(model.named_parameters())
    assert all(after[name] is before[name] for name in before)
    assert use_fused_attention(model) == 0
    pickle.loads(pickle.dumps(model))


def test_initialisation_reaches_it():
    model = backbone('mmpretrain').float()
    use_fused_attention(model)
    torch.manual_seed(1)
    model._is_init = False
    model.init_weights()
    plain = backbone('mmpretrain').float()
    torch.manual_seed(1)
    plain._is_init = False
    plain.init_weights()
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name


def test_dropout_of_weights_is_kept():
    torch.manual_seed(0)
    plain = WindowMSA(8, (2, 2), 2, attn_drop=0.5)
    fused = FusedWindowAttention(plain)
    x = torch.randn(200, 4, 8)
    fused.train()
    one, other = fused(x), fused(x)
    assert not torch.equal(one, other)
    mean = torch.stack([fused(x) for _ in range(400)]).mean(0)
    fused.eval()
    torch.testing.assert_close(mean, fused(x), rtol=0, atol=0.15)
    assert torch.equal(fused(x), fused(x))


@pytest.mark.parametrize('shape, window, shift',
                         [((8, 8), 4, 2), ((21, 14), 7, 3), ((4, 12), 4, 1), ((6, 6), 3, 0)])
def test_the_mask_of_the_shift_is_mmpretrains(shape, window, shift):
    expected = ShiftWindowMSA.get_attn_mask(shape, window, shift)
    ours = shift_mask(shape, window, shift)
    assert ours is expected is None or torch.equal(ours, expected)
    assert shift_mask(shape, window, shift) is ours


def test_a_mask_made_in_inference_mode_serves_a_training():
    shift_mask.cache_clear()
    model = backbone('mmpretrain')
    use_fused_attention(model)
    images = torch.randn(1, 3, 72, 72, dtype=torch.float64)
    with torch.inference_mode():
        model(images)
    model(images)[-1].sum().backward()
