"""The data loader alone."""
import copy
import time
from collections.abc import Callable, Iterator

import cv2
import torch
from mmengine.registry import DefaultScope
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.utils.errors import CMIDError

from .timing import paired_ratios, rates, take_turns
from .trainee import Variant


def measure_loaders(variants: dict[str, Variant], steps: int, warmup: int,
                    tick: Callable[[], None]) -> dict:
    """Numbers of the loader of each variant.

    On one core the variants take turns, batch by batch, in this process. With workers they
    run one after the other, because workers read ahead.

    Args:
        variants (dict[str, Variant]): By name, with ``data_root``.
        steps (int): Batches to measure.
        warmup (int): Batches before these.
        tick (Callable): Called after every batch.

    Returns:
        dict[str, dict]: By name: ``per_core``, images a second of processor time, without
        workers on one thread, and ``ratio`` to the first variant, except for itself (each a
        ``spread``); ``workers``; ``with_workers``, images/s (a ``spread``; None without
        workers); ``bytes_per_sample``.
    """
    settings = {name: loader_config(variant) for name, variant in variants.items()}
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        streams = [endless(build_loader(without_workers(one))) for one in settings.values()]
        samples = [next(stream) for stream in streams]

        def call(stream):
            next(stream)
            tick()

        calls = [lambda stream=stream: call(stream) for stream in streams]
        take_turns(calls, warmup, time.process_time)
        times = take_turns(calls, steps, time.process_time)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    found = {}
    for (name, one), own, batch in zip(settings.items(), times, samples):
        workers = one.get('num_workers', 0)
        found[name] = dict(
            per_core=rates(own, one.batch_size), workers=workers,
            bytes_per_sample=tensor_bytes(batch) / one.batch_size,
            with_workers=_rate_of_workers(one, steps, warmup, tick) if workers else None)
        if own is not times[0]:
            found[name]['ratio'] = paired_ratios(times[0], own)
    return found


def loader_config(variant: Variant) -> dict:
    """``train_dataloader`` of a variant.

    Raises:
        CMIDError: The data set has no pipeline that the published one could replace.
    """
    cfg = copy.deepcopy(variant.cfg)
    if variant.published:
        if 'pipeline' not in cfg.train_dataloader.dataset:
            raise CMIDError('--published: train_dataloader.dataset has no pipeline that the '
                            'published one could replace')
        cfg.train_dataloader.dataset.pipeline = [
            dict(type='PublishedPipeline', size=cfg.model.image_size)]
    return cfg.train_dataloader


def without_workers(settings: dict) -> dict:
    """The same loader in this process."""
    settings = copy.deepcopy(settings)
    settings.update(num_workers=0, persistent_workers=False)
    settings.pop('prefetch_factor', None)
    return settings


def build_loader(settings: dict) -> DataLoader:
    """Build the loader as a training does.

    Raises:
        CMIDError, FileNotFoundError: There are no images, or fewer than a batch.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return CMIDRunner.build_dataloader(copy.deepcopy(settings), seed=0)


def endless(loader: DataLoader) -> Iterator[dict]:
    """Batches of epoch after epoch."""
    epoch = 0
    while True:
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def tensor_bytes(batch: dict) -> int:
    """Bytes of a batch's tensors, which pass from a worker to the process."""
    return sum(leaf.nbytes for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor))


def _rate_of_workers(settings: dict, steps: int, warmup: int, tick: Callable) -> dict:
    """:func:`spread` of images/s of the workers.

    Workers deliver in bursts, so one measurement takes as many batches as there are workers.
    """
    loader = build_loader(settings)
    workers, stream = loader.num_workers, endless(loader)
    # until the workers run and the prefetched batches are used
    for _ in range(warmup + workers * loader.prefetch_factor):
        next(stream)

    def call():
        for _ in range(workers):
            next(stream)
            tick()

    times, = take_turns([call], max(2, steps // workers), time.perf_counter)
    return rates(times, workers * loader.batch_size)
