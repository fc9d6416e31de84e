"""Transforms of other packages draw what (seed, epoch, sample) says, in any order."""
import random

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS
from tiny_run import write_images

from cmid_mm.datasets import ImageFolder
from cmid_mm.utils.keyed_random import SampleIndex


@TRANSFORMS.register_module(force=True)
class DrawsGlobally(BaseTransform):

    def transform(self, results):
        return random.random(), np.random.rand(), torch.rand(1).item()


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / 'images', 4)
    return ImageFolder(data_root=str(tmp_path / 'images'), remember=False,
                       pipeline=[dict(type='DrawsGlobally')])


def test_neither_order_nor_neighbours_matter(images):
    wanted = [SampleIndex(i, seed=3, epoch=epoch) for epoch in (0, 1) for i in range(4)]
    forwards = [images[index] for index in wanted]
    torch.rand(7)
    backwards = [images[index] for index in wanted[::-1]][::-1]
    assert forwards == backwards
    # three generators, two epochs, four samples: all differ
    assert len({number for drawn in forwards for number in drawn}) == 24
    assert images[SampleIndex(0, seed=4, epoch=0)] not in forwards
