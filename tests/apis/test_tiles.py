import math

import pytest
import torch

from cmid_mm.apis.tiles import Mosaic
from cmid_mm.datasets.tiling import cut_axis

SIZES = [(1000, 128, 32), (129, 128, 0), (129, 128, 64), (300, 128, 64), (130, 100, 50),
         (255, 128, 30), (64, 128, 32), (128, 128, 32), (5000, 512, 128), (77, 10, 3)]


@pytest.mark.parametrize(('length', 'tile', 'overlap'), SIZES)
def test_weights_of_every_pixel_sum_to_one_in_as_few_tiles_as_possible(length, tile, overlap):
    total = torch.zeros(length)
    spans = cut_axis(length, tile, overlap)
    assert len(spans) == 1 + max(0, math.ceil((length - tile) / (tile - overlap)))
    for span in spans:
        assert 0 <= span.start <= span.low < span.high <= span.stop <= length
        assert span.stop - span.start == min(tile, length)
        assert span.weights().min() >= 0
        total[span.low:span.high] += span.weights()
    torch.testing.assert_close(total, torch.ones(length))
    for before, after in zip(spans, spans[1:]):
        assert before.stop - after.start >= overlap
        assert before.settled == after.low


def test_the_border_of_a_tile_has_no_weight():
    """A quarter of the overlap on either side is not used: the model lacks context there."""
    first, second = cut_axis(200, 120, 40)
    assert (second.start, first.stop) == (80, 120)
    assert (second.low, first.high) == (90, 110)


@pytest.mark.parametrize('overlap', [-1, 65])
def test_an_overlap_that_does_not_fit_is_refused(overlap):
    with pytest.raises(ValueError, match='overlap'):
        cut_axis(500, 128, overlap)


@pytest.mark.parametrize(('height', 'width'), [(150, 210), (40, 500), (64, 64), (65, 30)])
def test_cut_and_joined_is_the_same(height, width):
    whole = torch.rand(3, height, width)
    rows, columns = (cut_axis(side, 64, 16) for side in whole.shape[1:])
    joined, mosaic = torch.full_like(whole, float('nan')), Mosaic(columns, len(whole))
    for row in rows:
        tiles = [whole[:, row.start:row.stop, span.start:span.stop] for span in columns]
        for place, part in mosaic.join(row, tiles):
            joined[:, row.low:row.settled, place] = part
    torch.testing.assert_close(joined, whole)


def test_one_tile_fades_into_the_next():
    rows, columns = cut_axis(10, 64, 16), cut_axis(100, 64, 16)
    tiles = [torch.full((1, 10, 64), 0.), torch.full((1, 10, 64), 1.)]
    joined = torch.cat([part for _, part in Mosaic(columns, 1).join(rows[0], tiles)], dim=2)
    fade = columns[0].fade_out
    expected = torch.cat([torch.zeros(columns[1].low), (torch.arange(fade) + 0.5) / fade,
                          torch.ones(100 - columns[0].high)])
    torch.testing.assert_close(joined[0], expected.expand(10, 100))


def test_only_a_seam_is_kept_between_rows():
    rows, columns = cut_axis(1000, 64, 16), cut_axis(300, 64, 16)
    mosaic = Mosaic(columns, 2)
    list(mosaic.join(rows[0], [torch.zeros(2, 64, 64)] * len(columns)))
    assert mosaic.below.shape == (2, 8, 300)
