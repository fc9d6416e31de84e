"""Stop of all processes of a run after the same step when a scheduler sends a signal."""
import signal
import threading

import torch
from mmengine.dist import get_world_size
from torch import distributed

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# EX_TEMPFAIL of sysexits.h: nothing is wrong, the same command resumes the run
EXIT_STATUS = 75


class StopRequest:
    """Handles signals, and lets all processes react to them at the same step.

    A signal may reach one process only, or each at a different step. Therefore every step
    reduces two flags over all processes, on the CPU and without waiting: a step reads the result
    of the step before.
    """

    def __init__(self):
        self.reason = self.group = self.sent = None
        self.handlers = {}

    def listen(self) -> None:
        """Install the handlers; all processes call it together."""
        if get_world_size() > 1 and self.group is None:
            self.group = distributed.new_group(backend='gloo')
        # only the main thread may install handlers, and a training may run in another
        if threading.current_thread() is threading.main_thread() and not self.handlers:
            self.handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}

    def leave(self) -> None:
        """Wait for the last reduction and restore the handlers."""
        if self.sent is not None:
            self.sent[1].wait()
            self.sent = None
        self.release()

    def release(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def agree(self, due: bool) -> tuple[bool, bool]:
        """Whether any process received a signal, and whether ``due`` is set in any.

        Args:
            due (bool): Whether a checkpoint is due by the clock of this process.

        Returns:
            tuple[bool, bool]: The same on every process; of several processes, the result of
            the step before.
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
        """Exit together, because a launcher ends all others as soon as the first one exits.

        Raises:
            SystemExit: Always, with ``EXIT_STATUS``.
        """
        self.leave()
        if self.group is not None:
            distributed.barrier(self.group)
        raise SystemExit(EXIT_STATUS)

    def _handle(self, number, frame) -> None:
        self.reason = signal.Signals(number).name
