"""A scheduler asks a run to end; all its processes end after the same step."""
import signal
import threading

import torch
from mmengine.dist import get_world_size
from torch import distributed

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# EX_TEMPFAIL of sysexits.h: nothing is wrong, the same command goes on
EXIT_STATUS = 75


class StopRequested(SystemExit):
    """Ends the process with ``EXIT_STATUS`` after its state was saved."""

    def __init__(self):
        super().__init__(EXIT_STATUS)


class StopRequest:
    """Hears signals, and lets all processes learn of them at the same step.

    A signal may reach one process only, or each at another step. So every step reduces two
    flags over all processes, on the CPU and without waiting: what is read is the result of
    the step before.
    """

    def __init__(self):
        self.reason = None
        self.group = None
        self.sent = None
        self.handlers = {}

    def listen(self) -> None:
        """Take over the signals; all processes call it together."""
        if get_world_size() > 1 and self.group is None:
            self.group = distributed.new_group(backend='gloo')
        # only the main thread may, and somebody else may run the training in another
        if threading.current_thread() is threading.main_thread() and not self.handlers:
            self.handlers = {number: signal.signal(number, self._hear) for number in SIGNALS}

    def leave(self) -> None:
        """Bring the last reduction to its end and give the signals back."""
        if self.sent is not None:
            self.sent[1].wait()
            self.sent = None
        self.release()

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def agree(self, due: bool) -> tuple[bool, bool]:
        """Whether a stop was asked for, and whether anything is due, in any process.

        Args:
            due (bool): What this process thinks.

        Returns:
            tuple[bool, bool]: The same on every process, in one process at once, in
            several one step later.
        """
        if self.group is None:
            return self.reason is not None, due
        known = (False, False)
        if self.sent is not None:
            flags, work = self.sent
            work.wait()
            known = tuple(flags.bool().tolist())
        flags = torch.tensor([self.reason is not None, due], dtype=torch.uint8)
        work = distributed.all_reduce(
            flags, distributed.ReduceOp.MAX, group=self.group, async_op=True)
        self.sent = flags, work
        return known

    def end(self) -> None:
        """Leave together: a launcher ends all others as soon as the first one is gone.

        Raises:
            StopRequested: Always.
        """
        self.leave()
        if self.group is not None:
            distributed.barrier(self.group)
        raise StopRequested

    def _hear(self, number, frame) -> None:
        self.reason = signal.Signals(number).name
