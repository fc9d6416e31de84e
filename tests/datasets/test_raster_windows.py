"""Windows of rasters as samples: their grid, their pixels, and missing data."""
import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasters import write_raster

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.file_limits import EmptyImageError, ImageError
from cmid_mm.datasets.image_reading import read_header, read_image
from cmid_mm.datasets.raster_paths import Window, split_window, window_path
from cmid_mm.datasets.raster_windows import Grid, cover
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex

LOAD = dict(type='LoadRSImage', bands=4)
VIEWS = [LOAD, dict(type='CMIDTwoViews', size=32), dict(type='PackViews')]


def noise(height, width, bands=4, dtype=np.uint8, seed=0):
    high = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(1, high, (height, width, bands), dtype)


def all_four(bands, alpha):
    return range(4)


def folder(root, pipeline=(LOAD, ), window=64, **settings):
    return ImageFolder(data_root=str(root), window=window, pipeline=list(pipeline), **settings)


def test_the_number_of_samples_follows_from_the_headers(tmp_path):
    write_raster(tmp_path / 'large.tif', noise(200, 330))
    write_raster(tmp_path / 'narrow.tif', noise(40, 130))
    write_raster(tmp_path / 'small.tif', noise(50, 60))
    cv2.imwrite(str(tmp_path / 'photo.png'), noise(64, 64))
    dataset = folder(tmp_path)
    names = [info['img_path'].rsplit('/')[-1] for info in dataset]
    assert [split_window(name)[0] for name in names].count('large.tif') == 3 * 5
    assert [split_window(name)[0] for name in names].count('narrow.tif') == 2
    # as large as a window or smaller: the image itself
    assert names.count('small.tif') == 1


def test_windows_lie_inside_and_reach_every_pixel_from_every_side():
    grid = Grid(width=150, height=70, side=64)
    assert grid.shape == (1, 2)
    inside = np.zeros((70, 150), bool)
    rng = np.random.default_rng(0)
    for shift in (*np.mgrid[0:1:20j, 0:0.999:20j].T.reshape(-1, 2) * 0.999, *rng.random((50, 2))):
        for number in grid.numbers:
            left, top, width, height = grid.window(number, shift)
            assert (width, height) == (64, 64)
            assert 0 <= left <= 150 - 64 and 0 <= top <= 70 - 64
            inside[top:top + 64, left:left + 64] = True
            assert abs(left - (number * 75 + (75 - 64) / 2)) <= 75 / 2 + 1
    assert inside.all()
    # without an epoch the middle of its part
    assert grid.window(1) == (80, 3, 64, 64)
    assert [Grid(128, 64, 64).window(number)[0] for number in range(2)] == [0, 64]
    assert grid.window(0, (0., 0.)) != grid.window(0, (0., 0.99))


def test_no_place_is_always_at_a_border():
    grid, rng = Grid(width=640, height=640, side=64), np.random.default_rng(0)
    distance = np.zeros((640, 640))
    ramp = np.minimum(np.arange(64), np.arange(64)[::-1]) + 1
    depth = np.minimum(ramp[:, None], ramp)
    for _ in range(40):
        for number in grid.numbers:
            left, top, *_ = grid.window(number, rng.random(2))
            part = distance[top:top + 64, left:left + 64]
            np.maximum(part, depth, out=part)
    assert distance[32:-32, 32:-32].min() > 8


@pytest.mark.parametrize('profile', [
    dict(tiled=True, blockxsize=64, blockysize=64, compress='deflate'),
    dict(), dict(interleave='pixel'), dict(compress='lzw', predictor=2),
    dict(driver='JP2OpenJPEG', quality=100, reversible='YES')])
def test_a_window_has_the_pixels_of_the_whole_raster(tmp_path, profile):
    pixels = noise(150, 170, dtype=np.uint8)
    path = write_raster(tmp_path / 'scene.tif', pixels, **profile)
    window = Window(33, 61, 64, 50)
    part = window_path(path, window)
    found = read_image(part, all_four)
    expected = pixels[61:111, 33:97]
    np.testing.assert_array_equal(found.pixels, expected)
    assert read_header(part)[:2] == (50, 64)
    # the same as from a file that was cut before
    cut = write_raster(tmp_path / 'cut.tif', expected)
    np.testing.assert_array_equal(read_image(cut, all_four).pixels, found.pixels)


