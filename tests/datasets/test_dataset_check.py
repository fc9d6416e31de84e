"""What a look at every image finds, and which of them a training can use."""
import json
import os
import shutil

import numpy as np
import pytest
from damaged_images import agree, damage, write_images

from cmid_mm.datasets import ImageFolder, parallel_reading
from cmid_mm.datasets.dataset_check import check_images, list_files, listable
from cmid_mm.datasets.image_reading import ImageError


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'data').mkdir()
    return tmp_path / 'data'


def check(root, files=None, **kwargs):
    files = files or list_files(str(root))
    report, good = check_images(str(root), files, show_progress=False, **kwargs)
    assert json.loads(json.dumps(report)) == report
    assert report['images'] == len(files) and report['usable'] == len(good)
    assert len(good) + len(report['unusable']) == len(files)
    return report, good


def test_damaged_files_are_told_from_good_ones(root):
    paths = write_images(root, 40)
    said = damage(paths[3::5])
    report, good = check(root)
    assert agree({str(root / file): reason for file, reason in report['unusable']}, said)
    assert [str(root / file) for file in good] == [
        str(path) for path in paths if str(path) not in said]
    assert report['width'] == [48, 48, 48] and report['height'] == [40, 40, 40]
    assert report['bands'] == 3 and not report['value_range_needed']
    # the five bands of one of them were seen, and were not wanted
    assert report['kinds'] == [[3, False, 'uint8', len(good)], [5, False, 'uint8', 1]]
    assert report['formats'] == dict(JPEG=len(good), TIFF=1)


def test_usable_is_what_training_takes(root, write, write_tiff, scene):
    write('data/grey.png', scene[..., 0])
    write('data/alpha.png', np.dstack([scene, scene[..., 0]]))
    write_tiff('data/deep.tif', scene.astype(np.uint16))
    write_tiff('data/many.tif', np.dstack([scene] * 3))
    for i in range(5):
        write(f'data/{i}.png', scene + i)
    options = [dict(), dict(bands=1), dict(bands=4), dict(bands=9), dict(bands=3),
               dict(band_indices=(2, 0)), dict(band_indices=(0,)),
               dict(value_range=(0, 200)), dict(bands=3, value_range=(0, 200))]
    seen = set()
    for option in options:
        report, good = check(root, **option)
        load = dict(option, bands=report['bands'])
        dataset = ImageFolder(str(root), pipeline=[dict(type='LoadRSImage', **load)])
        for i, file in enumerate(list_files(str(root))):
            try:
                dataset[i]
            except ImageError:
                assert file not in good, (option, file)
            else:
                assert file in good, (option, file)
        seen.add(tuple(good))
    assert len(seen) >= 5


def test_bits_are_those_of_most_images(root, write_tiff, scene):
    for i in range(3):
        write_tiff(f'data/{i}.tif', scene.astype(np.uint16) + i)
    write_tiff('data/byte.tif', scene)
    report, good = check(root)
    assert report['value_range_needed'] and len(good) == 4
    for i in range(4):
        write_tiff(f'data/byte{i}.tif', scene + i)
    report, good = check(root)
    assert not report['value_range_needed'] and len(good) == 5
    assert all('holds uint16 and not 8-bit' in reason for _, reason in report['unusable'])


def test_sizes_and_small_images(root, write):
    for i, (height, width) in enumerate([(300, 224), (224, 500), (223, 400), (10, 20)]):
        write(f'data/{i}.png', np.full((height, width), [[i], [9]][i % 2], np.uint8))
    report, _ = check(root)
    assert report['width'] == [20, 312, 500] and report['height'] == [10, 223, 300]
    assert report['small'] == ['2.png', '3.png']
    assert check(root, size=11)[0]['small'] == ['3.png']


def test_equal_files_have_equal_bytes(root, write, scene):
    first = write('data/c.png', scene)
    for name in ('a.png', 'deep.jpg', 'z.png'):
        shutil.copy(first, root / name)
    write('data/other.png', scene + 1)
    for name in ('x.bmp', 'y.bmp'):
        write(f'data/{name}', scene[::2])
    (root / 'empty1.png').touch()
    (root / 'empty2.png').touch()
    report, _ = check(root)
    assert report['duplicates'] == [['a.png', 'c.png', 'deep.jpg', 'z.png'],
                                    ['x.bmp', 'y.bmp']]
    assert report['duplicate_bytes'] == (
        3 * os.path.getsize(first) + os.path.getsize(root / 'x.bmp'))


