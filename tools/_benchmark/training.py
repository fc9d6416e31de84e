"""A real training with its loader, loop and hooks, and its time spent waiting for data."""
import tempfile
from collections.abc import Callable, Iterator

from mmengine.runner import EpochBasedTrainLoop

from cmid_mm.utils.errors import CMIDError

from .timing import clock_of, rates, seconds
from .trainee import Variant, quiet_runner


class TimedLoader:
    """A loader that records how long a training waits for each batch.

    On a GPU this is the device's wait: from the end of a step until the next batch is there.
    A host that reads ahead in time adds nothing.

    Args:
        loader (DataLoader): Loader of the training.
        clock (Callable): Returns the present time.
        on_batch (Callable): Called with the number of batches so far; a true result ends
            the epoch.

    Attributes:
        moments (list[tuple]): Times at which every batch was requested and arrived.
    """

    def __init__(self, loader, clock: Callable, on_batch: Callable[[int], bool]):
        self.loader = loader
        self.clock = clock
        self.on_batch = on_batch
        self.moments = []

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator:
        # the start of an epoch is included in the waiting time
        requested = self.clock()
        for batch in self.loader:
            self.moments.append((requested, self.clock()))
            if self.on_batch(len(self.moments)):
                return
            yield batch
            requested = self.clock()


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

    Raises:
        CMIDError: The config does not train by epochs.
    """
    with tempfile.TemporaryDirectory() as work_dir:
        runner = quiet_runner(variant, work_dir)
        loop = runner.build_train_loop(runner._train_loop)
        if not isinstance(loop, EpochBasedTrainLoop):
            raise CMIDError('--parts train needs a loop of epochs, not '
                            f"{type(loop).__name__}: set train_cfg.type='ResumableTrainLoop'")
        # one more batch ends the last step, and every epoch has at least one
        batches = 1 + warmup + steps
        loop._max_epochs = max(batches, loop._max_epochs)

        def on_batch(count: int) -> bool:
            tick()
            loop.stop_training = count == batches
            return loop.stop_training

        loader = loop.dataloader = TimedLoader(
            loop.dataloader, clock_of(next(runner.model.parameters()).device), on_batch)
        runner._train_loop = loop
        runner.train()
    times, waits = waiting(loader.moments[warmup:])
    return dict(images_per_second=rates(times, variant.cfg.train_dataloader.batch_size),
                seconds=times, waiting_share=sum(waits) / sum(times))


def waiting(moments: list) -> tuple[list[float], list[float]]:
    """Seconds of every step, and of the wait for the next batch that is part of it."""
    pairs = list(zip(moments, moments[1:]))
    return ([seconds(one[1], two[1]) for one, two in pairs],
            [seconds(*two) for _, two in pairs])
