"""Masks of large rasters in windows: every pixel counts once, with its own label."""
import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import TRANSFORM, write_raster

from cmid_mm.datasets import MaskFolder
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.raster_paths import split_window
from cmid_mm.utils.errors import CMIDError

CLASSES = tuple('abcd')
STEPS = [dict(type='LoadRSImage', bands=3), dict(type='LoadMask')]


def scene(root, name='1', height=150, width=210, seed=0):
    """Pixels whose first band is the label times 60, so that the two cannot part."""
    labels = np.random.default_rng(seed).integers(0, 4, (height, width), np.uint8)
    pixels = np.stack([labels * 60, labels, labels], 2).astype(np.uint8)
    for part, content in (('images', pixels), ('masks', labels[..., None])):
        (root / part).mkdir(parents=True, exist_ok=True)
        write_raster(root / part / f'{name}.tif', content, tiled=True, blockxsize=64,
                     blockysize=64)
    return labels


def build(root, steps=STEPS, **settings):
    settings = dict(dict(window=64, metainfo=dict(classes=CLASSES)), **settings)
    return MaskFolder(data_root=str(root), pipeline=steps, **settings)


@pytest.mark.parametrize('overlap', [0, 20])
def test_each_pixel_is_validated_once(tmp_path, overlap):
    labels = scene(tmp_path)
    count = np.zeros(labels.shape, int)
    for item in build(tmp_path, overlap=overlap):
        left, top, width, height = split_window(item['img_path'])[1]
        part = np.s_[top:top + height, left:left + width]
        mask = item['gt_seg_map']
        own = mask != 255
        np.testing.assert_array_equal(mask[own], labels[part][own])
        np.testing.assert_array_equal(item['img'][..., 0], labels[part] * 60)
        count[part] += own
        assert mask.shape == (64, 64)
    assert (count == 1).all()
    every = build(tmp_path, overlap=overlap, count_once=False)
    assert all((item['gt_seg_map'] < 255).all() for item in every)


def test_windows_are_the_same_as_files_cut_before(tmp_path):
    """Sample by sample: images, masks and what a pipeline with random parts makes of them."""
    for number in range(2):
        scene(tmp_path / 'scenes', str(number), seed=number)
    steps = [*STEPS, dict(type='mmseg.RandomCrop', crop_size=(32, 32)),
             dict(type='RandomFlip', prob=0.5)]
    windows = build(tmp_path / 'scenes')
    assert any((item['gt_seg_map'] == 255).any() for item in windows)
    for place, item in enumerate(windows):
        for part, content in (('images', item['img']), ('masks', item['gt_seg_map'][..., None])):
            (tmp_path / 'cut' / part).mkdir(parents=True, exist_ok=True)
            write_raster(tmp_path / 'cut' / part / f'{place:03}.tif', content)
    pairs = build(tmp_path / 'scenes', steps), build(tmp_path / 'cut', steps, window=None)
    assert len(pairs[0]) == len(pairs[1]) == 24
    for place in range(24):
        found = []
        for dataset in pairs:
            np.random.seed(place)
            found.append(dataset[place])
        for name in ('img', 'gt_seg_map'):
            np.testing.assert_array_equal(found[0][name], found[1][name])


def test_patterns_find_files_whose_names_differ(tmp_path):
    """Potsdam as it is downloaded, and one folder for each place."""
    scene(tmp_path)
    for part, name in (('images', 'rgb/top_potsdam_2_10_RGB.tif'),
                       ('masks', 'all/top_potsdam_2_10_label.tif')):
        (tmp_path / name).parent.mkdir()
        (tmp_path / part / '1.tif').rename(tmp_path / name)
    dataset = build(tmp_path, data_prefix=dict(img_path='rgb/*_RGB.tif',
                                               seg_map_path='all/*_label.tif'))
    assert len(dataset) == 12
    scene(tmp_path / 'x')
    for part, name in (('images', 'bercy/date_1/first.tif'), ('masks', 'bercy/labels.tif')):
        (tmp_path / 'x' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'x' / part / '1.tif').rename(tmp_path / 'x' / name)
    scene(tmp_path / 'x')
    (tmp_path / 'x/bercy/date_2').mkdir()
    (tmp_path / 'x/images/1.tif').rename(tmp_path / 'x/bercy/date_2/second.tif')
    pair = build(tmp_path / 'x', [], window=None, data_prefix=dict(
        img_path='*/date_1/first.tif', img_path2='*/date_2/second.tif',
        seg_map_path='*/labels.tif'))
    assert len(pair) == 1
    assert pair[0]['img_path2'].endswith('bercy/date_2/second.tif')


