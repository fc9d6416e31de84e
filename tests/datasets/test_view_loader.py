"""From folder to batch, through mmengine's loader."""
import random

import numpy as np
import pytest
import torch
from damaged_images import write_images
from mmcv.transforms import BaseTransform
from mmengine.runner import Runner
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.image_reading import ImageError
from cmid_mm.datasets.samplers import base_sampler
from cmid_mm.utils.keyed_random import SampleIndex, view_key

PIPELINE = [dict(type='LoadRSImage'), dict(type='CMIDTwoViews', size=16),
            dict(type='PackViews')]


@TRANSFORMS.register_module(force=True)
class DrawsGlobally(BaseTransform):

    def transform(self, results):
        return random.random(), np.random.rand(), torch.rand(1).item()


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / 'data', 13)
    return str(tmp_path / 'data')


def batches(folder, epoch=0, workers=0, batch_size=4, seed=5):
    loader = Runner.build_dataloader(
        dict(dataset=dict(type='ImageFolder', data_root=folder, pipeline=PIPELINE),
             sampler=dict(type='KeyedSampler', shuffle=True), batch_size=batch_size,
             num_workers=workers, drop_last=True,
             collate_fn=dict(type='default_collate')), seed=seed)
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a)


def test_same_bytes_for_any_number_of_workers(folder):
    alone = batches(folder)
    assert len(alone) == 3 and alone[0]['inputs'].shape == (4, 2, 3, 16, 16)
    assert same(alone, batches(folder, workers=2))
    np.random.seed(99)
    torch.manual_seed(99)
    assert same(alone, batches(folder))


def test_another_epoch_and_another_seed_give_other_views(folder):
    keys = [set(torch.cat([batch['view_keys'].flatten() for batch in run]).tolist())
            for run in (batches(folder), batches(folder, epoch=1), batches(folder, seed=6))]
    assert all(len(part) == 24 for part in keys)
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    possible = {view_key(5, 1, sample, view) for sample in range(13) for view in range(2)}
    assert keys[1] <= possible


def test_two_processes_share_the_batches_of_one(folder, monkeypatch):
    alone = batches(folder)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(base_sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(batches(folder, batch_size=2))
    # Sample p of the global batch lies in process p % 2, at position p // 2.
    together = [{key: torch.stack([a[key], b[key]], 1).flatten(0, 1) for key in a}
                for a, b in zip(*parts, strict=True)]
    assert same(alone, together)


def test_a_broken_file_stops_the_run_with_its_name(folder):
    with open(f'{folder}/001.jpg', 'r+b') as file:
        file.truncate(60)
    with pytest.raises(ImageError, match=f'{folder}/001.jpg is ') as error:
        batches(folder, batch_size=13)
    # torch makes a worker's error again in the main process, from its type and its text
    assert str(type(error.value)('text')) == 'text'


def test_foreign_transforms_draw_by_seed_epoch_and_sample(folder):
    images = ImageFolder(folder, pipeline=[dict(type='DrawsGlobally')])
    wanted = [SampleIndex(i, seed=3, epoch=epoch) for epoch in (0, 1) for i in range(4)]
    forwards = [images[index] for index in wanted]
    torch.rand(7)
    assert [images[index] for index in wanted[::-1]][::-1] == forwards
    # three generators, two epochs, four samples: all differ
    assert len({number for drawn in forwards for number in drawn}) == 24
    assert images[SampleIndex(0, seed=4, epoch=0)] not in forwards
