"""How far a measurement is."""
import sys
import time
from datetime import timedelta

SECONDS_BETWEEN_LINES = 15


class Progress:
    """Counts what is done and says now and then how long the rest will take.

    Args:
        title (str): What is being done.
        total (int): How many calls of :meth:`tick` there will be, about.
    """

    def __init__(self, title: str, total: int):
        self.title = title
        self.total = total
        self.done = 0
        self.started = self.last = time.perf_counter()

    def tick(self) -> None:
        """One more is done."""
        self.done = min(self.done + 1, self.total)
        now = time.perf_counter()
        if now - self.last < (1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES):
            return
        self.last = now
        left = (now - self.started) / self.done * (self.total - self.done)
        line = (f'{self.title}: {self.done} of {self.total}, '
                f'{timedelta(seconds=round(left))} left')
        print(line, end='\r' if sys.stderr.isatty() else '\n', file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line of a terminal."""
        if sys.stderr.isatty():
            print('\x1b[2K', end='\r', file=sys.stderr, flush=True)