def test_one_colour_and_no_valid_pixel(root, write, write_tiff, scene):
    write('data/flat.png', np.full((9, 9, 3), (5, 6, 7), np.uint8))
    almost = np.full((9, 9, 3), 5, np.uint8)
    almost[8, 8, 2] = 6
    write('data/almost.png', almost)
    deep = scene.astype(np.float32)
    write_tiff('data/full.tif', deep)
    part = deep.copy()
    part[..., 1] = np.nan
    write_tiff('data/one_band_nan.tif', part)
    write_tiff('data/nan.tif', np.full_like(deep, np.nan))
    part[..., 1] = -1
    write_tiff('data/nodata.tif', part, nodata=-1)
    part[:] = 8
    part[:5] = -1
    write_tiff('data/flat_but_nodata.tif', part, nodata=-1)
    report, _ = check(root, value_range=(0, 300))
    assert report['constant'] == ['flat.png', 'flat_but_nodata.tif']
    assert report['empty_bands'] == ['nan.tif', 'nodata.tif', 'one_band_nan.tif']
    # of a range that has nothing of an image, only one colour is left
    assert 'full.tif' in check(root, value_range=(1000, 2000))[0]['constant']
    assert 'almost.png' not in check(root, value_range=(1000, 2000))[0]['constant']


def test_workers_change_nothing(root, monkeypatch):
    damage(write_images(root, 20))
    monkeypatch.setattr(parallel_reading, '_WORKERS_WORTH_STARTING', 0)
    assert check(root, workers=2) == check(root, workers=0)


def test_nothing_usable(root):
    (root / 'x.jpg').touch()
    report, good = check(root)
    assert report['usable'] == 0 and report['width'] is None and good == []
    assert report['duplicates'] == [] and report['bands'] is None


def test_what_can_be_checked(root, tmp_path):
    with pytest.raises(ValueError, match='data holds no image'):
        list_files(str(root))
    with pytest.raises(FileNotFoundError, match='gone does not exist'):
        list_files(str(tmp_path / 'gone'))
    write_images(root, 3)
    (root / 'list.txt').write_text('002.jpg\n000.jpg 1\n')
    assert list_files(str(root), 'list.txt') == ['002.jpg', '000.jpg']
    (root / 'list.txt').write_text('../data/002.jpg\n')
    with pytest.raises(ValueError, match='outside the data folder'):
        list_files(str(root), 'list.txt')
    assert list_files(str(root), 'list.txt', allow_outside=True) == ['../data/002.jpg']
    for options in (dict(value_range=(5, 5)), dict(bands=2, band_indices=(-1, 2))):
        with pytest.raises(ValueError):
            check(root, **options)


def test_a_limit_of_the_user(root):
    write_images(root, 3)
    report, _ = check(root, max_pixels=48 * 40 - 1)
    assert report['usable'] == 0 and 'max_pixels=1919' in report['unusable'][0][1]
    assert check(root, max_pixels=48 * 40)[0]['usable'] == 3


def test_names_that_no_list_can_hold(root):
    for name in (' blank.jpg', 'two\nlines.jpg', 'fine name.jpg', 'r\r.jpg', '\ufeffmark.jpg',
                 'bytes\udcff.jpg'):
        shutil.copy(write_images(root / 'made', 1)[0], root / name)
    shutil.rmtree(root / 'made')
    report, good = check(root)
    assert report['usable'] == 6
    assert sorted(report['unlistable']) == [' blank.jpg', 'r\r.jpg', 'two\nlines.jpg',
                                            '\ufeffmark.jpg']
    (root / 'list.txt').write_text(
        ''.join(f'{file}\n' for file in good if listable(file)),
        encoding='utf-8', errors='surrogateescape')
    assert list_files(str(root), 'list.txt') == ['bytes\udcff.jpg', 'fine name.jpg']


def test_real_images(real_data):
    files = list_files(str(real_data / 'cls'))[::12]
    report, good = check_images(str(real_data / 'cls'), files, workers=0, show_progress=False)
    assert good == files and report['kinds'] == [[3, False, 'uint8', len(files)]]
    assert report['duplicates'] == [] and report['constant'] == []
