"""Block masks: counts, law, repetition and fill of the published generator."""
import numpy as np
import pytest
import torch
from golden_files import Golden

from cmid_mm.models.preprocessing.block_mask import (
    block_mask,
    fill_masked,
    mask_of_lowest,
    upsample_mask,
)
from cmid_mm.utils.keyed_random import Stream, uniform, view_key


@pytest.fixture(scope='module')
def golden():
    return Golden('mask_generator')


def keys_of(count):
    return torch.tensor([view_key(3, 0, sample, 0) for sample in range(count)])


def rows_of(golden):
    columns = [name.strip() for name in str(golden['table_columns']).split(',')]
    return [dict(zip(columns, row, strict=True)) for row in golden['table']]


def test_counts_and_sizes_of_the_table(golden):
    for row in rows_of(golden):
        cells = int(row['input_size'] // row['mask_patch'])
        assert cells == row['rand_size']
        mask = block_mask(keys_of(5), (cells, cells), row['ratio'])
        assert mask.dtype == torch.bool
        assert mask.shape[1] * mask.shape[2] == row['token_count']
        assert mask.sum((1, 2)).tolist() == [row['mask_count']] * 5
        large = upsample_mask(mask, int(row['scale']))
        assert large.shape[1:] == (row['mask_h'], row['mask_w'])
        assert large.sum((1, 2)).tolist() == [row['masked_tokens']] * 5
        assert torch.equal(large[:, ::int(row['scale']), ::int(row['scale'])], mask)


def test_examples_follow_from_the_places_in_numpys_permutation(golden):
    examples = golden.tensor('example_masks_npseed_plus5', torch.bool)
    # the examples are of one of the table's settings
    row = next(row for row in rows_of(golden)
               if (row['mask_h'], row['mask_w']) == examples.shape[1:]
               and row['masked_tokens'] == examples[0].sum())
    cells, scale = int(row['rand_size']), int(row['scale'])
    random = np.random.RandomState(int(Golden('heads_step')['seed']) + 5)
    places = [random.permutation(cells**2).argsort() for _ in examples]
    scores = torch.from_numpy(np.stack(places)).view(-1, cells, cells)
    mask = mask_of_lowest(scores, row['ratio'])
    assert torch.equal(upsample_mask(mask, scale), examples)


def test_cells_are_drawn_without_preference(golden):
    expected = golden.tensor('cell_frequency_4000')
    rows, columns = expected.shape
    share = (expected.mean() * rows * columns).round() / (rows * columns)
    deviation = (share * (1 - share) / 4000).sqrt()
    # just below the share, so that rounding up gives it
    drawn = block_mask(keys_of(4000), (rows, columns), share.item() - 1e-6)
    frequency = drawn.double().mean(0)
    assert frequency.mean().item() == pytest.approx(share.item(), abs=1e-9)
    assert (frequency - share).abs().max() < 4 * deviation
    # Chi-square of the cells; n - 1 degrees, its variance is twice that.
    degrees = rows * columns - 1
    statistic = ((frequency - share) ** 2).sum() / deviation**2
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5
    # Pairs: without replacement every pair has the covariance -share (1 - share) / (n-1).
    flat = drawn.double().flatten(1)
    pairs = torch.cov(flat.T)[~torch.eye(rows * columns, dtype=torch.bool)]
    assert pairs.mean().item() == pytest.approx(
        (-share * (1 - share) / degrees).item(), abs=1e-4)
    # a maximum over all pairs of 4000 draws scatters by a third
    assert pairs.abs().max() < 1.6 * golden['cell_pair_cov_maxabs']


def test_fill_of_the_published_code(golden):
    image = golden.tensor('fill_img')[None]
    mask = golden.tensor('fill_mask', torch.bool)[None]
    mask = upsample_mask(mask, image.shape[-1] // mask.shape[-1])
    filled = fill_masked(image, mask)
    torch.testing.assert_close(filled, golden.tensor('fill_out')[None], rtol=1e-6, atol=1e-6)
    kept = ~mask[:, None].expand_as(image)
    assert torch.equal(filled[kept], image[kept])


def test_fill_zero_and_none():
    images = torch.randn(2, 3, 8, 8)
    before = images.clone()
    mask = upsample_mask(block_mask(keys_of(2), (2, 2), 0.5), 4)
    masked = mask[:, None].expand_as(images)
    zeroed = fill_masked(images, mask, fill='zero')
    assert (zeroed[masked] == 0).all()
    assert torch.equal(zeroed[~masked], images[~masked])
    assert torch.equal(fill_masked(images, mask, fill=None), images)
    assert torch.equal(images, before)
    assert fill_masked(images.half(), mask).dtype == torch.float16


@pytest.mark.parametrize('grid,ratio,masked', [
    ((7, 7), 0.6, 30), ((3, 5), 0.6, 9), ((1, 1), 0.6, 1), ((4, 4), 0, 0), ((4, 4), 1, 16)])
def test_any_grid_and_ratio(grid, ratio, masked):
    mask = block_mask(keys_of(4), grid, ratio)
    assert mask.shape == (4, *grid)
    assert mask.sum((1, 2)).tolist() == [masked] * 4


def test_mask_is_a_function_of_the_key():
    keys = keys_of(8)
    mask = block_mask(keys, (7, 7), 0.6)
    assert torch.equal(block_mask(keys[[5, 1]], (7, 7), 0.6), mask[[5, 1]])
    assert len({tuple(row.flatten().tolist()) for row in mask}) == 8
    # drawn from a stream of their own
    others = [mask_of_lowest(uniform(keys, stream, 7, 7), 0.6) for stream in Stream]
    assert [torch.equal(mask, other) for other in others] == [
        stream is Stream.BLOCK_MASK for stream in Stream]


def test_mask_of_lowest_breaks_ties_by_position():
    scores = torch.tensor([[[0.5, 0.1], [0.1, 0.1]]])
    assert mask_of_lowest(scores, 0.5).tolist() == [[[False, True], [True, False]]]


def test_nothing_waits_for_the_device():
    # Tensors of the meta device have no values, so whatever reads one fails there.
    keys = torch.empty(3, dtype=torch.int64, device='meta')
    mask = upsample_mask(block_mask(keys, (7, 7), 0.6), 32)
    images = torch.empty(3, 3, 224, 224, device='meta')
    for fill in ('mean', 'zero'):
        assert fill_masked(images, mask, fill).shape == images.shape
