"""The pictures of a config show the views of its training."""
import copy

import numpy as np
import pytest
import torch
from tiny_run import tiny_config

from cmid_mm.datasets.transforms.loading import LoadRSImage
from cmid_mm.datasets.transforms.two_views import CMIDTwoViews, cut_view
from cmid_mm.utils.keyed_random import SampleIndex, view_key
from cmid_mm.visualization.panels import COLOURS, enlarge
from cmid_mm.visualization.views import (
    VIEW_HEADS,
    ViewBrowser,
    cell_centre,
    cells_outlined,
    outlined,
)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp('views'))


@pytest.fixture(scope='module')
def browser(config):
    return ViewBrowser(config)


def crops_of(sample, height=72, width=80, epoch=0):
    return [CMIDTwoViews(size=64).draw(view_key(0, epoch, sample, view), height, width)
            for view in range(2)]


def test_views_are_those_of_the_training(browser, config):
    rows = browser.rows([3, 5])
    assert len(rows) == 2 and {len(row) for row in rows} == {len(VIEW_HEADS)}
    path = browser.dataset.get_data_info(5)['img_path']
    image = LoadRSImage().transform(dict(img_path=path))['img']
    first = enlarge(cut_view(image, crops_of(5)[0], 64), 192)
    # through normalisation and back
    assert np.abs(rows[1][1].astype(int) - first).max() <= 1
    second = enlarge(cut_view(image, crops_of(5)[1], 64), 192)
    assert np.abs(rows[1][2].astype(int) - second).mean() > 3


def test_open_statistics_are_measured(browser):
    views = torch.stack([sample['inputs'] for sample in (
        browser.dataset[SampleIndex(i, 0, 0)] for i in range(16))]).double()
    assert torch.allclose(browser.preprocessor.mean.double(), views.mean((0, 1, 3, 4)), atol=1e-3)
    assert browser.preprocessor.std.min() > 10


def test_what_changes_a_view(browser):
    rows = browser.rows([2, 3])
    assert all(np.array_equal(*pair) for pair in zip(rows[0], browser.rows([2])[0]))
    for other in (browser.rows([2], epoch=1), browser.rows([2], seed=1)):
        assert not any(np.array_equal(*pair) for pair in zip(rows[0], other[0]))


def test_crops_are_outlined_where_they_lie():
    image = np.full((72, 80, 3), 7, np.uint8)
    drawn = outlined(image, (0, 0, 5), CMIDTwoViews(size=64))
    assert (image == 7).all()
    for colour, crop in zip(COLOURS, crops_of(5)):
        rows, columns = np.nonzero((drawn == colour).all(2))
        # of the first, what the second has not drawn over
        assert crop.top <= rows.min() and rows.max() < crop.top + crop.height
        assert crop.left <= columns.min() and columns.max() < crop.left + crop.width
    # the second is whole, two pixels wide
    assert (drawn[crop.top:crop.top + 2, crop.left:crop.left + crop.width] == colour).all()
    bottom = crop.top + crop.height
    assert (drawn[bottom - 2:bottom, crop.left:crop.left + crop.width] == colour).all()
    assert len(rows) == 4 * (crop.height + crop.width) - 16
    assert (drawn == 7).all(2).sum() > drawn[..., 0].size / 2


def test_masked_cells_are_outlined():
    mask = torch.tensor([[True, False], [False, False]])
    image = np.full((8, 12, 3), 90, np.uint8)
    drawn = cells_outlined(image.copy(), mask)
    assert (drawn[0, :6] == 150).all() and (cells_outlined(image + 9, mask)[0, :6] == 40).all()
    changed = (drawn != 90).any(2)
    assert changed[:4, :6].sum() == 4 * 6 - 2 * 4 and not changed[4:].any()
    assert not changed[:, 6:].any()
    shaded = cells_outlined(image.copy(), mask, shade=True)
    assert (shaded[1:3, 1:5] == 141).all() and (shaded[4:] == 90).all()


def test_masked_cells_have_the_mean(browser):
    panel = browser.rows([5])[0][3]
    # 8 x 8 cells of 8 px, three times enlarged
    cells = panel.reshape(8, 24, 8, 24, 3).transpose(0, 2, 1, 3, 4).reshape(64, 24, 24, 3)
    masked = [cell for cell in cells
              if (cell[0] == cell[0, 0]).all() and cell[0, 0, 0] in (40, 150)]
    assert len(masked) == 39
    assert len({tuple(pixel) for cell in masked for pixel in cell[1:-1, 1:-1].reshape(-1, 3)}) == 1


def test_matches_are_marked_in_the_views_alone(browser):
    plain, marked = browser.rows([4])[0], browser.rows([4], matches=True)[0]
    changed = [not np.array_equal(*pair) for pair in zip(plain, marked)]
    assert changed == [False, True, True, False, False]
    # 2 x 2 cells, each in a colour that is found in the other view too
    colours = [tuple(marked[1][row, column]) for row in (48, 144) for column in (48, 144)]
    assert len(set(colours)) == 4
    other = {tuple(marked[2][row, column]) for row in (48, 144) for column in (48, 144)}
    assert len(other & set(colours)) >= 2
    assert cell_centre(5, (2, 4), (10, 20)) == (7.5, 7.5)


def test_joined_data_sets_are_browsed(config):
    joined = copy.deepcopy(config)
    part = joined.train_dataloader.dataset
    joined.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, part])
    rows = ViewBrowser(joined).rows([5, 21])
    # the same image, but another sample and so other views
    assert not np.array_equal(rows[0][1], rows[1][1])


def test_other_configs_are_refused(config):
    from mmengine.config import Config
    with pytest.raises(ValueError, match='no train_dataloader or its model is no CMID'):
        ViewBrowser(Config(dict(model=dict(type='ResNet'))))
    other = copy.deepcopy(config)
    other.train_dataloader.dataset.pipeline = [dict(type='LoadRSImage')]
    with pytest.raises(ValueError, match='no CMIDTwoViews'):
        ViewBrowser(other)
