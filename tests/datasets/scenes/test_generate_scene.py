"""Scenes are a pure function of their arguments, and their labels agree with the image."""
import hashlib
import math

import numpy as np
import pytest

from cmid_mm.datasets.scenes import (
    OBJECT_CLASSES,
    SCENE_CLASSES,
    SEGMENTATION_CLASSES,
    generate_scene,
)
from cmid_mm.datasets.scenes.rendering import cast_shadows

FIELDS = ('image', 'mask', 'boxes', 'labels', 'quads', 'image2', 'mask2', 'boxes2',
          'labels2', 'quads2', 'change')
VEHICLE, BUILDING = map(SEGMENTATION_CLASSES.index, ('vehicle', 'building'))
EVERY_CLASS = range(len(SCENE_CLASSES))


def digest(scene):
    """Hash over all arrays of a scene."""
    total = hashlib.sha256()
    for field in FIELDS:
        total.update(np.ascontiguousarray(getattr(scene, field)).tobytes())
    return total.hexdigest()


@pytest.fixture(scope='module')
def scenes():
    """Three scenes of every class."""
    return [generate_scene(7, index, 160) for index in range(3 * len(SCENE_CLASSES))]


def test_a_scene_does_not_depend_on_those_before_nor_on_the_second_date():
    forwards = [generate_scene(3, index, 64, change=True) for index in EVERY_CLASS]
    for index in reversed(EVERY_CLASS):
        with_change, alone = forwards[index], generate_scene(3, index, 64)
        assert digest(with_change) == digest(generate_scene(3, index, 64, change=True))
        np.testing.assert_array_equal(alone.image, with_change.image)
        np.testing.assert_array_equal(alone.boxes, with_change.boxes)
        assert alone.image2 is None and alone.change is None


@pytest.mark.parametrize('other', [dict(seed=4), dict(index=15)])
def test_another_seed_or_index_gives_another_scene(other):
    arguments = dict(seed=3, index=3, size=96)
    first = generate_scene(**arguments)
    second = generate_scene(**{**arguments, **other})
    assert first.scene_class == second.scene_class
    assert (first.mask != second.mask).mean() > 0.05
    assert (first.image != second.image).mean() > 0.9


def test_classes_alternate():
    found = [generate_scene(0, index, 16).scene_class for index in range(24)]
    assert found == 2 * list(EVERY_CLASS)
    named = generate_scene(0, 0, 32, scene_class='harbour')
    assert SCENE_CLASSES[named.scene_class] == 'harbour'


@pytest.mark.parametrize('size', [16, (20, 300), (260, 33), 600])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 9])
def test_every_size_and_band_count(size, bands):
    height, width = (size, size) if isinstance(size, int) else size
    for index in EVERY_CLASS if height * width < 10_000 else (4, 11):
        scene = generate_scene(2, index, size, bands, change=True)
        for image in (scene.image, scene.image2):
            assert image.shape == (height, width, bands) and image.dtype == np.uint8
            assert image.flags.c_contiguous
            assert (image.reshape(-1, bands).std(0) > 0.3).all()
        for mask in (scene.mask, scene.mask2, scene.change):
            assert mask.shape == (height, width) and mask.dtype == np.uint8
        assert scene.mask.max() < len(SEGMENTATION_CLASSES)
        assert set(np.unique(scene.change)) <= {0, 1}


def test_boxes_lie_in_the_image_tight_around_the_mask(scenes):
    assert {label for s in scenes for label in s.labels} == set(range(len(OBJECT_CLASSES)))
    for scene in scenes:
        height, width = scene.mask.shape
        assert scene.boxes.shape == (len(scene.labels), 4)
        assert scene.quads.shape == (len(scene.labels), 8)
        assert scene.boxes.dtype == scene.quads.dtype == np.float32
        assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= (width, height)).all()
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
        # every side of a box touches pixels of its class; no pixel of objects is left over
        covered = np.zeros(scene.mask.shape, bool)
        for (x0, y0, x1, y1), label in zip(scene.boxes.astype(int), scene.labels, strict=True):
            moving = OBJECT_CLASSES[label] in ('vehicle', 'ship', 'plane')
            inside = scene.mask[y0:y1, x0:x1] == (VEHICLE if moving else BUILDING)
            covered[y0:y1, x0:x1] |= inside
            for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert side.any()
        assert not ((scene.mask == VEHICLE) & ~covered).any()
        assert not ((scene.mask == BUILDING) & ~covered).any()