def test_epochs_move_windows_and_nothing_else_does(tmp_path):
    write_raster(tmp_path / 'scene.tif', noise(200, 200))
    dataset = folder(tmp_path)

    def place(epoch, sample=4, seed=1):
        return dataset[SampleIndex(sample, seed, epoch)]['img_path']

    assert place(0) == place(0) != place(1)
    assert place(0) != place(0, seed=2)
    assert split_window(dataset[4]['img_path'])[1] == Grid(200, 200, 64).window(4)
    # the key is that of the sample, whoever asks
    other = folder(tmp_path, indices=[4])
    assert other[SampleIndex(0, 1, 0, 4)]['img_path'] == place(0)


def test_views_of_a_window_are_those_of_the_same_pixels_in_a_file(tmp_path):
    pixels = noise(200, 200)
    (tmp_path / 'scenes').mkdir()
    write_raster(tmp_path / 'scenes/scene.tif', pixels)
    dataset = folder(tmp_path / 'scenes', VIEWS)
    key = SampleIndex(3, 7, 5)
    window = split_window(folder(tmp_path / 'scenes')[key]['img_path'])[1]
    (tmp_path / 'cut').mkdir()
    for number in range(9):
        part = pixels[window.top:window.top + 64, window.left:window.left + 64]
        write_raster(tmp_path / f'cut/{number}.tif', part)
    cut = ImageFolder(data_root=str(tmp_path / 'cut'), pipeline=VIEWS)
    one, other = dataset[key], cut[key]
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name].numpy(), other[name].numpy())


