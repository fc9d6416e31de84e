"""A real training with its loader, loop and hooks, and its time spent waiting for data."""
import tempfile
from collections.abc import Callable
from contextlib import suppress

from mmengine.hooks import Hook

from .timing import clock_of, rates, seconds
from .trainee import Variant, quiet_runner


class _Done(Exception):
    """All steps were measured."""


class StepTimer(Hook):
    """Records how long a training waits for each batch, and ends it after the last one.

    On a GPU this is the device's wait: from the end of a step until the next batch is there.
    A host that reads ahead in time adds nothing.

    Args:
        clock (Callable): Returns the present moment.
        batches (int): Number of batches to wait for.
        tick (Callable): Called after every batch.

    Attributes:
        moments (list[tuple]): Moments at which every batch was requested and arrived.
    """
    # after the work of the other hooks
    priority = 'LOWEST'

    def __init__(self, clock: Callable, batches: int, tick: Callable[[], None]):
        self.clock = clock
        self.batches = batches
        self.tick = tick
        self.moments = []

    def before_train(self, runner):
        self.requested = self.clock()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.moments.append((self.requested, self.clock()))
        self.tick()
        if len(self.moments) == self.batches:
            raise _Done

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.requested = self.clock()

    def steps(self, warmup: int) -> tuple[list[float], list[float]]:
        """Seconds of every step after the warm-up, and of the wait for the next batch in it."""
        pairs = list(zip(self.moments[warmup:], self.moments[warmup + 1:]))
        return ([seconds(one[1], two[1]) for one, two in pairs],
                [seconds(*two) for _, two in pairs])


def measure_training(variant: Variant, steps: int, warmup: int,
                     tick: Callable[[], None]) -> dict:
    """Train some steps; nothing is saved or evaluated.

    Args:
        variant (Variant): Its loader is the config's, also where it is the published step.
        steps (int): Steps to measure.
        warmup (int): Steps before these.
        tick (Callable): Called after every step.

    Returns:
        dict: ``images_per_second`` (a ``spread``); ``seconds`` of the steps, each from the
        arrival of its batch to that of the next one; ``waiting_share`` of this time.
    """
    # one more batch ends the last step, and every epoch has at least one
    batches = 1 + warmup + steps
    with tempfile.TemporaryDirectory() as work_dir:
        runner = quiet_runner(variant, work_dir)
        loop = runner._train_loop = runner.build_train_loop(runner._train_loop)
        loop._max_epochs = max(batches, loop._max_epochs)
        clock = clock_of(next(runner.model.parameters()).device)
        timer = StepTimer(clock, batches, tick)
        runner.register_hook(timer)
        with suppress(_Done):
            runner.train()
    times, waits = timer.steps(warmup)
    return dict(**rates(times, variant.cfg.train_dataloader.batch_size), seconds=times,
                waiting_share=sum(waits) / sum(times))
