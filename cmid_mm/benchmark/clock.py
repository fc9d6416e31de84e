"""Time on the host or on the accelerator's own stream."""
import time

import torch


class HostClock:
    """For devices that have done a piece of work when its call returns."""

    def now(self) -> float:
        """A moment."""
        return time.perf_counter()

    def wait(self) -> None:
        """Until all work is done, and so all moments have come."""

    def seconds(self, begin: float, end: float) -> float:
        """Between two moments."""
        return end - begin


class ProcessorClock(HostClock):
    """Processor time of this process: other processes, and waiting for a disk, count nothing."""

    def now(self) -> float:
        return time.process_time()


class StreamClock:
    """Moments are CUDA events: the host goes ahead as it does in training.

    Between two moments lies the time that the device took from having done what came
    before the first to having done what came before the second, idle time included.
    """

    def now(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def wait(self) -> None:
        torch.cuda.synchronize()

    def seconds(self, begin: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Between two moments; only after :meth:`wait`."""
        return begin.elapsed_time(end) / 1000


def clock_of(device: torch.device) -> HostClock | StreamClock:
    """The clock of a device."""
    return StreamClock() if device.type == 'cuda' else HostClock()
