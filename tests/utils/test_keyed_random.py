"""The keyed random numbers: reproducible to the bit, independent, of the right law."""
import copy
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset

from cmid_mm.utils.keyed_random import (
    SampleIndex,
    Stream,
    generator,
    normal,
    seed_globally,
    uniform,
    view_key,
)


def keys_of(count, epoch=0):
    return torch.tensor([view_key(7, epoch, sample, 1) for sample in range(count)])


def reference_bits(keys, stream, count):
    """The same hash in NumPy's unsigned integers, one key at a time."""
    def mix(x):
        x = np.asarray(x, np.uint32)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x ^ (x >> np.uint32(16))

    rows = []
    with np.errstate(over='ignore'):
        for key in keys:
            low, high = np.array([key], np.int64).view(np.uint32)
            step = np.uint32(stream * 0x9E3779B9 % 2**32)
            start = mix(mix(low + step) ^ high)
            twist = mix(mix(high + step) ^ low)
            elements = np.arange(count, dtype=np.uint32) * np.uint32(0x85EBCA6B)
            rows.append(mix(mix(elements + start) ^ twist))
    return np.stack(rows)


def distance_from_law(values, cumulative):
    """Kolmogorov's statistic times sqrt(n); above 1.95 in 1 of 1000 samples."""
    values = values.double().flatten().sort().values
    n = len(values)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    law = cumulative(values)
    gap = torch.maximum((law - steps[:-1]).abs(), (law - steps[1:]).abs())
    return gap.max().item() * n**0.5


class TestSampleIndex:

    def test_seed_epoch_and_sample_survive_arithmetic_and_the_way_to_a_worker(self):
        index = SampleIndex(3, seed=5, epoch=9)
        assert 'abcdef'[index] == 'd' and index.sample == 3 and type(index.sample) is int
        # a copy goes the way that a queue between processes takes
        for given, number, sample in (
                (index, 3, 3), (SampleIndex(14, 5, 9, 3) - 11, 3, 3),
                ((SampleIndex(np.int64(25), 5, 9) % 20 - 4) % 3, 1, 25)):
            index = copy.copy(given)
            assert (index, index.seed, index.epoch, index.sample) == (number, 5, 9, sample)
            assert f'sample={sample}' in repr(index)

    def test_survives_a_concatenation_of_datasets(self):
        class Probe(torch.utils.data.Dataset):
            metainfo = {}

            def __len__(self):
                return 4

            def full_init(self):
                pass

            def __getitem__(self, index):
                return index

        joined = ConcatDataset.__new__(ConcatDataset)
        joined.datasets, joined.cumulative_sizes = [Probe(), Probe()], [4, 8]
        joined._fully_initialized = True
        which, index = joined._get_ori_dataset_idx(SampleIndex(6, 5, 9))
        assert (which, index, index.seed, index.epoch, index.sample) == (1, 2, 5, 9, 6)


class TestViewKey:

    def test_is_pinned_across_machines_and_versions(self):
        assert view_key(0, 0, 0, 0) == 4471958607705214174
        assert view_key(1, 20, 300, 1) == -3596132684836871175

    def test_depends_on_all_four_and_on_their_places(self):
        keys = {view_key(*parts) for parts in np.ndindex(4, 4, 40, 2)}
        assert len(keys) == 4 * 4 * 40 * 2
        assert all(-2**63 <= key < 2**63 for key in keys)
        assert min(keys) < 0 < max(keys)

    def test_takes_integers_of_any_kind(self):
        index = SampleIndex(300, 1, 20)
        assert view_key(np.int64(1), torch.tensor(20), index, 1) == view_key(1, 20, 300, 1)


