"""What one pass over the images reports, and which of them a training can use."""
import contextlib
import json
import os

import numpy as np
import pytest
from damaged_images import agree, damage, write_images

from cmid_mm.datasets import ImageFolder, parallel_reading
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.inspection import folder_statistics, inspect_images
from cmid_mm.datasets.inspection.band_statistics import histograms


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'data').mkdir()
    return tmp_path / 'data'


def inspect(root, files=None, **kwargs):
    report, good = inspect_images(str(root), files, show_progress=False, **kwargs)
    assert json.loads(json.dumps(report)) == report
    assert report['usable'] == len(good)
    assert len(good) + len(report['unusable']) == report['images'] <= report['found']
    return report, good


def statistics(root, **kwargs):
    report = folder_statistics(str(root), show_progress=False, **kwargs)
    return report['statistics']


def moments(images):
    """Mean and standard deviation per band where every image counts alike."""
    flat = [image.reshape(-1, image.shape[2]).astype(float) for image in images]
    mean = np.mean([values.mean(0) for values in flat], 0)
    return mean, np.sqrt(np.mean([(values**2).mean(0) for values in flat], 0) - mean**2)


def assert_moments(found, expected, rtol=1e-7):
    for name, values in zip(('mean', 'std'), expected, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=rtol)


def test_damaged_files_are_told_from_good_ones(root):
    paths = write_images(root, 40)
    reasons = damage(paths[3::5])
    report, good = inspect(root)
    assert agree({str(root / file): reason for file, reason in report['unusable']}, reasons)
    assert [str(root / file) for file in good] == [
        str(path) for path in paths if str(path) not in reasons]
    assert report['width'] == [48] * 3 and report['height'] == [40] * 3
    assert report['bands'] == 3 and not report['value_range_needed']
    # the file of five bands can be decoded, but is not usable
    assert report['kinds'] == [[3, False, 'uint8', len(good)], [5, False, 'uint8', 1]]
    assert report['formats'] == dict(JPEG=len(good), TIFF=1)


OPTIONS = [dict(), dict(bands=1), dict(bands=4), dict(bands=9), dict(bands=3),
           dict(band_indices=(2, 0)), dict(band_indices=(0,)), dict(value_range=(0, 200)),
           dict(bands=3, value_range=(0, 200))]


def test_usable_is_what_training_takes(root, write, write_tiff, scene):
    write('data/grey.png', scene[..., 0])
    write('data/alpha.png', np.dstack([scene, scene[..., 0]]))
    write_tiff('data/deep.tif', scene.astype(np.uint16))
    write_tiff('data/many.tif', np.dstack([scene] * 3))
    for i in range(5):
        write(f'data/{i}.png', scene + i)
    results = set()
    for option in OPTIONS:
        report, good = inspect(root, **option)
        dataset = ImageFolder(str(root), pipeline=[
            dict(type='LoadRSImage', **dict(option, bands=report['bands']))])
        loaded = {}
        for i in range(len(dataset)):
            with contextlib.suppress(ImageError):
                image = dataset[i]
                loaded[image['img_path'].removeprefix(f'{root}/')] = image['img']
        assert list(loaded) == good, option
        results.add(tuple(good))
        # the statistics are those of the images that the loader gives, and of no others
        if report['measured'] == len(loaded) > 0:
            # the loader maps deep values in float32, which rounds some ties otherwise
            assert_moments(report['statistics'], moments([*loaded.values()]), rtol=1e-3)
    assert len(results) >= 5


@pytest.mark.parametrize('bands', [2, 4])
def test_grey_images_count_only_where_they_are_loaded(root, write, write_tiff, scene, bands):
    """The loader repeats grey for three bands and refuses it for any other number."""
    image = np.dstack([scene, 255 - scene[..., 0]])[..., :bands]
    for i in range(3):
        write_tiff(f'data/{i}.tif', image, photometric='MINISBLACK')
    write('data/grey.png', np.full((9, 9), 200, np.uint8))
    report, good = inspect(root)
    assert report['bands'] == bands and report['unusable'][0][0] == 'grey.png'
    assert report['measured'] == len(good) == 3
    np.testing.assert_allclose(report['statistics']['mean'], image.mean((0, 1)))


