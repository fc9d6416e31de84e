"""From folder to batch, through mmengine's loader."""
import random

import numpy as np
import pytest
import torch
from damaged_images import write_images
from view_batches import same_batches, view_batches

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.samplers import base_sampler
from cmid_mm.utils.keyed_random import SampleIndex, view_key


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / 'data', 13)
    return str(tmp_path / 'data')


def test_same_bytes_for_any_number_of_workers(folder):
    alone = view_batches(folder)
    assert len(alone) == 3 and alone[0]['inputs'].shape == (4, 2, 3, 16, 16)
    assert same_batches(alone, view_batches(folder, workers=2))
    np.random.seed(99)
    torch.manual_seed(99)
    assert same_batches(alone, view_batches(folder))


def test_another_epoch_and_another_seed_give_other_views(folder):
    first, later, other = (
        set(torch.cat([batch['view_keys'].flatten() for batch in run]).tolist())
        for run in (view_batches(folder), view_batches(folder, epoch=1),
                    view_batches(folder, seed=6)))
    assert len(first | later | other) == 3 * 24
    assert later <= {view_key(5, 1, sample, view) for sample in range(13) for view in range(2)}


def test_two_processes_share_the_batches_of_one(folder, monkeypatch):
    alone, parts = view_batches(folder), []
    for rank in range(2):
        monkeypatch.setattr(base_sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(view_batches(folder, batch_size=2))
    # Sample p of the global batch lies in process p % 2, at position p // 2.
    together = [{key: torch.stack([a[key], b[key]], 1).flatten(0, 1) for key in a}
                for a, b in zip(*parts, strict=True)]
    assert same_batches(alone, together)


def test_foreign_transforms_draw_by_seed_epoch_and_sample(folder):
    images = ImageFolder(folder, pipeline=[
        lambda results: (random.random(), np.random.rand(), torch.rand(1).item())])
    wanted = [SampleIndex(i, seed=3, epoch=epoch) for epoch in (0, 1) for i in range(4)]
    forwards = [images[index] for index in wanted]
    torch.rand(7)
    assert [images[index] for index in wanted[::-1]][::-1] == forwards
    # three generators, two epochs, four samples: all differ
    assert len({number for drawn in forwards for number in drawn}) == 24
    assert images[SampleIndex(0, seed=4, epoch=0)] not in forwards
