"""The input alone: what the workers compute, and what is computed for a batch."""
import copy
import time
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import torch
from mmengine.registry import MODELS, DefaultScope
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.utils.errors import CMIDError

from .timing import rates, take_turns
from .trainee import Variant


def measure_loaders(variants: dict[str, Variant], steps: int, warmup: int,
                    tick: Callable[[], None]) -> dict:
    """Numbers of the input of each variant.

    On one core the variants take turns, batch by batch, in this process. With workers they
    run one after the other, because workers read ahead.

    Args:
        variants (dict[str, Variant]): By name, with ``data_root``.
        steps (int): Batches to measure.
        warmup (int): Batches before these.
        tick (Callable): Called after every batch.

    Returns:
        dict[str, dict]: By name: ``images_per_second`` of processor time on one thread of the
        CPU, and ``ratio`` to the first variant (see ``rates``); the same of its two parts,
        each a ``spread``: ``workers_part`` and ``batch_part``, the data preprocessor (None
        for the published pipeline, whose workers compute everything); ``workers``, and
        ``with_workers``, a ``spread`` of images/s of the workers' part (None without
        workers); ``bytes_per_sample``.
    """
    settings = {name: loader_config(variant) for name, variant in variants.items()}
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        streams = [endless(build_loader(one, workers=0), tick) for one in settings.values()]
        batches = [next(stream) for stream in streams]
        preprocessors = [build_preprocessor(variant) for variant in variants.values()]

        def load(i):
            batches[i] = next(streams[i])

        def prepare(i):
            preprocessors[i](batches[i], training=True)

        calls = [partial(call, i) for i in range(len(streams)) for call in (load, prepare)]
        take_turns(calls, warmup, time.process_time)
        times = take_turns(calls, steps, time.process_time)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    loading, preparing = times[::2], times[1::2]
    whole = [[sum(pair) for pair in zip(*both)] for both in zip(loading, preparing)]
    found = {}
    for i, (name, one) in enumerate(settings.items()):
        workers, size = one.get('num_workers', 0), one.batch_size
        found[name] = dict(
            **rates(whole[i], size, whole[0] if found else ()),
            workers_part=rates(loading[i], size)['images_per_second'],
            batch_part=None if variants[name].published else (
                rates(preparing[i], size)['images_per_second']),
            workers=workers, bytes_per_sample=tensor_bytes(batches[i]) / size,
            with_workers=_rate_of_workers(one, steps, warmup, tick) if workers else None)
    return found


def build_preprocessor(variant: Variant) -> Callable:
    """What prepares a batch, on the CPU; nothing for the published pipeline."""
    if variant.published:
        return lambda batch, training: batch
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(variant.cfg.model.data_preprocessor)


def loader_config(variant: Variant) -> dict:
    """``train_dataloader`` of a variant.

    Raises:
        CMIDError: The data set has no pipeline that the published one could replace.
    """
    settings = copy.deepcopy(variant.cfg.train_dataloader)
    if variant.published:
        if 'pipeline' not in settings.dataset:
            raise CMIDError('--published: train_dataloader.dataset has no pipeline that the '
                            'published one could replace')
        settings.dataset.pipeline = [
            dict(type='PublishedPipeline', size=variant.cfg.model.image_size)]
    return settings


def build_loader(settings: dict, workers: int | None = None) -> DataLoader:
    """Build the loader as a training does; ``workers=0`` keeps it in this process.

    Raises:
        CMIDError, FileNotFoundError: There are no images, or fewer than a batch.
    """
    settings = copy.deepcopy(settings)
    if workers == 0:
        settings.update(num_workers=0, persistent_workers=False)
        settings.pop('prefetch_factor', None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return CMIDRunner.build_dataloader(settings, seed=0)


def endless(loader: DataLoader, tick: Callable[[], None]) -> Iterator[dict]:
    """Batches of epoch after epoch; calls ``tick`` for each but the first."""
    epoch = 0
    while True:
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        for batch in loader:
            yield batch
            tick()
        epoch += 1


def tensor_bytes(batch: dict) -> int:
    """Bytes of a batch's tensors, which pass from a worker to the process."""
    return sum(leaf.nbytes for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor))


def _rate_of_workers(settings: dict, steps: int, warmup: int, tick: Callable) -> dict:
    """``spread`` of images/s with workers.

    Workers deliver in bursts, so one measurement takes as many batches as there are workers.
    """
    loader = build_loader(settings)
    workers, stream = loader.num_workers, endless(loader, tick)

    def take(batches=workers):
        for _ in range(batches):
            next(stream)

    # until the workers run and the prefetched batches are used
    take(warmup + workers * loader.prefetch_factor)
    times, = take_turns([take], max(2, steps // workers), time.perf_counter)
    return rates(times, workers * loader.batch_size)['images_per_second']
