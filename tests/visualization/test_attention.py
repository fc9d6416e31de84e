"""Attention weights are those of the modules, at the right cells."""
import copy

import numpy as np
import pytest
import torch
from mmpretrain.models.utils.attention import ShiftWindowMSA
from mmpretrain.registry import MODELS
from PIL import Image
from small_models import TINY_SWIN

from cmid_mm.models.selfsup.window_attention import use_fused_attention
from cmid_mm.visualization.attention import (
    attention_maps,
    attention_weights,
    join_windows,
    overlay,
    save_attention,
)

TINY_VIT = dict(
    type='VisionTransformer', img_size=32, patch_size=8, out_type='featmap',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32))


def build(settings):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(settings))
    model.init_weights()
    for parameter in model.parameters():
        # sharp attention: with fresh weights all places get the same
        torch.nn.init.normal_(parameter, std=0.3)
    model.eval()
    return model


@pytest.fixture(scope='module')
def swin():
    return build(TINY_SWIN)


@pytest.fixture(scope='module')
def vit():
    return build(TINY_VIT)


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64)


def test_weights_of_tokens_are_those_of_the_module(vit):
    attention = vit.layers[0].attn
    tokens = torch.randn(2, 17, 16)
    weights = attention_weights(attention, tokens)
    assert weights.shape == (2, 2, 17, 17)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 17))
    value = attention.qkv(tokens).view(2, 17, 3, 2, 8)[:, :, 2].transpose(1, 2)
    made = attention.proj((weights @ value).transpose(1, 2).flatten(2))
    assert torch.allclose(made, attention(tokens), atol=1e-4)
    assert weights.std() > 0.02


def test_weights_of_windows_are_the_softmax_of_the_module(swin, images):
    found, expected, handles = [], [], []
    for block in swin.stages[1].blocks:
        handles += [
            block.attn.w_msa.softmax.register_forward_hook(
                lambda module, args, output: expected.append(output)),
            block.attn.w_msa.register_forward_hook(
                lambda module, args, kwargs, output: found.append(
                    attention_weights(module, args[0], kwargs['mask'])), with_kwargs=True)]
    swin(images)
    for handle in handles:
        handle.remove()
    assert len(found) == len(expected) == 2
    for weights, softmax in zip(found, expected):
        assert torch.allclose(weights, softmax, atol=1e-6)
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:-1]))
    # in the shifted block some pairs are kept apart
    assert expected[1].min() < 1e-20 < expected[0].min()


def test_fused_attention_shows_the_same(swin, images):
    fused = copy.deepcopy(swin)
    assert use_fused_attention(fused) == 8
    shown, same = attention_maps(fused, images), attention_maps(swin, images)
    assert list(shown) == [f'stage {i}' for i in range(1, 5)]
    for name, side in zip(shown, (16, 8, 4, 2)):
        assert shown[name].shape == (2, side, side)
        assert np.allclose(shown[name], same[name], atol=1e-5)
        # every row sums to one, so a place receives one on average
        assert shown[name].mean() == pytest.approx(1, abs=1e-5)
        assert shown[name].std() > 0.01


@pytest.mark.parametrize('size, side, shift', [((6, 6), 3, 0), ((6, 9), 3, 1), ((7, 8), 3, 1)])
def test_windows_are_joined_where_they_were_cut(size, side, shift):
    """mmpretrain's own module cuts, shifts and pads."""
    module = ShiftWindowMSA(4, 1, side, shift, pad_small_map=True)
    number = torch.arange(1., 2 * size[0] * size[1] + 1)
    query = number.view(2, -1, 1).expand(-1, -1, 4)
    cut = []
    module.w_msa.register_forward_hook(lambda module, args, output: cut.append(args[0][..., 0]))
    module(query, size)
    assert torch.equal(join_windows(cut[0], size, side, shift), number.view(2, *size))


def test_heads_of_a_vit(vit):
    images = torch.randn(2, 3, 32, 48)
    mean, token = attention_maps(vit, images), attention_maps(vit, images, 'cls')
    assert list(mean) == ['mean of heads', 'head 1', 'head 2']
    for maps in (mean, token):
        assert maps['head 1'].shape == (2, 4, 6)
        assert np.allclose(maps['mean of heads'], (maps['head 1'] + maps['head 2']) / 2)
        # in equal shares, less what the class token keeps for itself
        assert 0.3 < maps['head 1'].mean() < 1
    assert not np.allclose(mean['head 1'], token['head 1'])
    plain = build(dict(TINY_VIT, with_cls_token=False))
    assert attention_maps(plain, images)['head 1'].mean() == pytest.approx(1, abs=1e-5)
    output = build(dict(TINY_VIT, out_type='cls_token'))
    assert np.allclose(attention_maps(output, images)['head 1'], token['head 1'])


def test_the_map_is_largest_where_all_attention_goes(vit):
    """Queries match the key of one patch alone: all attention goes there."""
    drawn = copy.deepcopy(vit)
    drawn.layers[-1].ln1 = torch.nn.Identity()
    drawn.layers[0] = torch.nn.Identity()
    drawn.pre_norm = torch.nn.Identity()
    torch.nn.init.zeros_(drawn.pos_embed)
    torch.nn.init.zeros_(drawn.cls_token)
    torch.nn.init.constant_(drawn.patch_embed.projection.weight, 1 / 192)
    torch.nn.init.zeros_(drawn.patch_embed.projection.bias)
    attention = drawn.layers[-1].attn
    weight, bias = torch.zeros(48, 16), torch.zeros(48)
    weight[16:32], bias[:16] = torch.eye(16), 10.
    attention.qkv.load_state_dict(dict(weight=weight, bias=bias))
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, 8:16, 24:32] = 5
    heat = attention_maps(drawn, images)['mean of heads'][0]
    # second row, last column, all 16 shares
    assert heat[1, 3] == pytest.approx(16, abs=0.01)


def test_overlay_is_bright_where_attention_is(tmp_path):
    image = np.full((40, 60, 3), 100, np.uint8)
    heat = np.array([[0.2, 0.2], [0.2, 1.9]])
    drawn = overlay(image, heat).astype(int).sum(2)
    assert drawn.shape == (40, 60) and drawn[35, 55] > drawn[5, 5] + 150
    assert np.array_equal(overlay(image, heat), overlay(image, 3 * heat + 1))
    assert (overlay(image, np.ones((2, 2))) == overlay(image, np.ones((2, 2)))[0, 0]).all()
    maps = {name: heat[None] for name in ('mean of heads', 'head 1', 'head 2')}
    save_attention([image], [maps], str(tmp_path / 'all.png'))
    save_attention([image], [maps], str(tmp_path / 'one.png'), heads=1)
    assert Image.open(tmp_path / 'all.png').width > Image.open(tmp_path / 'one.png').width