def test_names_choose_rasters(tmp_path):
    for name in 'abc':
        scene(tmp_path, name, 70, 70)
    found = build(tmp_path, [], names=('c', 'a'))
    assert [info['img_path'].rsplit('/')[-1][0] for info in found] == ['c'] * 4 + ['a'] * 4


def test_bands_of_two_dates_are_files(tmp_path):
    for date in ('date_1', 'date_2'):
        (tmp_path / 'rennes' / date).mkdir(parents=True)
        for band in ('B02', 'B03'):
            write_raster(tmp_path / f'rennes/{date}/{date}_{band}.tif',
                         np.full((30, 40, 1), 7, np.uint8))
    write_raster(tmp_path / 'rennes/change.tif', np.zeros((30, 40, 1), np.uint8))
    dataset = build(tmp_path, [dict(type='LoadRSImagePair', bands=2)], window=20,
                    band_files=('B02', 'B03'), data_prefix=dict(
                        img_path='*/date_1', img_path2='*/date_2', seg_map_path='*/change.tif'))
    assert len(dataset) == 4 and dataset[3]['img'].shape == (20, 20, 4)


COLOURS = [((255, 255, 255), 0), ((0, 0, 255), 1), ((0, 255, 255), 2), ((255, 0, 0), 255)]


@pytest.mark.parametrize('window', [None, 64])
def test_masks_of_colours(tmp_path, window):
    labels = scene(tmp_path)
    colours = np.array([colour for colour, _ in COLOURS], np.uint8)[labels]
    colours[0, :2] -= colours[0, :2] // 32  # a compression has changed a few
    write_raster(tmp_path / 'masks/1.tif', colours)
    found = [item['gt_seg_map'] for item in build(
        tmp_path, values=COLOURS, metainfo=dict(classes=tuple('abc')), window=window)]
    counts = np.bincount(np.concatenate([mask.ravel() for mask in found]), minlength=256)
    expected = np.bincount(labels.ravel())
    # where windows overlap, labels are ignored in one of them
    assert counts[:3].tolist() == expected[:3].tolist()
    with pytest.raises(ImageError, match=r'holds \(255, 0, 0\) in .* pixels, but values has only '
                                         r'.*\(0, 0, 255\)'):
        list(build(tmp_path, values=COLOURS[:3], metainfo=dict(classes=tuple('abc'))))
    with pytest.raises(ImageError, match='is a picture of 3 bands.*colours'):
        list(build(tmp_path))


@pytest.mark.parametrize('change, message', [
    (dict(height=149), 'images.* pixels, but|has 210 x 149'),
    (dict(transform=from_origin(500100, 5400000, 0.5, 0.5)), 'is not at the location')])
def test_a_mask_on_another_grid_is_refused_before_the_training(tmp_path, change, message):
    labels = scene(tmp_path)
    other = labels[:change.get('height', 150), :, None]
    write_raster(tmp_path / 'masks/1.tif', other, transform=change.get('transform', TRANSFORM))
    with pytest.raises(ImageError, match=message):
        build(tmp_path)


def test_arguments(tmp_path):
    scene(tmp_path)
    with pytest.raises(CMIDError, match='window=0'):
        build(tmp_path, window=0)
    with pytest.raises(CMIDError, match='numbers and colours'):
        build(tmp_path, values=[((1, 2, 3), 0), (4, 1)])