class TestGenerator:

    def test_is_a_pure_function_of_the_key(self):
        first, again, other = (generator(key).random(4) for key in (-3, -3, -2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_consecutive_samples_are_uncorrelated(self):
        draws = np.stack([generator(view_key(0, 0, i, 0)).random(2) for i in range(4000)])
        shifted = np.corrcoef(np.concatenate([draws[1:], draws[:-1]], axis=1).T)
        assert np.abs(shifted - np.eye(4)).max() < 5 / 4000**0.5


class TestUniform:

    def test_equals_the_unsigned_reference_bit_for_bit(self):
        keys = torch.cat([keys_of(5), torch.tensor([0, -1, 2**63 - 1, -2**63, 2**31])])
        for stream in (*Stream, 0, 1000):
            bits = reference_bits(keys.tolist(), int(stream), 1001)
            expected = (bits >> 8).astype(np.float32) * np.float32(2**-24)
            assert np.array_equal(uniform(keys, stream, 7, 11, 13).numpy(),
                                  expected.reshape(-1, 7, 11, 13))
            assert np.array_equal(uniform(keys, stream).numpy(), expected[:, 0])

    def test_follows_the_law_within_and_across_samples(self):
        within = uniform(keys_of(2), 1, 100_000)
        across = uniform(keys_of(20_000), 1, 3)
        counted = uniform(torch.arange(20_000), 1, 3)
        for values in (*within, *across.T, *counted.T):
            assert distance_from_law(values, lambda x: x) < 1.95
        assert within.min() >= 0
        assert within.max() < 1

    @pytest.mark.parametrize('keys', [keys_of(20_000), torch.arange(20_000),
                                      torch.arange(20_000) << 32])
    def test_samples_streams_and_elements_are_uncorrelated(self, keys):
        columns = [uniform(keys, stream, 4) for stream in Stream]
        columns += [columns[0].roll(shift, 0) for shift in (1, 2)]
        correlation = torch.corrcoef(torch.cat(columns, dim=1).double().T)
        off_diagonal = correlation - torch.eye(len(correlation))
        assert off_diagonal.abs().max() < 5 / 20_000**0.5

    def test_neighbouring_elements_are_uncorrelated(self):
        values = uniform(keys_of(1), 1, 100_000)[0].double() - 0.5
        for lag in (1, 2, 3, 224, 50_000):
            product = (values[lag:] * values[:-lag]).mean() * 12
            assert abs(product) < 5 / (100_000 - lag)**0.5

    @pytest.mark.parametrize('bit', [0, 1, 30, 31, 32, 33, 62])
    def test_one_bit_of_the_key_changes_half_of_the_bits(self, bit):
        keys = keys_of(2000)
        first, second = ((uniform(k, 1, 4) * 2**24).to(torch.int32)
                         for k in (keys, keys ^ (1 << bit)))
        flipped = torch.stack([(first ^ second) >> i & 1 for i in range(24)])
        rates = flipped.double().mean(dim=(1, 2))
        assert (rates - 0.5).abs().max() < 5 * 0.5 / 8000**0.5


class TestNormal:

    def test_equals_the_formula_of_the_reference_bits(self):
        keys = keys_of(3)
        for count in (1, 2, 9):
            half = (count + 1) // 2
            bits = reference_bits(keys.tolist(), 4, 2 * half).astype(np.int64) >> 8
            u, v = np.split(bits / 2**24, 2, axis=1)
            radius = np.sqrt(-2 * np.log(1 - u))
            angle = 2 * np.pi * v
            expected = np.concatenate(
                [radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :count]
            np.testing.assert_allclose(normal(keys, 4, count), expected, atol=2e-6)

    def test_follows_the_law(self):
        values = normal(keys_of(4), 2, 3, 100, 101)
        assert values.shape == (4, 3, 100, 101)
        assert torch.isfinite(values).all()
        for sample in values:
            assert distance_from_law(sample, torch.special.ndtr) < 1.95

    def test_the_two_halves_of_a_pair_are_independent(self):
        cosine, sine = normal(keys_of(1), 2, 2, 50_000)[0].double()
        for first, second in ((cosine, sine), (cosine**2, sine**2)):
            pair = torch.corrcoef(torch.stack([first, second]))
            assert abs(pair[0, 1]) < 5 / 50_000**0.5


def test_nothing_waits_for_the_device():
    # Tensors of the meta device have no values, so whatever requests one fails there.
    keys = torch.empty(3, dtype=torch.int64, device='meta')
    assert uniform(keys, 1, 4, 5).shape == (3, 4, 5)
    assert normal(keys, 1, 5).device.type == 'meta'


@pytest.mark.parametrize('key', [0, 7, -5, 2**63 - 1, -2**63])
def test_generators_of_the_process_are_the_same_without_those_of_devices(key, monkeypatch):
    def draws():
        return random.random(), np.random.rand(), torch.rand(3).tolist()

    seed_globally(key)
    expected = draws()
    assert draws() != expected
    seeded = []
    monkeypatch.setattr(torch.cuda, 'manual_seed_all', seeded.append)
    seed_globally(key, devices=False)
    assert draws() == expected and not seeded
    seed_globally(key)
    assert seeded == [key]
