import re

import cv2
import numpy as np
import pytest
from golden_files import Golden
from mmcv.transforms import Resize
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets.transforms.two_views import CMIDTwoViews, Crop, cut_view, view_box


def views(image, key=(0, 0, 0), **kwargs):
    transform = TRANSFORMS.build(dict(type='CMIDTwoViews', **kwargs))
    return transform(dict(img=image, sample_key=key))


@pytest.fixture(scope='module')
def noise():
    return np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def test_resized_crops_are_golden():
    golden = Golden('augment_functional')
    for key, match in golden.matching(r'crop(\d+)_resized(\d+)_linear'):
        crop = Crop(*golden['crop_params_y1_x1_h_w'][int(match[1])].tolist(), False)
        view = cut_view(golden['image'], crop, int(match[2]))
        assert np.array_equal(view, golden[key]), key


def test_flip_is_golden():
    golden = Golden('augment_functional')
    image = golden['image']
    size, width = min(image.shape[:2]), image.shape[1]
    view = cut_view(image, Crop(0, 0, size, size, True), size)
    assert np.array_equal(view, golden['hflip'][:size, width - size:])


def test_official_squash_is_golden():
    golden = Golden('augment_functional')
    for key, _ in golden.matching(r'pil_bicubic_\d+x\d+_of_whole'):
        height, width = golden[key].shape[:2]
        squash = Resize(scale=(width, height), backend='pillow', interpolation='bicubic')
        image = squash(dict(img=golden['image'].copy()))['img']
        assert np.array_equal(image, golden[key]), key


def test_boxes_are_golden():
    golden = Golden('location_grid')
    columns = re.findall(r'[a-z]\w+\((?:px|frac)\)|crop_[hw]|flip', str(golden['columns']))
    assert columns == ['crop_h', 'crop_w', 'h_start(frac)', 'w_start(frac)', 'y1(px)',
                       'x1(px)', 'flip']
    for key, match in golden.matching(r'params_N(\d+)'):
        height, width = golden[f'image_hw_N{match[1]}'].tolist()
        for h, w, row, column, top, left, flip in golden[key]:
            crop = Crop(top, left, h, w, flip)
            official = view_box(crop, height, width, 'official')
            np.testing.assert_allclose(official, (row, column, h, w, flip), rtol=1e-9)
            assert view_box(crop, height, width, 'pixel') == (top, left, h, w, flip)


def test_draws_have_the_golden_distribution():
    golden = Golden('crop_and_jitter_distribution')
    height, width = golden['image'].tolist()
    transform = CMIDTwoViews()
    count = 10000
    crops = np.array([transform.draw(key * 7919, height, width) for key in range(count)])
    top, left, h, w, flip = crops.T
    drawn = dict(area=h * w / (height * width), aspect_w_over_h=w / h, y1=top, x1=left,
                 h=h, w=w)
    # Two-sample Kolmogorov-Smirnov bound of error probability 1e-4.
    bound = 2.23 * np.sqrt(1 / count + 1 / int(golden['n']))
    levels = golden['quantile_levels']
    for name, values in drawn.items():
        quantiles, values = golden[f'quantiles_{name}'], np.sort(values)
        # The draws are discrete: a quantile may lie anywhere on a step.
        below = np.searchsorted(values, quantiles - 1e-9, 'left') / count
        up_to = np.searchsorted(values, quantiles + 1e-9, 'right') / count
        assert np.all(below - bound <= levels) and np.all(levels <= up_to + bound), name
        mean, std = golden[f'mean_std_{name}']
        assert abs(values.mean() - mean) < 5 * std * np.sqrt(1 / count + 1 / golden['n'])
        assert abs(values.std() / std - 1) < 0.03
    assert abs(flip.mean() - 0.5) < 0.02 and abs(golden['flip_freq'] - 0.5) < 0.03


@pytest.mark.parametrize('size, expected', [
    ((100, 4), (47, 0, 5, 4)), ((4, 100), (0, 47, 4, 5)), ((1, 1), (0, 0, 1, 1))])
