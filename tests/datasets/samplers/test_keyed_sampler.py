import itertools

import numpy as np
import pytest
from mmengine.runner import Runner
from mmpretrain.registry import DATA_SAMPLERS

from cmid_mm.datasets.samplers import BaseKeyedSampler, KeyedSampler, base_sampler
from cmid_mm.utils.keyed_random import SampleIndex


def order(count, epoch=0, start=0, sampler=KeyedSampler, **kwargs):
    sampler = sampler(range(count), **{'seed': 3, **kwargs})
    sampler.set_epoch(epoch)
    sampler.start = start
    indices = list(sampler)
    assert len(indices) == len(sampler) - start
    return indices


@pytest.fixture
def ranks(monkeypatch):
    """``ranks(W, count)``: the indices of each of W processes."""
    def call(world_size, count, **kwargs):
        result = []
        for rank in range(world_size):
            monkeypatch.setattr(base_sampler, 'get_dist_info',
                                lambda rank=rank: (rank, world_size))
            result.append(order(count, **kwargs))
        return result
    return call


def test_a_permutation_with_seed_and_epoch():
    indices = order(101, epoch=5)
    assert sorted(indices) == list(range(101)) != indices
    assert all(type(i) is SampleIndex and (i.seed, i.epoch) == (3, 5) for i in indices)
    assert order(5, shuffle=False) == [0, 1, 2, 3, 4]


def test_pure_function_of_seed_and_epoch():
    assert order(101, epoch=2) == order(101, epoch=2)
    different = [order(101, seed=seed, epoch=epoch) for seed in (3, 4) for epoch in (0, 1)]
    for one, other in itertools.combinations(different, 2):
        # Independent orders agree in about one position.
        assert np.mean(np.array(one) == np.array(other)) < 0.1


def test_an_epoch_set_during_a_pass_is_that_of_the_next():
    sampler = KeyedSampler(range(9), seed=0)
    started = iter(sampler)
    first = next(started)
    sampler.set_epoch(1)
    assert [first, *started] == order(9, seed=0)
    assert {index.epoch for index in sampler} == {1}


@pytest.mark.parametrize('world_size', [2, 3, 4])
def test_processes_interleave_one_global_order(ranks, world_size):
    whole = order(24)
    parts = ranks(world_size, 24)
    assert [parts[p % world_size][p // world_size] for p in range(24)] == whole
    # a resumed epoch continues where each process stopped
    assert ranks(world_size, 24, start=3) == [part[3:] for part in parts]


@pytest.mark.parametrize('count', [16, 17, 19, 23, 31])
@pytest.mark.parametrize('global_batch', [4, 8])
def test_global_batches_do_not_depend_on_the_processes(ranks, count, global_batch):
    def batches(world_size):
        size = global_batch // world_size
        parts = ranks(world_size, count)
        steps = {len(part) // size for part in parts}  # drop_last=True of the loader
        assert len(steps) == 1
        return [sorted(index for part in parts for index in part[s * size:(s + 1) * size])
                for s in range(steps.pop())]

    assert batches(1) == batches(2) == batches(4)
    assert len(batches(1)) == count // global_batch


def test_round_up_repeats_the_first_samples(ranks):
    whole = order(10)
    parts = ranks(4, 10, round_up=True)
    assert [len(part) for part in parts] == [3] * 4
    assert [parts[p % 4][p // 4] for p in range(12)] == whole + whole[:2]
    assert len(ranks(4, 10)[0]) == 2


def test_a_sampler_of_another_order_needs_one_method(ranks):
    class EverySecond(BaseKeyedSampler):
        def num_samples(self):
            return len(self.dataset) // 2

        def epoch_samples(self):
            return 2 * np.roll(np.arange(self.num_samples()), self.epoch)

    assert order(9, epoch=1, sampler=EverySecond) == [6, 0, 2, 4]
    assert ranks(2, 9, epoch=1, start=1, sampler=EverySecond) == [[2], [4]]


def test_the_runner_passes_its_seed():
    loader = Runner.build_dataloader(
        dict(dataset=list(range(10)), batch_size=4, num_workers=0, drop_last=True,
             sampler=dict(type='KeyedSampler', shuffle=True)), seed=11)
    assert loader.sampler.seed == 11 and len(loader) == 2
    assert isinstance(DATA_SAMPLERS.build(dict(type='KeyedSampler', dataset=[1])).seed, int)
