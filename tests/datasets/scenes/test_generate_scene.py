"""Scenes are a pure function of their arguments, and their labels agree with the image."""
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from cmid_mm.datasets.scenes import (
    OBJECT_CLASSES,
    SCENE_CLASSES,
    SEGMENTATION_CLASSES,
    generate_scene,
)
from cmid_mm.datasets.scenes.inks import Inks
from cmid_mm.datasets.scenes.materials import MATERIALS

FIELDS = ('image', 'mask', 'boxes', 'labels', 'quads', 'image2', 'mask2', 'boxes2',
          'labels2', 'quads2', 'change')
VEHICLE = SEGMENTATION_CLASSES.index('vehicle')
BUILDING = SEGMENTATION_CLASSES.index('building')
EVERY_CLASS = range(len(SCENE_CLASSES))


def digest(scene):
    """Hash over all arrays of a scene."""
    total = hashlib.sha256()
    for field in FIELDS:
        total.update(np.ascontiguousarray(getattr(scene, field)).tobytes())
    return total.hexdigest()


@pytest.fixture(scope='module')
def scenes():
    """Four scenes of every class."""
    return [generate_scene(7, index, 192) for index in range(4 * len(SCENE_CLASSES))]


def test_same_arguments_same_scene_in_any_process_and_order():
    code = ('import sys; sys.path.insert(0, sys.argv[1])\n'
            'from test_generate_scene import *\n'
            'for index in range(12, 24):\n'
            '    print(digest(generate_scene(3, index, 96, change=True)))')
    folder = __file__.rpartition('/')[0]
    elsewhere = subprocess.run([sys.executable, '-W', 'ignore', '-c', code, folder],
                               capture_output=True, text=True, check=True).stdout.split()[-12:]
    here = [digest(generate_scene(3, index, 96, change=True))
            for index in reversed(range(12, 24))]
    assert elsewhere == here[::-1]


def test_the_second_date_does_not_change_the_first():
    for index in EVERY_CLASS:
        alone = generate_scene(1, index, 96)
        with_change = generate_scene(1, index, 96, change=True)
        np.testing.assert_array_equal(alone.image, with_change.image)
        np.testing.assert_array_equal(alone.boxes, with_change.boxes)
        assert alone.image2 is None and alone.change is None


@pytest.mark.parametrize('other', [dict(seed=4), dict(index=15)])
def test_other_seed_or_index_other_scene(other):
    arguments = dict(seed=3, index=3, size=96, change=True)
    first = generate_scene(**arguments)
    second = generate_scene(**{**arguments, **other})
    assert first.scene_class == second.scene_class
    assert (first.mask != second.mask).mean() > 0.05
    assert (first.image != second.image).mean() > 0.9


def test_classes_take_turns():
    found = [generate_scene(0, index, 16).scene_class for index in range(36)]
    assert found == 3 * list(EVERY_CLASS)
    named = generate_scene(0, 0, 32, scene_class='harbour')
    assert SCENE_CLASSES[named.scene_class] == 'harbour'


@pytest.mark.parametrize('size', [16, 32, (20, 300), (400, 64), 600])
@pytest.mark.parametrize('bands', [1, 3, 4, 9])
def test_every_size_and_band_count(size, bands):
    height, width = (size, size) if isinstance(size, int) else size
    for index in EVERY_CLASS if height * width < 40_000 else (4, 11):
        scene = generate_scene(2, index, size, bands, change=True)
        for image in (scene.image, scene.image2):
            assert image.shape == (height, width, bands) and image.dtype == np.uint8
            assert image.flags.c_contiguous
            assert (image.reshape(-1, bands).std(0) > 0.3).all()
        for mask in (scene.mask, scene.mask2, scene.change):
            assert mask.shape == (height, width) and mask.dtype == np.uint8
        assert scene.mask.max() < len(SEGMENTATION_CLASSES)
        assert set(np.unique(scene.change)) <= {0, 1}


def test_boxes_lie_in_the_image_and_carry_known_labels(scenes):
    assert {label for s in scenes for label in s.labels} == set(range(len(OBJECT_CLASSES)))
    for scene in scenes:
        height, width = scene.mask.shape
        assert scene.boxes.shape == (len(scene.labels), 4)
        assert scene.quads.shape == (len(scene.labels), 8)
        assert scene.boxes.dtype == scene.quads.dtype == np.float32
        x0, y0, x1, y1 = scene.boxes.T
        assert (x0 >= 0).all() and (y0 >= 0).all()
        assert (x1 <= width).all() and (y1 <= height).all()
        assert (x1 > x0).all() and (y1 > y0).all()


