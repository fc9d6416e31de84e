"""JPEGs at 1/2, 1/4 and 1/8 of their size; everything else stays as it is."""
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.inspection import inspect_images
from cmid_mm.datasets.transforms import CMIDTwoViews, LoadRSImage

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def large():
    """uint8 (400, 560, 3) of smooth colours."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (13, 18, 3), dtype=np.uint8)
    return cv2.resize(coarse, (560, 400), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def jpeg(tmp_path):
    """``jpeg(pixels, mode, **options)``: save a JPEG, give its path."""
    def save(pixels, mode='RGB', **options):
        path = str(tmp_path / 'x.jpg')
        Image.fromarray(pixels).convert(mode).save(path, quality=92, **options)
        return path
    return save


def decode_unchanged(path):
    """Every pixel, by OpenCV's flag that changes nothing."""
    pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    return pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('mode, bands', [('RGB', 3), ('L', 1), ('CMYK', 3)])
def test_reduced_pixels_are_means(large, jpeg, mode, bands, progressive):
    path = jpeg(large, mode, progressive=progressive)
    full = decode_unchanged(path)
    assert np.array_equal(read_image(path).pixels, full)
    for by, side in ((1, 201), (2, 200), (2, 101), (4, 100), (4, 51), (8, 50), (8, 1)):
        pixels = read_image(path, shortest_side=side).pixels
        assert pixels.shape == (400 // by, 560 // by, bands) and pixels.dtype == np.uint8
        means = full.reshape(400 // by, by, 560 // by, by, bands).mean((1, 3))
        difference = np.abs(pixels - means)
        # the shorter cosine transform is no exact mean
        assert difference.mean() < (1e-9 if by == 1 else 1) and difference.max() < 16
        shifted = np.abs(np.roll(pixels, 1, axis=1) - means)
        assert shifted.mean() > 4 * difference.mean()
        again = read_image(path, shortest_side=side).pixels
        assert np.array_equal(pixels, again) and pixels.flags.c_contiguous


def test_never_below_the_requested_side(jpeg):
    draw = np.random.default_rng(0)
    for _ in range(40):
        height, width, side = draw.integers((1, 1, 1), (300, 300, 150)).tolist()
        path = jpeg(np.full((height, width, 3), 90, np.uint8))
        assert read_image(path).pixels.shape[:2] == (height, width)
        pixels = read_image(path, shortest_side=side).pixels
        by = -(-height // len(pixels))
        assert pixels.shape == (-(-height // by), -(-width // by), 3) and by in (1, 2, 4, 8)
        shorter, shortest = min(height, width), min(pixels.shape[:2])
        assert shortest >= min(shorter, side)
        assert by == 8 or -(-shorter // (2 * by)) < side


def test_the_orientation_of_cameras_stays_unused(large, jpeg, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    path = jpeg(large, exif=exif)
    assert read_image(path).pixels.shape == (400, 560, 3)
    assert read_image(path, shortest_side=200).pixels.shape == (200, 280, 3)
    # the inspection reads every pixel
    assert inspect_images(str(tmp_path), show_progress=False)[0]['width'] == [560] * 3


@pytest.mark.parametrize('share', [0.5, 0.9, 0.999])
def test_cut_off_is_refused_at_any_size(large, jpeg, share):
    path = jpeg(large)
    os.truncate(path, int(share * os.path.getsize(path)))
    for side in (None, 200, 50):
        with pytest.raises(ImageError, match='x.jpg is damaged or cut off'):
            read_image(path, shortest_side=side)


@pytest.mark.parametrize('ending', ['png', 'bmp', 'webp', 'tif'])
def test_other_formats_are_untouched(large, tmp_path, ending):
    path = str(tmp_path / f'x.{ending}')
    Image.fromarray(large).save(path)
    assert np.array_equal(read_image(path, shortest_side=100).pixels, read_image(path).pixels)


def test_every_pixel_by_default_and_without_the_flag_of_new_versions(large, jpeg, monkeypatch):
    path = jpeg(large)
    loaders = LoadRSImage(), LoadRSImage(shortest_side=200)
    whole, reduced = (load(dict(img_path=path)) for load in loaders)
    assert np.array_equal(whole['img'], decode_unchanged(path))
    assert reduced['img'].shape == (200, 280, 3)
    assert reduced['img_shape'] == reduced['ori_shape'] == (200, 280)
    # the settings in a checkpoint do not change
    assert loaders[0].settings() == loaders[1].settings()
    monkeypatch.setattr('cmid_mm.datasets.image_reading._JPEG_AS_RGB', None)
    for load, results in zip(loaders, (whole, reduced), strict=True):
        assert np.array_equal(load(dict(img_path=path))['img'], results['img'])


@pytest.mark.parametrize('name', ['_base_/datasets/image_folder_224.py',
                                  'cmid/cmid_resnet18_toy.py'])
def test_the_configs_never_enlarge_a_crop_of_a_reduced_image(name):
    load, views = Config.fromfile(CONFIGS / name).train_pipeline[:2]
    side, size = load.shortest_side, views['size']
    views = CMIDTwoViews(size)
    # the smallest crop that the bounds allow, of square and of other images
    sizes = [(side, side), (side, side + 37), (2 * side, side), (side, 5 * side)]
    shortest = min(min(views.draw(key, *shape)[2:4]) for shape in sizes for key in range(3000))
    assert size <= shortest < size + 4
    bound = (views.area[0] * min(views.ratio[0], 1 / views.ratio[1]))**0.5
    assert bound * (side - 1) < size <= bound * side
