"""The loader by itself."""
import copy
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from cmid_mm.engine.runners import CMIDRunner

from .clock import ProcessorClock
from .spread import paired_ratios, rates
from .step import in_turn
from .variants import Variant, apply_variant


def loader_config(cfg: Config, variant: Variant) -> dict:
    """``train_dataloader`` of a variant.

    Raises:
        ValueError: The published pipeline has no place in this data set.
    """
    loader = copy.deepcopy(apply_variant(cfg, variant).train_dataloader)
    if variant.published_loader:
        if 'pipeline' not in loader.dataset:
            raise ValueError(f'{variant.name}: train_dataloader.dataset has no pipeline that '
                             'the published one could replace')
        loader.dataset.pipeline = [
            dict(type='PublishedPipeline', size=cfg.model.image_size)]
    return loader


def build_loader(settings: dict, seed: int = 0) -> DataLoader:
    """The loader as a training builds it.

    Raises:
        ValueError, FileNotFoundError: There are no images, or fewer than a batch.
    """
    # registers what only the benchmark reads
    from . import published_pipeline  # noqa: F401
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return CMIDRunner.build_dataloader(copy.deepcopy(settings), seed=seed)


def endless(loader: DataLoader) -> Iterator[dict]:
    """Batches of epoch after epoch."""
    epoch = 0
    while True:
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def bytes_per_sample(batch: dict, size: int) -> float:
    """Bytes of a batch's tensors over its samples: what crosses from worker to process."""
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(batch)
               if isinstance(leaf, torch.Tensor)) / size


def measure_loaders(cfg: Config, variants: Sequence[Variant], steps: int, warmup: int,
                    tick: Callable[[], None] = lambda: None) -> dict:
    """Numbers of the loader, of each variant.

    On one core the variants take turns, batch by batch, in this process. With workers they
    follow one another, because workers read ahead.

    Args:
        cfg (Config): Of a training, with its ``data_root``.
        variants (Sequence[Variant]): Those that change nothing about the loader give the
            same numbers again.
        steps (int): Batches that count.
        warmup (int): Batches before.
        tick (Callable): Called after every batch.

    Returns:
        dict[str, dict]: By the variant's name: ``per_core``, images a second of processor
        time, without workers on one thread, and ``ratio`` to the first one's, unless it is
        the first (each a ``spread``); ``workers``; ``with_workers``, see ``_drain``, None where the
        config has none; ``bytes_per_sample``.
    """
    settings = [loader_config(cfg, variant) for variant in variants]
    clock = ProcessorClock()
    size = cfg.train_dataloader.batch_size
    with single_thread():
        streams = [endless(build_loader(without_workers(one))) for one in settings]
        batches = [next(stream) for stream in streams]

        def call(stream):
            next(stream)
            tick()

        calls = [lambda stream=stream: call(stream) for stream in streams]
        in_turn(calls, warmup, clock)
        seconds = in_turn(calls, steps, clock)
    found = {}
    for variant, one, own, batch in zip(variants, settings, seconds, batches):
        workers = one.get('num_workers', 0)
        found[variant.name] = dict(
            per_core=rates(own, size), workers=workers,
            bytes_per_sample=bytes_per_sample(batch, size),
            with_workers=_drain(one, steps, warmup, tick) if workers else None)
        if variant is not variants[0]:
            found[variant.name]['ratio'] = paired_ratios(seconds[0], own)
    return found


def _drain(settings: dict, steps: int, warmup: int, tick: Callable) -> dict:
    """Take batches of the workers as fast as they come.

    Workers hand over in bursts, so as many batches as there are workers are one
    measurement.

    Returns:
        dict: ``images_per_second``, a ``spread``; ``per_worker``, its median over the
        workers; ``per_cpu_second``, images over the processor time of this process and
        its workers, which what else runs on the machine cannot change much (None where the
        system does not tell).
    """
    loader = build_loader(settings)
    workers, size = loader.num_workers, loader.batch_size
    stream = endless(loader)
    # until the workers run and what they read ahead at the start is used up
    for _ in range(warmup + workers * (loader.prefetch_factor or 0)):
        next(stream)
    groups = max(2, steps // workers)
    before = _cpu_seconds()
    moments = [time.perf_counter()]
    for _ in range(groups):
        for _ in range(workers):
            next(stream)
            tick()
        moments.append(time.perf_counter())
    spent = None if before is None else _cpu_seconds() - before
    seconds = [end - begin for begin, end in zip(moments, moments[1:])]
    rate = rates(seconds, workers * size)
    return dict(images_per_second=rate, per_worker=rate['median'] / workers,
                per_cpu_second=groups * workers * size / spent if spent else None)


def without_workers(settings: dict) -> dict:
    """The same loader, in this process."""
    settings = copy.deepcopy(settings)
    settings.update(num_workers=0, persistent_workers=False)
    settings.pop('prefetch_factor', None)
    return settings


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for torch and OpenCV."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _cpu_seconds() -> float | None:
    """Processor time so far of this process and of its children that run; Linux only."""
    ticks = 0
    for child in multiprocessing.active_children():
        stat = Path(f'/proc/{child.pid}/stat')
        if not stat.is_file():
            return None
        # behind the name, which may hold anything: user and system time are fields 14, 15
        fields = stat.read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf('SC_CLK_TCK')