def half_empty(path, value=0, width=256, **profile):
    """Data in the left half only."""
    pixels = noise(128, width)
    pixels[:, width // 2:] = value
    return write_raster(path, pixels, nodata=value, **profile), pixels


def test_windows_without_data_are_no_samples_where_that_is_cheap_to_know(tmp_path):
    half_empty(tmp_path / 'a.tif')
    dataset = folder(tmp_path)
    lefts = [split_window(info['img_path'])[1].left for info in dataset]
    # windows of the third column may move to the left, where they have enough data
    assert sorted(set(lefts)) == [0, 64, 128] and len(lefts) == 6


def test_an_empty_window_is_replaced_and_counted_by_itself(tmp_path):
    half_empty(tmp_path / 'a.tif')
    dataset = folder(tmp_path, VIEWS, min_valid=0.9)
    places = [SampleIndex(sample, 0, epoch) for epoch in range(20)
              for sample in range(len(dataset))]
    states = [int(dataset[place]['broken']) for place in places]
    empty = [(int(place), -2 - state) for place, state in zip(places, states) if state < -1]
    assert empty and all(place == sample for place, sample in empty)
    assert all(state == -1 or state < -1 for state in states)
    # the replacement is a function of the key
    np.testing.assert_array_equal(dataset[places[0]]['inputs'], dataset[places[0]]['inputs'])
    # a test has every window as it is
    found = folder(tmp_path, min_valid=0.01).prepare_data(5)
    assert found['valid'].mean() == 0.


def test_a_folder_of_nothing_but_gaps_is_one_error(tmp_path):
    pixels = np.zeros((5000, 900, 1), np.uint8)
    write_raster(tmp_path / 'a.tif', pixels, nodata=0, tiled=True)
    load = dict(type='LoadRSImage', bands=1)
    dataset = folder(tmp_path, [load])
    with pytest.raises(EmptyImageError if len(dataset) == 1 else ImageError,
                       match='less than min_valid=0.5'):
        dataset[SampleIndex(0, 0, 0)]


@pytest.mark.parametrize('fill', [0, 255])
def test_missing_pixels_change_no_view(tmp_path, fill):
    """Whatever number marks them, and the mean of a view is that of its data."""
    pixels = noise(64, 64, 3).astype(np.uint8) // 4 + 100
    gap = np.zeros((64, 64), bool)
    gap[:, 40:] = True
    views = []
    for value in (fill, 77):
        pixels[gap] = value
        path = write_raster(tmp_path / f'{value}.tif', pixels, nodata=value)
        (tmp_path / str(value)).mkdir(exist_ok=True)
        (tmp_path / f'{value}/a.tif').symlink_to(path)
        pipeline = [dict(type='LoadRSImage', bands=3), *VIEWS[1:]]
        dataset = ImageFolder(data_root=str(tmp_path / str(value)), pipeline=pipeline)
        views.append([dataset[SampleIndex(0, 0, epoch)]['inputs'].numpy() for epoch in range(8)])
    np.testing.assert_array_equal(*views)
    valid_mean = pixels[~gap].mean(0)
    for view in np.concatenate(views[0]):
        assert np.abs(view.mean((1, 2)) - valid_mean).max() < 4  # of a range of 64
        assert view.min() >= 99


def test_views_have_data(tmp_path):
    """A crop that would consist of missing pixels is drawn again."""
    pixels = noise(64, 64, 1)
    pixels[:, 20:] = 0
    write_raster(tmp_path / 'a.tif', pixels, nodata=0)
    steps = [dict(type='LoadRSImage', bands=1), dict(type='CMIDTwoViews', size=16, area=(.05, .1))]
    dataset = ImageFolder(data_root=str(tmp_path), pipeline=steps)
    boxes = np.stack([dataset[SampleIndex(0, 0, epoch)]['view_boxes'] for epoch in range(40)])
    left, width = boxes[..., 1], boxes[..., 3]
    shares = (np.minimum(left + width, 20) - np.minimum(left, 20)) / width
    assert (shares > 0.49).mean() > 0.9


def test_alpha_and_masks_mark_missing_pixels(tmp_path):
    pixels = noise(64, 200, 4)
    pixels[..., 3] = np.where(np.arange(200) < 100, 255, 0)
    write_raster(tmp_path / 'a.tif', pixels, photometric='RGB', alpha='YES')
    dataset = folder(tmp_path, [dict(type='LoadRSImage', bands=3)], min_valid=0.)
    found = dataset[SampleIndex(1, 0, 0)]
    left = split_window(found['img_path'])[1].left
    np.testing.assert_array_equal(found['valid'][0], np.arange(left, left + 64) < 100)


def test_a_raster_in_one_strip_is_refused_before_the_training(tmp_path):
    pixels = np.zeros((5000, 5000, 4), np.uint8)
    write_raster(tmp_path / 'a.tif', pixels, tiled=False, blockysize=5000, compress='deflate',
                 interleave='pixel')
    with pytest.raises(ImageError, match='a.tif is stored in blocks of 5000 x 5000 pixels, 95 MiB '
                                         '.*gdal_translate'):
        folder(tmp_path)


def test_a_raster_that_cannot_be_read_is_one_broken_sample(tmp_path):
    write_raster(tmp_path / 'a.tif', noise(130, 130))
    (tmp_path / 'b.tif').write_bytes(b'II*\0 cut off')
    dataset = folder(tmp_path, VIEWS, replace_broken=True)
    assert len(dataset) == 5
    assert int(dataset[SampleIndex(4, 0, 0)]['broken']) == 4
    with pytest.raises(ImageError, match='b.tif is damaged'):
        folder(tmp_path, VIEWS)[SampleIndex(4, 0, 0)]


def test_a_raster_that_vanishes_or_shrinks_is_one_line(tmp_path):
    path = tmp_path / 'a.tif'
    write_raster(path, noise(130, 130))
    dataset = folder(tmp_path, VIEWS)
    write_raster(path, noise(70, 70))
    with pytest.raises(ImageError, match='a.tif has 70 x 70 pixels and no window'):
        dataset[SampleIndex(3, 0, 0)]
    path.unlink()
    with pytest.raises(ImageError, match='a.tif.* cannot be read: No such file'):
        dataset[SampleIndex(3, 0, 0)]


def test_classes_lists_and_parts_work_with_windows(tmp_path):
    for name in ('field/a', 'field/b', 'wood/c'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_raster(tmp_path / f'{name}.tif', noise(130, 130))
    dataset = folder(tmp_path, with_label=True, query_every=2, split='query')
    assert [info['gt_label'] for info in dataset] == [0] * 4
    (tmp_path / 'list.txt').write_text('wood/c.tif\nfield/a.tif#xywh=1,2,64,64\n')
    listed = folder(tmp_path, ann_file='list.txt')
    assert len(listed) == 5
    assert split_window(listed[4]['img_path'])[1] == (1, 2, 64, 64)


@pytest.mark.parametrize('settings, message', [
    (dict(window=0), 'window=0'), (dict(min_valid=2), 'min_valid=2')])
def test_arguments_are_checked(tmp_path, settings, message):
    write_raster(tmp_path / 'a.tif', noise(130, 130))
    with pytest.raises(CMIDError, match=message):
        folder(tmp_path, **settings)


@pytest.mark.parametrize('height, width', [(1, 1), (64, 64), (65, 128), (300, 77)])
def test_cover_counts_each_pixel_once(height, width):
    count = np.zeros((height, width), int)
    for overlap in (0, 15):
        count[:] = 0
        for (left, top, columns, rows), (inner, down, wide, high) in cover(
                height, width, 64, overlap):
            assert (columns, rows) == (min(64, width), min(64, height))
            count[top + down:top + down + high, left + inner:left + inner + wide] += 1
        assert (count == 1).all()


def test_a_place_on_the_ground_is_kept_for_the_checkpoint(tmp_path):
    from cmid_mm.datasets.input_description import describe, describe_input, differences
    path = write_raster(tmp_path / 'a.tif', noise(130, 130),
                        transform=from_origin(500000, 5400000, 10, 10))
    with rasterio.open(path, 'r+') as file:
        file.descriptions = ['red', 'green', 'blue', 'nir']
    found = describe_input(folder(tmp_path, sensor='Sentinel-2'))
    assert found == dict(band_names=['red', 'green', 'blue', 'nir'],
                         ground_sample_distance=[10., 10.], sensor='Sentinel-2')
    assert describe(found) == 'Sentinel-2, bands red green blue nir, 10 m'
    assert differences(found, found) == differences(found, None) == []
    other = dict(found, ground_sample_distance=[0.6, 0.6], sensor='NAIP')
    assert differences(found, other)[0] == 'sensor Sentinel-2 in pre-training and NAIP here'
    assert 'pixels of 10 m in pre-training and of 0.6 m here' in differences(found, other)[1]


def test_packed_windows_are_those_of_the_rasters(tmp_path):
    pytest.importorskip('lmdb')
    from cmid_mm.datasets.packing import pack_folder
    from cmid_mm.datasets.raster_windows import list_samples
    root = tmp_path / 'scenes'
    root.mkdir()
    pixels = noise(130, 200, dtype=np.uint16)
    pixels[:64, 100:] = 0
    write_raster(root / 'a.tif', pixels, nodata=0)
    for name in ('B04', 'B08'):
        write_raster(root / f'b_{name}.tif', noise(70, 70, 1, np.uint16, seed=3))
    for settings, expected in ((dict(), 6), (dict(band_files=('B04', 'B08')), 1)):
        files = list_samples(str(root), ['a.tif'] if not settings else None, 64, **settings)
        out = str(tmp_path / f'{expected}.lmdb')
        report = pack_folder(str(root), out, workers=0, show_progress=False, files=files)
        assert report['packed'] + report.get('empty', 0) == len(files) == expected
        names = [info['img_path'] for info in ImageFolder(data_root=out, pipeline=[])]
        assert len(names) == report['packed'] == expected - (expected == 6)
        files = {f'{out}/{file}.tif'.replace('{', '(').replace('}', ')'): file for file in files}
        for name in names:
            one, other = (read_image(path, lambda bands, alpha: range(bands))
                          for path in (name, str(root / files[name])))
            np.testing.assert_array_equal(one.pixels, other.pixels)
            assert (one.valid is None) == (other.valid is None)


def test_inspection_and_statistics_of_windows(tmp_path):
    from cmid_mm.datasets.inspection import (
        folder_statistics,
        inspect_dataset_images,
        inspect_images,
    )
    from cmid_mm.datasets.raster_windows import list_samples
    pixels = noise(128, 256, dtype=np.uint16)
    path = write_raster(tmp_path / 'a.tif', pixels)
    files = list_samples(str(tmp_path), window=64)
    report, good = inspect_images(str(tmp_path), files, workers=0, show_progress=False)
    assert report['found'] == report['usable'] == 8 and good == files
    assert report['formats'] == {'window': 8} and report['width'] == [64, 64, 64]
    found = folder_statistics(str(tmp_path), files=files, workers=0, show_progress=False)
    np.testing.assert_array_equal(found['statistics']['max'], read_image(
        path, all_four).pixels.max((0, 1)))
    dataset = folder(tmp_path, [dict(LOAD, value_range=(0, 65535))])
    assert inspect_dataset_images(dataset, workers=0, show_progress=False)['usable'] == 8


@pytest.mark.parametrize('other', [dict(workers=2), dict(batch_size=2)])
def test_workers_and_batches_change_no_window(tmp_path, other):
    from view_batches import same_batches, view_batches
    for name in 'ab':
        write_raster(tmp_path / f'{name}.tif', noise(200, 140))
    settings = dict(load=dict(bands=4), dataset=dict(
        type='ImageFolder', data_root=str(tmp_path), window=64,
        pipeline=[LOAD, dict(type='CMIDTwoViews', size=16), dict(type='PackViews')]))
    one, two = (view_batches(tmp_path, **settings, **dict(dict(batch_size=4), **more))
                for more in ({}, other))
    if 'batch_size' in other:
        one, two = ([{key: np.concatenate([batch[key] for batch in batches])
                      for key in batches[0]}] for batches in (one, two))
        for key in one[0]:
            np.testing.assert_array_equal(one[0][key], two[0][key])
        return
    assert same_batches(one, two)
    assert not same_batches(one, view_batches(tmp_path, epoch=1, **settings))


def test_few_files_are_open_at_once(tmp_path):
    """Also of images of several files; a process may have 256."""
    import os
    for name in ('B04', 'B08'):
        write_raster(tmp_path / f'{name}.tif', noise(128, 128, 1))
    dataset = ImageFolder(data_root=str(tmp_path), window=64, band_files=('B04', 'B08'),
                          pipeline=[dict(type='LoadRSImage', bands=2)])
    before = len(os.listdir('/proc/self/fd'))
    for epoch in range(50):
        dataset[SampleIndex(epoch % 4, 0, epoch)]
    assert len(os.listdir('/proc/self/fd')) <= before + 2


def test_a_cut_off_jpeg_2000_is_named(tmp_path):
    path = write_raster(tmp_path / 'a.jp2', noise(700, 700, 1), driver='JP2OpenJPEG', quality=100,
                        reversible='YES', blockxsize=256, blockysize=256)
    data = open(path, 'rb').read()
    with open(path, 'wb') as file:
        file.write(data[:len(data) * 9 // 10])
    with pytest.raises(ImageError, match='a.jp2 is damaged'):
        read_image(window_path(path, Window(200, 400, 300, 300)), lambda *kind: [0])
    with pytest.raises(ImageError, match='a.jp2 is damaged'):
        read_image(path, lambda *kind: [0])


@pytest.mark.parametrize('kind', ['alpha', 'nodata'])
def test_packed_windows_keep_what_is_missing(tmp_path, kind):
    pytest.importorskip('lmdb')
    from cmid_mm.datasets.packing import pack_folder
    from cmid_mm.datasets.raster_windows import list_samples
    root = tmp_path / 'scenes'
    root.mkdir()
    if kind == 'alpha':
        pixels = noise(64, 128)
        pixels[..., 3] = np.where(np.arange(128) < 100, 255, 0)
        write_raster(root / 'a.tif', pixels, photometric='RGB', alpha='YES')
        settings, load = {}, dict(type='LoadRSImage', bands=3)
    else:
        for name, nodata in (('B04', 0), ('B03', 65535)):
            pixels = noise(64, 128, 1, np.uint16) // 2 + 1
            pixels[5, 5] = nodata
            write_raster(root / f'a_{name}.tif', pixels, nodata=nodata)
        settings = dict(band_files=('B04', 'B03'))
        load = dict(type='LoadRSImage', bands=2, value_range=(0, 40000))
    files = list_samples(str(root), window=64, **settings)
    out = str(tmp_path / 'a.lmdb')
    pack_folder(str(root), out, workers=0, show_progress=False, files=files, min_valid=0.1)
    packed = ImageFolder(data_root=out, pipeline=[load])
    plain = folder(root, [load], **settings)
    assert len(packed) == len(plain) == 2
    for one, other in zip(packed, plain):
        np.testing.assert_array_equal(one['img'], other['img'])
        np.testing.assert_array_equal(*(found.get('valid', np.ones((64, 64), bool))
                                        for found in (one, other)))


def test_windows_of_a_list_stay_in_one_part(tmp_path):
    from cmid_mm.datasets.raster_windows import list_samples
    for name in 'abcdef':
        (tmp_path / 'field').mkdir(exist_ok=True)
        write_raster(tmp_path / f'field/{name}.tif', noise(128, 128))
    names = list_samples(str(tmp_path), window=64)
    (tmp_path / 'list.txt').write_text('\n'.join(f'{name} 0' for name in names))
    parts = [ImageFolder(data_root=str(tmp_path), ann_file='list.txt', with_label=True,
                         split=split, query_every=3, pipeline=[LOAD])
             for split in ('gallery', 'query')]
    rasters = [{split_window(info['img_path'])[0] for info in part} for part in parts]
    assert [len(found) for found in rasters] == [4, 2] and rasters[0].isdisjoint(rasters[1])


def test_no_window_with_data_is_one_error(tmp_path):
    write_raster(tmp_path / 'a.tif', np.zeros((128, 128, 4), np.uint8), nodata=0)
    with pytest.raises(CMIDError, match='no window of .* has data in 50%'):
        folder(tmp_path)


def test_statistics_leave_missing_pixels_out(tmp_path):
    from cmid_mm.datasets.inspection import folder_statistics
    pixels = noise(64, 64, 3) % 20 + 90
    pixels[:, 40:] = 0
    write_raster(tmp_path / 'a.tif', pixels, nodata=0)
    found = folder_statistics(str(tmp_path), workers=0, show_progress=False)['statistics']
    np.testing.assert_allclose(found['mean'], pixels[:, :40].mean((0, 1)), atol=1e-6)
    assert found['min'] == pixels[:, :40].min((0, 1)).tolist()