def test_boxes_are_tight_around_the_mask(scenes):
    """Every side of a box touches pixels of its class; no vehicle pixel is left over."""
    for scene in scenes:
        covered = np.zeros(scene.mask.shape, bool)
        for (x0, y0, x1, y1), label in zip(scene.boxes.astype(int), scene.labels,
                                           strict=True):
            craft = OBJECT_CLASSES[label] in ('vehicle', 'ship', 'plane')
            inside = scene.mask[y0:y1, x0:x1] == (VEHICLE if craft else BUILDING)
            covered[y0:y1, x0:x1] |= inside
            for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert side.any()
            # the least filled are planes that fly diagonally, and quads on their corner
            assert inside.mean() > 0.15
        assert not ((scene.mask == VEHICLE) & ~covered).any()
        assert not ((scene.mask == BUILDING) & ~covered).any()


def test_quads_lie_in_their_boxes(scenes):
    """True of rectangular and round things off the border; they fill the box's sides."""
    checked = 0
    for scene in scenes:
        height, width = scene.mask.shape
        for box, quad, label in zip(scene.boxes, scene.quads, scene.labels, strict=True):
            corners = quad.reshape(4, 2)
            low, high = corners.min(0), corners.max(0)
            # the box never lies outside the oriented rectangle's surroundings
            assert (box[:2] > low - 1.01).all() and (box[2:] < high + 1.01).all()
            whole = (low > 1).all() and (high < (width - 1, height - 1)).all()
            if whole and OBJECT_CLASSES[label] in ('vehicle', 'storage_tank', 'building'):
                checked += 1
                assert (low > box[:2] - 1.01).all() and (high < box[2:] + 1.01).all()
    assert checked > 200


def test_without_light_and_noise_the_dates_differ_exactly_at_the_change():
    changed = missed = 0
    for index in range(72):
        scene = generate_scene(5, index, 128, change=True, clean=True)
        different = (scene.image != scene.image2).any(-1)
        assert not (different & (scene.change == 0)).any()
        changed += int(scene.change.sum())
        missed += int((~different & (scene.change == 1)).sum())
        # what the masks tell apart is a change, too
        assert not ((scene.mask != scene.mask2) & (scene.change == 0)).any()
    assert changed > 72 * 128 * 128 * 0.02
    # new content may have the old one's very grey values in all bands, by chance
    assert missed < 0.005 * changed


def test_light_and_noise_change_the_image_but_not_the_mask():
    scene = generate_scene(5, 2, 128, change=True)
    same = scene.change == 0
    assert same.mean() > 0.2
    assert (scene.image != scene.image2).any(-1)[same].mean() > 0.9


def test_clean_bands_agree_whatever_their_number():
    for index in EVERY_CLASS:
        three, five = (generate_scene(1, index, 64, bands, clean=True).image
                       for bands in (3, 5))
        np.testing.assert_array_equal(three, five[..., :3])


def test_near_infrared_tells_vegetation_from_water():
    bright = dict(wood=[], water=[])
    for index in range(36):
        scene = generate_scene(9, index, 96, bands=4)
        red, infrared = scene.image[..., 0].astype(float), scene.image[..., 3].astype(float)
        for name, values in bright.items():
            chosen = scene.mask == SEGMENTATION_CLASSES.index(name)
            if chosen.sum() > 200:
                values.append(infrared[chosen].mean() - red[chosen].mean())
    assert min(map(len, bright.values())) >= 5
    assert min(bright['wood']) > 5 and max(bright['water']) < 0


def test_mean_colour_hardly_tells_the_class():
    """Nearest class mean of mean colours: not far above chance, 1 in 12."""
    images, classes = [], []
    for index in range(600):
        scene = generate_scene(11, index, 48)
        images.append(scene.image.reshape(-1, 3).mean(0))
        classes.append(scene.scene_class)
    colour, classes = np.array(images), np.array(classes)
    fit = np.arange(600) < 360
    means = np.stack([colour[fit & (classes == c)].mean(0) for c in EVERY_CLASS])
    nearest = ((colour[~fit][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == classes[~fit]).mean() < 0.3


@pytest.mark.parametrize('wrong, message', [
    (dict(size=8), 'size must be'), (dict(bands=0), 'bands must be'),
    (dict(scene_class='moon'), "unknown scene class 'moon'"),
    (dict(scene_class=99), 'scene_class must be'), (dict(gsd=0), 'gsd must be')])
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        generate_scene(0, 0, **wrong)


def test_a_large_scene_never_runs_out_of_inks():
    inks = Inks(np.random.default_rng(0))
    numbers = [inks('tile', variant, aspect) for variant in range(100)
               for aspect in (0.0, 1.0, 2.0, 3.0)]
    numbers += [inks(material) for material in MATERIALS]
    assert max(numbers) < 256 and len(set(numbers[-len(MATERIALS):])) == len(MATERIALS)
