"""Loading of images and of pairs of two dates."""
import random

import numpy as np
import pytest
from damaged_images import refused as one_line
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from cmid_mm.datasets.file_limits import ImageError


def load(path, **kwargs):
    results = TRANSFORMS.build(dict(type='LoadRSImage', **kwargs))(dict(img_path=path))
    image = results['img']
    assert image.dtype == np.uint8 and image.ndim == 3 and image.flags.c_contiguous
    assert results['img_shape'] == results['ori_shape'] == image.shape[:2]
    return image


def refused(path, match, **kwargs):
    one_line(lambda: load(path, **kwargs), ImageError, match, path)


@pytest.fixture
def deep(scene):
    """uint16 (40, 56, 4), four different bands with values far above 255."""
    deep = np.dstack([scene, scene[..., 0] // 2]).astype(np.uint16) * 40
    deep[0, 0], deep[0, 1] = 0, 65535
    return deep


@pytest.mark.parametrize('ending', ['png', 'jpg', 'tif'])
def test_grey_is_repeated(scene, write, ending):
    grey = scene[..., 0]
    image = load(write(f'x.{ending}', grey))
    assert np.abs(image.astype(int) - grey[..., None]).max() <= (3 * (ending == 'jpg'))
    assert np.array_equal(image[..., 0], image[..., 2])
    assert load(write(f'x.{ending}', grey), bands=1).shape == (*grey.shape, 1)


@pytest.mark.parametrize('ending', ['png', 'tif'])
def test_palette_is_resolved(scene, tmp_path, ending):
    palette = Image.fromarray(scene).quantize(16)
    palette.save(tmp_path / f'x.{ending}')
    expected = np.array(palette.convert('RGB'))
    assert len(np.unique(expected.reshape(-1, 3), axis=0)) > 8
    assert np.array_equal(load(str(tmp_path / f'x.{ending}')), expected)


@pytest.mark.parametrize('ending', ['png', 'tif', 'webp'])
def test_alpha_is_dropped(scene, tmp_path, ending):
    rgba = np.dstack([scene, 255 - scene[..., 1] // 4])
    if ending == 'tif':
        rgba[..., 3] = np.where(scene[..., 1] > 99, 255, 0)
    options = dict(lossless=True, exact=True) if ending == 'webp' else {}
    path = str(tmp_path / f'x.{ending}')
    Image.fromarray(rgba).save(path, **options)
    assert np.array_equal(load(path), scene)
    assert np.array_equal(load(path, bands=4), rgba)


@pytest.mark.parametrize('mark', ['unspecified', 'alpha', 'pillow'])
def test_fourth_band_of_a_tiff_is_alpha_where_it_is_marked_or_a_mask(scene, write_tiff, tmp_path,
                                                                     mark):
    def write(last):
        pixels = np.dstack([scene, np.broadcast_to(last, scene.shape[:2])]).astype(np.uint8)
        if mark != 'pillow':
            options = dict(ALPHA='YES' if mark == 'alpha' else 'UNSPECIFIED')
            return write_tiff('x.tif', pixels, photometric='rgb', **options), pixels
        Image.fromarray(pixels).save(tmp_path / 'x.tif')
        return str(tmp_path / 'x.tif'), pixels

    cut = np.where(scene[..., 1] > 99, 255, 0)
    for name, last in dict(opaque=255, empty=0, half=128, cut=cut, ones=cut > 0).items():
        path, pixels = write(last)
        assert np.array_equal(load(path), scene), name
        assert np.array_equal(load(path, bands=4), pixels), name
    # infrared or a soft border, and two levels without 0
    for last in (scene[..., 1], 1 + cut // 2):
        path, pixels = write(last)
        if mark == 'unspecified':
            refused(path, 'has 4 band.*set bands=4 .*band_indices')
        else:
            assert np.array_equal(load(path), scene)
        assert np.array_equal(load(path, bands=4), pixels)
        assert np.array_equal(load(path, band_indices=(3, 0, 1)), pixels[..., [3, 0, 1]])


def test_grey_with_alpha_and_one_bit(scene, tmp_path):
    path = str(tmp_path / 'x.png')
    Image.fromarray(np.dstack([scene[..., 0], scene[..., 1]]), 'LA').save(path)
    assert np.array_equal(load(path), np.repeat(scene[..., :1], 3, axis=2))
    assert np.array_equal(load(path, bands=1), scene[..., :1])
    Image.fromarray(np.eye(9, dtype=bool)).save(path)
    assert set(load(path).ravel()) == {0, 255}


@pytest.mark.parametrize('profile', [
    {}, dict(tiled=True, blockxsize=16, blockysize=16, compress='deflate', predictor=2),
    dict(interleave='pixel', compress='lzw'), dict(BIGTIFF='YES')])
def test_deep_raster_with_range(deep, write_tiff, profile):
    path = write_tiff('x.tif', deep, **profile)
    low, high = 400, 8000
    expected = np.round((deep.astype(float) - low) / (high - low) * 255).clip(0, 255)
    image = load(path, bands=4, value_range=(low, high))
    assert np.abs(image - expected).max() <= 1 and (image == expected).mean() > 0.99
    assert image[0, 0].tolist() == [0] * 4 and image[0, 1].tolist() == [255] * 4
    refused(path, r'uint16 .*value_range=\(low, high\)', bands=4)


def test_range_per_band_and_picked_bands(deep, write_tiff):
    path = write_tiff('x.tif', deep)
    ranges = [(0, 1000), (0, 4000), (0, 10000)]
    image = load(path, band_indices=(3, 0, 1), value_range=ranges)
    for band, (source, (_, high)) in enumerate(zip((3, 0, 1), ranges, strict=True)):
        expected = np.round(deep[..., source] / high * 255).clip(0, 255)
        assert np.abs(image[..., band] - expected).max() <= 1


def test_deep_photograph_and_8_bit(scene, write, write_tiff):
    deep = (np.arange(48).reshape(6, 8) * 1000).astype(np.uint16)
    path = write('x.png', deep)
    refused(path, 'uint16')
    image = load(path, value_range=(0, 47000))
    assert np.array_equal(image, np.repeat(np.round(deep / 47000 * 255)[..., None], 3, 2))
    # 8 bits are never changed
    path = write_tiff('x.tif', scene, nodata=5)
    assert np.array_equal(load(path, value_range=(0, 10000)), scene)


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int16', 'int8', 'uint32'])
def test_other_number_types(write_tiff, dtype):
    values = np.linspace(0, 100, 36).reshape(4, 9, 1).astype(dtype)
    path = write_tiff('x.tif', values)
    refused(path, dtype, bands=1)
    image = load(path, bands=1, value_range=(0, 100))
    assert np.array_equal(image, np.round(values.astype(float) * 2.55))


def test_missing_pixels_become_the_low_end(write_tiff):
    values = np.full((4, 6, 2), 50, np.float32)
    values[0, 0, 0], values[0, 1, 1], values[0, 2], values[0, 3] = np.nan, 99, np.inf, -5e9
    image = load(write_tiff('x.tif', values, nodata=99), bands=2, value_range=(-100, 100))
    assert image[0, :4].tolist() == [[0, 191], [191, 0], [255, 255], [0, 0]]
    assert np.all(image[1:] == 191)


def test_images_that_are_refused(scene, write, write_tiff):
    three = write('x.png', scene)
    refused(three, r'has 3 band.*bands=4 .*band_indices', bands=4)
    refused(three, 'has 3 band.*bands=1', bands=1)
    refused(three, 'higher max_pixels in LoadRSImage', max_pixels=99)
    five = write_tiff('five.tif', np.dstack([scene, scene[..., :2]]))
    refused(five, 'has 5 band.*set bands=5', bands=3)
    assert load(five, band_indices=(4, 0, 0)).shape == scene.shape
    refused(five, r'band_indices=\(0, 1, 5\)', band_indices=(0, 1, 5))
    # red, green, blue and infrared are no photograph with alpha
    four = write_tiff('four.tif', np.dstack([scene, scene[..., 0]]).astype(np.uint16))
    refused(four, 'has 4 band', value_range=(0, 255))
    refused(write_tiff('c.tif', np.ones((2, 2, 1), np.complex64)), 'complex', bands=1,
            value_range=(0, 1))


def load_pair(first, second, **kwargs):
    return TRANSFORMS.build(dict(type='LoadRSImagePair', **kwargs))(
        dict(img_path=first, img_path2=second))


def test_both_dates_in_their_order(scene, write, write_tiff):
    later = scene[::-1].copy()
    results = load_pair(write('a.png', scene), write_tiff('b.tif', later))
    assert np.array_equal(results['img'], np.dstack([scene, later]))
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['ori_shape'] == (40, 56)
    assert results['img_path'].endswith('a.png')


def test_bands_and_range_hold_for_both_dates(scene, write_tiff):
    deep = np.dstack([scene, scene[..., 0]]).astype(np.uint16) * 10
    paths = write_tiff('a.tif', deep), write_tiff('b.tif', deep // 2)
    image = load_pair(*paths, bands=2, band_indices=(3, 1), value_range=(0, 2550))['img']
    assert image.shape == (40, 56, 4)
    assert np.array_equal(image[..., :2], scene[..., [0, 1]])
    assert np.abs(image[..., 2:].astype(int) - image[..., :2] / 2).max() <= 0.5


def test_dates_of_different_size_are_refused(scene, write):
    first, second = write('a.png', scene), write('b.png', scene[:-1])
    with pytest.raises(ImageError, match='56 x 39 pixels, but .*a.png.* has 56 x 40'):
        load_pair(first, second)


def test_the_same_flip_reaches_both_dates_and_the_mask(scene, write, monkeypatch):
    """In the pipeline of the recipes, for all it may draw."""
    pytest.importorskip('mmseg')
    path = __file__.rpartition('/tests/')[0]
    cfg = Config.fromfile(f'{path}/configs/change_detection/'
                          'siamese-upernet_r50_1xb8-sgd-200e_cdd.py')
    init_default_scope('mmseg')
    pipeline = Compose(cfg.train_dataloader.dataset.pipeline)
    square = scene[:, :40]
    paths = [write(name, image) for name, image in (
        ('a.png', square), ('b.png', 255 - square), ('m.png', (square[..., 0] > 99) * 255))]
    seen = set()
    for seed in range(40):
        np.random.seed(seed)
        random.seed(seed)
        packed = pipeline(dict(img_path=paths[0], img_path2=paths[1],
                               seg_map_path=paths[2], num_classes=2))
        image = packed['inputs'].numpy()
        mask = packed['data_samples'].gt_sem_seg.data[0].numpy()
        assert np.array_equal(image[3:], 255 - image[:3])
        assert np.array_equal(mask, image[0] > 99)
        seen.add(image.tobytes())
    assert len(seen) == 8, 'all positions of a square'
