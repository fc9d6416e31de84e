import json

import numpy as np
import pytest

from cmid_mm.datasets import parallel_reading
from cmid_mm.datasets.image_folder import ImageFolder
from cmid_mm.datasets.image_statistics import folder_statistics


def moments(images):
    """Mean and std per band where every image counts alike."""
    flat = [image.reshape(-1, image.shape[2]).astype(float) for image in images]
    mean = np.mean([image.mean(0) for image in flat], 0)
    square = np.mean([(image**2).mean(0) for image in flat], 0)
    return mean, np.sqrt(square - mean**2)


@pytest.fixture
def photographs(write):
    random = np.random.default_rng(0)
    images = [random.integers(10 * i, 100 + 20 * i, (8 + i, 30 - i, 3), dtype=np.uint8)
              for i in range(6)]
    for i, image in enumerate(images):
        write(f'data/{i}.png', image)
    return images


def statistics(tmp_path, **kwargs):
    return folder_statistics(str(tmp_path / 'data'), show_progress=False, **kwargs)


def test_photographs(photographs, tmp_path):
    result = statistics(tmp_path)
    mean, std = moments(photographs)
    np.testing.assert_allclose(result['mean'], mean)
    np.testing.assert_allclose(result['std'], std)
    np.testing.assert_allclose(result['std_fraction'], std / 255)
    assert result['min'] == np.min([i.min((0, 1)) for i in photographs], 0).tolist()
    assert result['max'] == np.max([i.max((0, 1)) for i in photographs], 0).tolist()
    assert result['width'] == [25, 27, 30] and result['height'] == [8, 10, 13]
    assert (result['images'], result['read'], result['used']) == (6, 6, 6)
    assert result['kinds'] == [[3, 'uint8', 6]] and result['bands'] == 3
    assert result['value_range'] is None
    assert json.loads(json.dumps(result)) == result


def test_sample_is_spread_and_deterministic(photographs, tmp_path):
    mean, _ = moments([photographs[0], photographs[5]])
    for _ in range(2):
        result = statistics(tmp_path, max_images=2)
        np.testing.assert_allclose(result['mean'], mean)
        assert (result['images'], result['read']) == (6, 2)


def test_workers_change_nothing(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel_reading, '_WORKERS_WORTH_STARTING', 0)
    assert statistics(tmp_path, workers=2) == statistics(tmp_path, workers=0)


def test_grey_among_colour_counts_as_loaded(photographs, write, tmp_path):
    grey = photographs[0][..., 0]
    write('data/grey.png', grey)
    mean, _ = moments([*photographs, np.repeat(grey[..., None], 3, 2)])
    np.testing.assert_allclose(statistics(tmp_path)['mean'], mean)


def test_deep_rasters_get_a_range_that_loading_confirms(write_tiff, tmp_path):
    random = np.random.default_rng(1)
    (tmp_path / 'data').mkdir()
    images = []
    for i in range(4):
        image = random.normal([300, 1000, 2000, 50], [50, 100, 10, 5], (32, 32, 4))
        images.append(image.round().astype(np.uint16))
        images[-1][0, 0] = 7  # the value of missing pixels
        write_tiff(f'data/{i}.tif', images[-1], nodata=7)
    result = statistics(tmp_path)
    assert result['kinds'] == [[4, 'uint16', 4]]
    valid = np.concatenate([image.reshape(-1, 4)[1:] for image in images])
    expected = np.percentile(valid, (0.1, 99.9), axis=0).T
    np.testing.assert_allclose(result['percentiles'], expected)
    assert result['value_range'] == result['percentiles']
    assert result['min'] == valid.min(0).tolist()
    loaded = ImageFolder(str(tmp_path / 'data'), pipeline=[dict(
        type='LoadRSImage', bands=4, value_range=result['value_range'])])
    mean, std = moments([loaded[i]['img'] for i in range(4)])
    np.testing.assert_allclose(result['mean'], mean, rtol=1e-6)
    np.testing.assert_allclose(result['std'], std, rtol=1e-6)
    given = statistics(tmp_path, value_range=(0, 4000), band_indices=(2, 0))
    assert given['bands'] == 2 and given['value_range'] == (0, 4000)
    expected = np.mean(valid, 0)[[2, 0]] * 255 / 4000
    np.testing.assert_allclose(given['mean'], expected, atol=1)


def test_infrared_counts_though_gdal_calls_it_alpha(scene, write_tiff, tmp_path):
    (tmp_path / 'data').mkdir()
    image = np.dstack([scene, scene[..., 1]])
    write_tiff('data/infrared.tif', image)
    result = statistics(tmp_path)
    assert result['bands'] == 4 and result['kinds'] == [[4, 'uint8', 1]]
    np.testing.assert_allclose(result['mean'], image.mean((0, 1)))
    image[..., 3] = 255
    write_tiff('data/infrared.tif', image)
    assert statistics(tmp_path)['bands'] == 3


def test_constant_band_has_a_range(write_tiff, tmp_path):
    (tmp_path / 'data').mkdir()
    write_tiff('data/x.tif', np.full((5, 5, 1), 300, np.uint16))
    assert statistics(tmp_path)['value_range'] == [[300, 301]]


def test_unusable_files_are_named_and_left_out(photographs, write_tiff, tmp_path):
    (tmp_path / 'data' / 'broken.jpg').write_bytes(b'no image')
    write_tiff('data/five.tif', np.zeros((4, 4, 5), np.uint8))
    write_tiff('data/nothing.tif', np.full((4, 4, 3), np.nan, np.float32))
    result = statistics(tmp_path)
    assert result['used'] == 6 and result['read'] == 9
    reasons = {path.split('/')[-1]: reason for path, reason in result['unusable']}
    assert 'is not a JPEG' in reasons['broken.jpg']
    assert 'has 5 bands, most have 3' in reasons['five.tif']
    assert 'without any valid pixel' in reasons['nothing.tif']


def test_nothing_usable(tmp_path):
    (tmp_path / 'data').mkdir()
    with pytest.raises(ValueError, match='holds no image'):
        statistics(tmp_path)
    (tmp_path / 'data' / 'x.jpg').touch()
    with pytest.raises(ValueError, match='no usable image; the first: .*x.jpg is empty'):
        statistics(tmp_path)


def test_real_images(real_data):
    result = folder_statistics(str(real_data / 'cls'), max_images=60, show_progress=False,
                               workers=0)
    assert result['used'] == 60 and not result['unusable'] and result['bands'] == 3
    assert all(60 < mean < 170 and 20 < std < 80
               for mean, std in zip(result['mean'], result['std'], strict=True))