def test_quads_fit_their_boxes(scenes):
    """Boxes lie in the oriented rectangle's bounds, and fill them where nothing is cut off."""
    filled = []
    for scene in scenes:
        height, width = scene.mask.shape
        for box, quad, label in zip(scene.boxes, scene.quads, scene.labels, strict=True):
            corners = quad.reshape(4, 2)
            low, high = corners.min(0), corners.max(0)
            assert (box[:2] > low - 1.3).all() and (box[2:] < high + 1.3).all()
            whole = (low > 1).all() and (high < (width - 1, height - 1)).all()
            if whole and OBJECT_CLASSES[label] in ('vehicle', 'storage_tank', 'building'):
                filled.append((low > box[:2] - 1.3).all() and (high < box[2:] + 1.3).all())
    # few vehicles are partly covered by another one
    assert len(filled) > 200 and np.mean(filled) > 0.98


def test_without_light_and_noise_the_dates_differ_exactly_at_the_change():
    changed = missed = 0
    for index in range(48):
        scene = generate_scene(5, index, 96, change=True, clean=True)
        different = (scene.image != scene.image2).any(-1)
        assert not (different & (scene.change == 0)).any()
        changed += int(scene.change.sum())
        missed += int((~different & (scene.change == 1)).sum())
        assert not ((scene.mask != scene.mask2) & (scene.change == 0)).any()
    assert changed > 48 * 96 * 96 * 0.02
    # new content may have the same grey values in all bands by chance
    assert missed < 0.005 * changed


def test_light_and_noise_change_the_image_but_not_the_mask():
    scene = generate_scene(5, 2, 96, change=True)
    same = scene.change == 0
    assert same.mean() > 0.2
    assert (scene.image != scene.image2).any(-1)[same].mean() > 0.9


def test_shadows_point_away_from_the_sun():
    lengths = np.zeros((40, 40), np.uint8)
    lengths[18:22, 18:22] = 9
    for sun in np.arange(8) * math.pi / 4:
        y, x = np.nonzero(cast_shadows(lengths, sun))
        ahead = (x - 19.5) * math.cos(sun) + (y - 19.5) * math.sin(sun)
        aside = (y - 19.5) * math.cos(sun) - (x - 19.5) * math.sin(sun)
        assert ahead.max() < 1 and -15 < ahead.min() < -9
        assert np.abs(aside).max() < 4
        assert not cast_shadows(lengths, sun)[18:22, 18:22].any()


def test_clean_bands_agree_whatever_their_number():
    for index in EVERY_CLASS:
        three, five = (generate_scene(1, index, 48, bands, clean=True).image
                       for bands in (3, 5))
        np.testing.assert_array_equal(three, five[..., :3])


def test_near_infrared_separates_vegetation_from_water():
    difference = dict(wood=[], water=[])
    for index in range(36):
        scene = generate_scene(9, index, 64, bands=4)
        red, infrared = scene.image[..., 0].astype(float), scene.image[..., 3].astype(float)
        for name, values in difference.items():
            chosen = scene.mask == SEGMENTATION_CLASSES.index(name)
            if chosen.sum() > 200:
                values.append(infrared[chosen].mean() - red[chosen].mean())
    assert min(map(len, difference.values())) >= 4
    assert min(difference['wood']) > 5 and max(difference['water']) < 0


def test_mean_colour_does_not_separate_the_classes():
    """Accuracy of the nearest class mean of mean colours; chance is 1 in 12."""
    images, classes = [], []
    for index in range(240):
        scene = generate_scene(11, index, 32)
        images.append(scene.image.reshape(-1, 3).mean(0))
        classes.append(scene.scene_class)
    colour, classes = np.array(images), np.array(classes)
    fit = np.arange(240) < 144
    means = np.stack([colour[fit & (classes == c)].mean(0) for c in EVERY_CLASS])
    nearest = ((colour[~fit][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == classes[~fit]).mean() < 0.4


@pytest.mark.parametrize('wrong, message', [
    (dict(size=8), 'size'), (dict(bands=0), 'bands'), (dict(bands=2.5), 'bands'),
    (dict(scene_class='moon'), "'moon'"), (dict(scene_class=99), '99'), (dict(gsd=0), 'gsd')])
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        generate_scene(0, 0, **wrong)
