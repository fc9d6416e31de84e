import random
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))

from _benchmark.loader import tensor_bytes  # noqa: E402
from _benchmark.published import PublishedPipeline, distort  # noqa: E402


@pytest.fixture
def path(tmp_path):
    draw = np.random.default_rng(0)
    image = cv2.resize(draw.integers(0, 256, (6, 5, 3)).astype(np.uint8), (300, 260))
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    return str(tmp_path / 'image.png')


@pytest.fixture(autouse=True)
def seeds():
    random.seed(0)
    np.random.seed(0)


def samples(path, number=1, **arguments):
    pipeline = PublishedPipeline(**arguments)
    return [pipeline(dict(img_path=path)) for _ in range(number)]


def test_what_leaves_the_worker_is_what_was_published(path):
    sample, = samples(path)
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in sample.items()}
    images = ((3, 224, 224), torch.float32)
    assert shapes == dict(
        img=images, mim_img=images, view=images, view_mim_img=images,
        mask=((56, 56), torch.int64), view_mask=((56, 56), torch.int64),
        locations=((2, 7, 7, 2), torch.float32))
    # 2.46 MB
    assert tensor_bytes(sample) == 2_459_408


@pytest.mark.parametrize('image, masked, mask', [
    ('img', 'mim_img', 'mask'), ('view', 'view_mim_img', 'view_mask')])
def test_masked_pixels_are_the_mean_of_their_band(path, image, masked, mask):
    sample, = samples(path)
    cells = sample[mask].reshape(7, 8, 7, 8)
    assert torch.equal(cells.amin((1, 3)), cells.amax((1, 3)))
    assert cells[:, 0, :, 0].sum() == 30
    masked_pixels = sample[mask].repeat_interleave(4, 0).repeat_interleave(4, 1).bool()
    for whole, filled in zip(sample[image], sample[masked]):
        assert torch.equal(filled[~masked_pixels], whole[~masked_pixels])
        torch.testing.assert_close(filled[masked_pixels],
                                   whole.mean().expand(int(masked_pixels.sum())))


def test_grids_lie_in_the_squashed_image_and_half_are_mirrored(path):
    grids = torch.cat([sample['locations'] for sample in samples(path, 60, size=64)])
    assert grids.min() > 0 and grids.max() < 64
    steps = grids[:, 0, 1, 1] - grids[:, 0, 0, 1]
    assert 0.35 < (steps < 0).float().mean() < 0.65
    areas = (grids[:, 1, 0, 0] - grids[:, 0, 0, 0]) * steps.abs() * 2 * 2 / 64**2
    assert areas.min() > 0.28 and areas.max() <= 1 and 0.5 < areas.mean() < 0.75


def test_distortions_come_as_often_as_published():
    grey = np.full((32, 32, 3), 100, np.uint8)
    views = np.stack([distort(grey) for _ in range(400)]).astype(float)
    # on a grey picture only noise makes pixels differ: variance 10 to 50, rounded down
    noisy = views[views.std((1, 2, 3)) > 1]
    assert 0.5 < len(noisy) / 400 < 0.7
    variances = noisy.var((1, 2)).mean(1)
    assert 10 < np.median(variances) < 50
    # brightness reaches 140, solarisation turns what is above 127 upside down
    colour = np.zeros((32, 32, 3), np.uint8) + np.uint8([200, 100, 50])
    alike = [np.ptp(distort(colour).astype(int), axis=2).max() < 1 for _ in range(400)]
    assert 0.12 < np.mean(alike) < 0.28
