import time

import pytest
from tiny_run import tiny_config

from cmid_mm.benchmark.clock import HostClock
from cmid_mm.benchmark.training import TimedLoader, measure_training, waiting
from cmid_mm.benchmark.variants import BUILT_IN, Variant


class Loader:
    batch_size = 4

    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 3

    def __iter__(self):
        for batch in range(3):
            time.sleep(self.seconds)
            yield batch


def share(loading, working):
    """Share of waiting over three epochs of three batches, less the last one."""
    loader, seen, ends = TimedLoader(Loader(loading), HostClock(), 8, at_end=lambda: 0), [], []
    loader.at_end = lambda: ends.append(len(seen))
    while not ends:
        for batch in loader:
            time.sleep(working)
            seen.append(batch)
    assert seen == [0, 1, 2, 0, 1, 2, 0] and ends == [7]
    whole, waits = waiting(loader.moments, HostClock())
    assert len(whole) == len(waits) == 7
    return sum(waits) / sum(whole)


def test_a_slow_loader_is_waited_for_and_an_instant_one_is_not():
    assert share(0.1, 0) > 0.9
    assert share(0, 0.1) < 0.1


def test_the_loader_behind_it_can_be_reached():
    loader = TimedLoader(Loader(0), HostClock(), 1)
    assert len(loader) == 3 and loader.batch_size == 4


def test_a_real_training(tmp_path):
    """Four steps an epoch; more epochs than the config has; nothing is left behind."""
    cfg = tiny_config(tmp_path)
    ticks = []
    found = measure_training(cfg, BUILT_IN['default'], 10, 2, lambda: ticks.append(0))
    assert len(found['seconds']) == found['waiting_seconds']['count'] == 10
    assert found['images_per_second']['count'] == 10
    assert 0 < found['waiting_share'] < 1
    assert cfg.train_cfg.max_epochs == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images']


def test_a_training_waits_for_a_slow_data_set(tmp_path, monkeypatch):
    from cmid_mm.datasets import ImageFolder
    original = ImageFolder.prepare_data

    def slow(*args, **kwargs):
        time.sleep(0.5)
        return original(*args, **kwargs)

    monkeypatch.setattr(ImageFolder, 'prepare_data', slow)
    # else every image would be read for it first
    statistics = {'model.data_preprocessor.mean': [100.] * 3,
                  'model.data_preprocessor.std': [50.] * 3}
    cfg = tiny_config(tmp_path, options=statistics)
    assert measure_training(cfg, BUILT_IN['default'], 2, 1)['waiting_share'] > 0.7


def test_a_loop_of_iterations_is_refused(tmp_path):
    cfg = tiny_config(tmp_path)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    with pytest.raises(ValueError, match='--parts train needs a loop of epochs'):
        measure_training(cfg, Variant('default'), 1, 0)
