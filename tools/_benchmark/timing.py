"""Moments on the host or on a GPU, and statistics of the time between them."""
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch


def clock_of(device: torch.device) -> Callable:
    """Function that returns the present moment, see :func:`seconds`.

    On a GPU a moment is a CUDA event: the host runs ahead of the device as in training, and
    the time between two events is the device's, idle time included.
    """
    return _record_event if device.type == 'cuda' else time.perf_counter


def _record_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def seconds(begin, end) -> float:
    """Seconds between two moments of the same clock; waits for the device."""
    if isinstance(end, torch.cuda.Event):
        end.synchronize()
        return begin.elapsed_time(end) / 1000
    return end - begin


def take_turns(calls: Sequence[Callable], rounds: int, clock: Callable) -> list[list[float]]:
    """Time several calls in turn (A B A B), so that a disturbance affects all of them.

    Args:
        calls (Sequence[Callable]): Without arguments.
        rounds (int): How often each is called.
        clock (Callable): Returns the present moment.

    Returns:
        list[list[float]]: Seconds of every round, for each call.
    """
    moments = [[] for _ in calls]
    for _ in range(rounds):
        for call, noted in zip(calls, moments):
            begin = clock()
            call()
            noted.append((begin, clock()))
    return [[seconds(*pair) for pair in noted] for noted in moments]


def spread(values: Sequence[float]) -> dict:
    """``median`` and ``quartiles`` ([lower, upper]) of at least one measurement."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return dict(median=median, quartiles=[low, high])


def rates(times: Sequence[float], images: int, baseline: Sequence[float] = ()) -> dict:
    """Statistics of the speed.

    Args:
        times (Sequence[float]): Seconds of each round.
        images (int): Images of a round.
        baseline (Sequence[float]): Seconds of the baseline in the same rounds. Both members
            of a pair are neighbours in time, so that their ratio is steadier than the ratio
            of the medians.

    Returns:
        dict: ``images_per_second`` and, with a baseline, ``ratio`` to its speed, each a
        :func:`spread`.
    """
    found = dict(images_per_second=spread([images / value for value in times]))
    if baseline:
        found['ratio'] = spread([one / two for one, two in zip(baseline, times, strict=True)])
    return found
