"""Parallel reading of many files with a progress bar."""
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader, Dataset

from .file_limits import ImageError

_MIN_ITEMS_FOR_WORKERS = 64


def read_in_parallel(items: Dataset, workers: int | None = None,
                     show_progress: bool = True) -> Iterator:
    """Yield every item of a data set, in order.

    Args:
        items (Dataset): Its items can be pickled.
        workers (int, optional): Processes that read; 0 is this one. Defaults to None: one
            per core, at most 16, or this process for fewer than 64 items.
        show_progress (bool): Whether a bar with the remaining time is written to the
            standard error.
    """
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else \
            os.cpu_count() or 1
        workers = min(16, cores) if len(items) >= _MIN_ITEMS_FOR_WORKERS else 0
    # torch's loader starts, feeds and ends worker processes under every start method.
    results = DataLoader(items, batch_size=None, num_workers=workers,
                         collate_fn=_identity, worker_init_fn=_use_one_thread)
    return with_progress(results, len(items)) if show_progress else iter(results)


def spread_places(count: int, most: int) -> list[int]:
    """At most ``most`` of 0 .. ``count`` - 1, evenly spaced."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()


@dataclass
class FolderItems(Dataset):
    """Items of the images of a folder, for :func:`read_in_parallel`.

    Item i is the result of :meth:`read_item` for image i, or the reason why it cannot be used.
    """

    root: str
    files: Sequence[str]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        path = os.path.join(self.root, self.files[index])
        try:
            return self.read_item(index, path)
        except ImageError as error:
            return str(error).removeprefix(path).strip()
        except (OSError, ValueError) as error:
            return f'cannot be read: {error}'

    def read_item(self, index: int, path: str) -> Any:
        raise NotImplementedError


def _identity(item: Any) -> Any:
    return item


def _use_one_thread(worker: int) -> None:
    cv2.setNumThreads(0)


def with_progress(results: Iterable, count: int) -> Iterator:
    """Yield results, with a bar of the remaining time on the standard error."""
    # At most a hundred updates keep a log file readable.
    step = max(1, count // 100)
    bar = ProgressBar(count, file=sys.stderr)
    try:
        for done, result in enumerate(results, 1):
            yield result
            if done % step == 0 or done == count:
                bar.update(done - bar.completed)
    finally:
        sys.stderr.write('\n')