def test_bits_are_those_of_most_images(root, write_tiff, scene):
    for i in range(3):
        write_tiff(f'data/{i}.tif', scene.astype(np.uint16) + i)
    write_tiff('data/byte.tif', scene)
    report, good = inspect(root)
    assert report['value_range_needed'] and len(good) == 4
    for i in range(4):
        write_tiff(f'data/byte{i}.tif', scene + i)
    report, good = inspect(root)
    assert not report['value_range_needed'] and len(good) == 5
    assert all('holds uint16 and not 8-bit' in reason for _, reason in report['unusable'])
    assert report['statistics']['value_range'] is None


def test_sizes_and_small_images(root, write):
    for i, (height, width) in enumerate([(300, 224), (224, 500), (223, 400), (10, 20)]):
        write(f'data/{i}.png', np.full((height, width), [[i], [9]][i % 2], np.uint8))
    report, _ = inspect(root)
    assert report['width'] == [20, 312, 500] and report['height'] == [10, 223, 300]
    assert report['small'] == ['2.png', '3.png']
    assert inspect(root, min_side=11)[0]['small'] == ['3.png']


def test_equal_files_have_equal_bytes(root, write, scene):
    for name in ('a.png', 'c.png', 'z.png'):
        size = os.path.getsize(write(f'data/{name}', scene))
    (root / 'a.png').rename(root / 'a.jpg')
    write('data/other.png', scene + 1)
    for name in ('x.bmp', 'y.bmp'):
        small = os.path.getsize(write(f'data/{name}', scene[::2]))
    for name in ('empty1.png', 'empty2.png'):
        (root / name).touch()
    report, _ = inspect(root)
    assert report['duplicates'] == [['a.jpg', 'c.png', 'z.png'], ['x.bmp', 'y.bmp']]
    assert report['duplicate_bytes'] == 2 * size + small


def test_one_colour_and_no_valid_pixel(root, write, write_tiff, scene):
    write('data/flat.png', np.full((9, 9, 3), (5, 6, 7), np.uint8))
    almost = np.full((9, 9, 3), 5, np.uint8)
    almost[8, 8, 2] = 6
    write('data/almost.png', almost)
    deep = scene.astype(np.float32)
    write_tiff('data/full.tif', deep)
    write_tiff('data/nan.tif', np.full_like(deep, np.nan))
    deep[..., 1] = np.nan
    write_tiff('data/one_band_nan.tif', deep)
    deep[..., 1] = -1
    write_tiff('data/nodata.tif', deep, nodata=-1)
    deep[:5], deep[5:] = -1, 8
    write_tiff('data/flat_but_nodata.tif', deep, nodata=-1)
    report, _ = inspect(root, value_range=(0, 300))
    assert report['constant'] == ['flat.png', 'flat_but_nodata.tif']
    assert report['empty_bands'] == ['nan.tif', 'nodata.tif', 'one_band_nan.tif']
    assert report['measured'] == 4
    # a range outside the values of an image leaves one colour
    constant = inspect(root, value_range=(1000, 2000))[0]['constant']
    assert 'full.tif' in constant and 'almost.png' not in constant


def test_workers_change_nothing(root, monkeypatch, write_tiff, scene):
    damage(write_images(root, 20))
    write_tiff('data/deep.tif', scene.astype(np.uint16))
    monkeypatch.setattr(parallel_reading, '_MIN_ITEMS_FOR_WORKERS', 0)
    options = dict(value_range=(0, 300))
    assert inspect(root, workers=2, **options) == inspect(root, workers=0, **options)


def test_statistics_of_photographs_are_exact(root, write, monkeypatch):
    random = np.random.default_rng(0)
    images = [random.integers(10 * i, 40 + 20 * i, (12 + i, 20, 3), dtype=np.uint8)
              for i in range(6)]
    for i, image in enumerate(images):
        write(f'data/{i}.png', image)
    found = statistics(root)
    assert_moments(found, moments(images))
    np.testing.assert_allclose(found['std_fraction'], np.array(found['std']) / 255)
    assert found['min'] == np.min([image.min((0, 1)) for image in images], 0).tolist()
    assert found['max'] == np.max([image.max((0, 1)) for image in images], 0).tolist()
    assert found['value_range'] is None and found['bands'] == 3
    # fewer images are an even choice
    for options in (dict(max_images=2), dict(max_measured=2)):
        assert_moments(statistics(root, **options), moments(images[::5]))
    # a grey image among coloured ones counts as it is loaded
    write('data/grey.png', images[0][..., 0])
    assert_moments(statistics(root), moments([*images, np.repeat(images[0][..., :1], 3, 2)]))
    # large images are counted in parts, because OpenCV counts in float32
    whole = histograms(images[5])
    monkeypatch.setattr('cmid_mm.datasets.inspection.band_statistics._EXACT', 40)
    assert np.array_equal(histograms(images[5]), whole) and whole.sum() == images[5].size


