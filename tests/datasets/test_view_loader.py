"""From folder to batch, through mmengine's own loader."""
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from cmid_mm.datasets.image_reading import ImageError
from cmid_mm.datasets.samplers import keyed_sampler
from cmid_mm.utils.keyed_random import view_key

PIPELINE = [dict(type='LoadRSImage'), dict(type='CMIDTwoViews', size=16),
            dict(type='PackViews')]


@pytest.fixture
def folder(write, tmp_path):
    random = np.random.default_rng(0)
    for i in range(13):
        height, width = random.integers(20, 40, 2)
        write(f'data/{i % 3}/{i}.png',
              random.integers(0, 256, (height, width, 3), dtype=np.uint8))
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


def test_same_bytes_whatever_the_workers(folder):
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
        monkeypatch.setattr(keyed_sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(batches(folder, batch_size=2))
    # Sample p of the global batch lies in process p % 2, at place p // 2.
    together = [{key: torch.stack([a[key], b[key]], 1).flatten(0, 1) for key in a}
                for a, b in zip(*parts, strict=True)]
    assert same(alone, together)


def test_broken_file_stops_the_run_with_its_name(folder):
    with open(f'{folder}/1/1.png', 'r+b') as file:
        file.truncate(60)
    with pytest.raises(ImageError, match=f'{folder}/1/1.png is .*cut off') as error:
        batches(folder, batch_size=13)
    # A worker's error is made again in the main process, from its type and its text.
    assert str(type(error.value)('text')) == 'text'