def test_fall_back_is_the_central_crop(size, expected):
    # An area above what any allowed shape can have makes every try fail.
    transform = CMIDTwoViews(area=(1, 1), ratio=(3 / 4, 4 / 3))
    crop = transform.draw(1, *size)
    assert crop[:4] == expected


def test_corners_reach_both_ends():
    crops = np.array([CMIDTwoViews(area=(0.8, 0.8), ratio=(1, 1)).draw(key, 10, 10)
                      for key in range(300)])
    assert set(crops[:, 2]) == {9} and set(crops[:, 0]) == set(crops[:, 1]) == {0, 1}


def test_views_are_the_parts_that_their_boxes_state(noise):
    seen = set()
    for sample in range(8):
        results = views(noise, (0, 0, sample), size=32)
        for view, box in zip(results['views'], results['view_boxes'], strict=True):
            top, left, height, width, flip = box.astype(int)
            expected = cv2.resize(noise[top:top + height, left:left + width], (32, 32))
            assert np.array_equal(view, expected[:, ::-1] if flip else expected)
            seen.add(flip)
    assert seen == {0, 1}
    boxes, keys = results['view_boxes'], results['view_keys']
    assert boxes.dtype == np.float32 and boxes.shape == (2, 5)
    assert keys.dtype == np.int64 and keys.shape == (2,)


def test_choices_depend_on_seed_epoch_sample_and_view_alone(noise):
    first = views(noise, (1, 2, 3))
    again = views(noise[:, :, ::-1].copy(), (1, 2, 3))
    assert np.array_equal(first['view_boxes'], again['view_boxes'])
    assert np.array_equal(first['view_keys'], again['view_keys'])
    rows = [*first['view_boxes'], *(box for key in [(0, 2, 3), (1, 0, 3), (1, 2, 0)]
                                    for box in views(noise, key)['view_boxes'])]
    assert len({tuple(row[:4]) for row in rows}) == len(rows) == 8


def test_locations_change_the_corner_only(noise):
    pixel, official = (views(noise, (0, 0, 5), locations=kind) for kind in ('pixel', 'official'))
    assert np.array_equal(pixel['views'], official['views'])
    boxes = pixel['view_boxes']
    room = np.array(noise.shape[:2]) - boxes[:, 2:4]
    np.testing.assert_allclose(official['view_boxes'][:, :2], boxes[:, :2] / room, 1e-6)
    np.testing.assert_array_equal(official['view_boxes'][:, 2:], boxes[:, 2:])


@pytest.mark.parametrize('flip_prob', [0, 1])
def test_flip_probability(noise, flip_prob):
    boxes = [views(noise, (0, 0, sample), size=8, flip_prob=flip_prob)['view_boxes']
             for sample in range(20)]
    assert np.all(np.array(boxes)[..., 4] == flip_prob)


@pytest.mark.parametrize('bands', [1, 2, 4, 5, 13, 64, 65, 224])
def test_any_number_of_bands(noise, bands):
    image = np.resize(noise[..., :1], (50, 70, 1)) + np.arange(bands, dtype=np.uint8)
    whole = views(image, size=16)['views']
    assert all(view.shape == (16, 16, bands) for view in whole)
    for band in (0, bands - 1):
        alone = views(np.ascontiguousarray(image[..., [band]]), size=16)['views']
        assert np.array_equal(np.array(whole)[..., [band]], alone)


@pytest.mark.parametrize('shape', [(3, 5, 3), (1, 1, 3), (20, 700, 3), (224, 224, 3)])
def test_any_size_and_aspect(shape):
    for sample in range(20):
        results = views(np.full(shape, 77, np.uint8), (0, 0, sample), size=24)
        assert all(view.shape == (24, 24, 3) for view in results['views'])
        assert np.all(results['views'][0] == 77)
        corners, sides = results['view_boxes'][:, :2], results['view_boxes'][:, 2:4]
        assert np.all(sides >= 1) and np.all(corners >= 0)
        assert np.all(corners + sides <= shape[:2])


def test_an_absent_key_names_the_fix(noise):
    with pytest.raises(ValueError, match="type='KeyedSampler', shuffle=True"):
        CMIDTwoViews()(dict(img=noise))
