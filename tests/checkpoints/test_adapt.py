"""Interpolation of positions and window tables, stems on other bands."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from frameworks import build, swin, vit
from PIL import Image

from cmid_mm.checkpoints.adapt import (
    adapt,
    adapt_stem,
    resize_bias_table,
    resize_positions,
)


def pillow(grid, rows, columns):
    """Bicubic by Pillow, an independent implementation; (h, w) -> (rows, columns)."""
    image = Image.fromarray(grid.numpy().astype(np.float32))
    return torch.from_numpy(np.array(image.resize((columns, rows), Image.BICUBIC)))


def resized_by_pillow(positions, grid, size):
    """(1, h * w, C) -> (1, rows * columns, C)."""
    maps = [pillow(channel, *size) for channel in positions[0].t().unflatten(1, grid)]
    return torch.stack(maps).flatten(1).t()[None]


def ramp(rows, columns):
    """(1, rows * columns, 2): row and column of every place."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
    return torch.stack([y, x], dim=-1).reshape(1, -1, 2).float()


@pytest.mark.parametrize('size', [(10, 5), (3, 14)])
def test_positions_agree_with_pillow_and_keep_the_class_token(size):
    positions = torch.randn(1, 1 + 49, 8)
    resized = resize_positions(positions, size)
    torch.testing.assert_close(
        resized[:, 1:], resized_by_pillow(positions[:, 1:], (7, 7), size), rtol=1e-5, atol=1e-5)
    assert torch.equal(resized[:, 0], positions[:, 0])


def test_ramps_and_equal_sizes_are_kept():
    """Twice as many places lie half a place apart, starting a quarter before."""
    resized = resize_positions(ramp(8, 8), (16, 16)).unflatten(1, (16, 16))
    expected = (ramp(16, 16).unflatten(1, (16, 16)) - 0.5) / 2
    torch.testing.assert_close(resized[:, 4:-4, 4:-4], expected[:, 4:-4, 4:-4])
    positions, table = torch.randn(1, 17, 3), torch.randn(49, 3)
    assert torch.equal(resize_positions(positions, (4, 4)), positions)
    assert torch.equal(resize_bias_table(table, 7), table)


def test_bias_table_is_cubic_along_both_offsets_and_keeps_its_centre():
    table = torch.randn(13 * 13, 4)
    resized = resize_bias_table(table, 23)
    expected = resized_by_pillow(table[None], (13, 13), (23, 23))[0]
    torch.testing.assert_close(resized, expected, rtol=1e-5, atol=1e-5)
    # offset (0, 0), a place attending to itself, is in the middle of both
    torch.testing.assert_close(resized[23 * 23 // 2], table[13 * 13 // 2])


@pytest.mark.parametrize('bands', [1, 2, 3, 4, 5, 6, 10])
def test_stem_gives_the_same_response_to_grey_images(bands):
    weight = torch.randn(5, 3, 7, 7)
    adapted = adapt_stem(weight, bands)
    assert adapted.shape == (5, bands, 7, 7)
    grey = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(F.conv2d(grey.expand(-1, bands, -1, -1), adapted),
                               F.conv2d(grey.expand(-1, 3, -1, -1), weight),
                               rtol=1e-4, atol=1e-4)


def test_stem_formula():
    weight = torch.tensor([1., 10., 100.]).view(1, 3, 1, 1)
    expected = {1: [111.], 2: [101., 10.], 3: [1., 10., 100.], 4: [.5, 10., 100., .5],
                6: [.5, 5., 50.] * 2}
    for bands, values in expected.items():
        assert adapt_stem(weight, bands).flatten().tolist() == values


def test_only_the_first_convolution_changes_its_bands():
    model = build('mmpretrain', dict(type='ResNet', depth=18, in_channels=4))
    own = model.state_dict()
    kind, weight = adapt(model, 'conv1.weight', own['conv1.weight'][:, :3], own['conv1.weight'])
    assert kind == 'stem of 3 bands to 4' and weight.shape == (64, 4, 7, 7)
    other = own['layer1.0.conv1.weight']
    assert adapt(model, 'layer1.0.conv1.weight', other[:, :3], other) is None


@pytest.mark.parametrize('framework', ['mmpretrain', 'mmseg'])
def test_positions_for_a_long_image(framework):
    """The grid of the model comes from its settings and need not be square."""
    model = build(framework, vit(framework, (32, 128)))
    own, file = model.state_dict()['pos_embed'], torch.randn(1, 1 + 36, 16)
    assert own.shape == (1, 1 + 2 * 8, 16)
    kind, adapted = adapt(model, 'pos_embed', file, own)
    assert kind == 'position embeddings'
    torch.testing.assert_close(
        adapted[:, 1:], resized_by_pillow(file[:, 1:], (6, 6), (2, 8)), rtol=1e-5, atol=1e-5)


def test_class_token_that_only_one_of_the_two_has():
    with_token = build('mmpretrain', vit('mmpretrain', 96))
    without = build('mmpretrain', vit('mmpretrain', 96, with_cls_token=False))
    own, bare = (model.state_dict()['pos_embed'] for model in (with_token, without))
    assert own.shape[1] == 37 and bare.shape[1] == 36
    own[:, 0] = 7.
    file = torch.randn(1, 17, 16)
    places = resize_positions(file, (6, 6))[:, 1:]
    assert torch.equal(adapt(without, 'pos_embed', file, bare)[1], places)
    adapted = adapt(with_token, 'pos_embed', file[:, 1:], own)[1]
    assert torch.equal(adapted[:, 1:], places) and torch.all(adapted[:, 0] == 7)
    # nothing to interpolate, only the token to drop
    assert torch.equal(adapt(without, 'pos_embed', torch.cat([file[:, :1], places], 1), bare)[1],
                       places)


def test_absolute_positions_of_swin_on_a_larger_image():
    model = build('mmpretrain', swin('mmpretrain', use_abs_pos_embed=True))
    own, file = model.state_dict()['absolute_pos_embed'], ramp(8, 8).repeat(1, 1, 8)
    adapted = adapt(model, 'absolute_pos_embed', file, own)[1]
    assert torch.equal(adapted, resize_positions(file, (16, 16)))


def test_what_no_rule_covers():
    model = build('mmpretrain', vit('mmpretrain'))
    own = model.state_dict()['pos_embed']
    assert adapt(model, 'pos_embed', torch.randn(1, 17, 8), own) is None
    assert adapt(model, 'pos_embed', torch.randn(1, 1 + 2 * 10, 16), own) is None
    table = torch.zeros(9, 2)
    assert adapt(model, 'x.relative_position_bias_table', torch.zeros(25, 3), table) is None
    assert adapt(model, 'x.relative_position_bias_table', torch.zeros(21, 2), table) is None