def test_deep_rasters_get_a_range_that_loading_confirms(root, write_tiff):
    random, images = np.random.default_rng(1), []
    for i in range(4):
        image = random.normal([300, 1000, 2000, 50], [50, 100, 10, 5], (32, 32, 4))
        images.append(image.round().astype(np.uint16))
        images[-1][0, 0] = 7  # the value of missing pixels
        write_tiff(f'data/{i}.tif', images[-1], nodata=7)
    found = statistics(root)
    valid = np.concatenate([image.reshape(-1, 4)[1:] for image in images])
    np.testing.assert_allclose(found['percentiles'], np.percentile(valid, (0.1, 99.9), axis=0).T)
    assert found['value_range'] == found['percentiles'] and found['min'] == valid.min(0).tolist()
    loaded = ImageFolder(str(root), pipeline=[dict(
        type='LoadRSImage', bands=4, value_range=found['value_range'])])
    # without the missing pixel, the first one of an image
    assert_moments(found, moments([loaded[i]['img'].reshape(-1, 1, 4)[1:] for i in range(4)]),
                   rtol=1e-6)
    given = statistics(root, value_range=(0, 4000), band_indices=(2, 0))
    assert given['bands'] == 2 and given['value_range'] == [0, 4000]
    np.testing.assert_allclose(given['mean'], valid.mean(0)[[2, 0]] * 255 / 4000, atol=1)


@pytest.mark.parametrize('nodata', [None, 0])
def test_borders_and_missing_pixels_do_not_decide_the_range(root, write_tiff, nodata):
    """A regular sample of 1,024 x 1,024 pixels is one column of them: the black border."""
    random = np.random.default_rng(0)
    image = np.zeros((1024, 1024, 2), np.uint16)
    image[:, 100:] = random.normal((1000, 500), (100, 5), (1024, 924, 2)).round()
    image[:1000, :, 1] = 0
    write_tiff('data/x.tif', image, nodata=nodata)
    found = statistics(root)
    for band, (low, high) in enumerate(found['percentiles']):
        values = image[..., band][image[..., band] > 0] if nodata == 0 else image[..., band]
        expected = np.percentile(values, (0.1, 99.9))
        # three deviations of such a percentile of 4,096 values
        assert abs(low - expected[0]) <= 60 and abs(high - expected[1]) <= 60
        if nodata == 0:
            assert low > 480 and found['mean'][band] == pytest.approx(127, abs=12)


def test_infrared_counts_though_gdal_marks_it_as_alpha(root, scene, write_tiff):
    for last, bands in ((scene[..., 1], 4), (np.full_like(scene[..., 1], 255), 3)):
        image = np.dstack([scene, last])
        write_tiff('data/infrared.tif', image)
        found = statistics(root)
        assert found['bands'] == bands
        np.testing.assert_allclose(found['mean'], image.mean((0, 1))[:bands])


def test_a_constant_band_can_be_divided_by_its_range_and_deviation(root, write_tiff):
    write_tiff('data/x.tif', np.full((5, 5, 1), 300, np.uint16))
    found = statistics(root)
    assert found['value_range'] == [[300, 301]] and found['std'] == [1]


def test_nothing_usable(root):
    (root / 'x.jpg').touch()
    report, good = inspect(root)
    assert report['usable'] == 0 and report['width'] is None and good == []
    assert report['duplicates'] == [] and report['bands'] is report['statistics'] is None


def test_real_images(real_data):
    report, _ = inspect_images(str(real_data / 'cls'), max_images=40, show_progress=False,
                               workers=0)
    assert report['usable'] == report['measured'] == 40 and report['bands'] == 3
    assert all(60 < mean < 170 and 20 < std < 80 for mean, std in zip(
        report['statistics']['mean'], report['statistics']['std'], strict=True))
