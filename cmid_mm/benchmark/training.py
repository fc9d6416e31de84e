"""A real training, end to end, and how long it waits for data."""
import tempfile
from collections.abc import Callable, Iterator

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop

from .clock import clock_of
from .spread import rates, spread
from .trainee import quiet_runner, use_loop_for_teacher
from .variants import Variant, apply_variant


def _nothing() -> None:
    pass


class TimedLoader:
    """A loader that notes how long a training waits for each batch, and ends after some.

    On a GPU the wait is the device's: from having done a step until it can begin the next
    one, as far as data are the reason. A host that reads ahead in time costs nothing.

    Args:
        loader (DataLoader): Of the training.
        clock: Of ``clock_of``.
        batches (int): After so many, over all epochs, the loader is empty.
        tick (Callable): Called before every batch.
        at_end (Callable): Called when all batches have come.

    Attributes:
        moments (list[tuple]): Of every batch, when it was wanted and when it was there.
    """

    def __init__(self, loader, clock, batches: int, tick: Callable[[], None] = _nothing,
                 at_end: Callable[[], None] = _nothing):
        self.loader = loader
        self.clock = clock
        self.batches = batches
        self.tick = tick
        self.at_end = at_end
        self.moments = []

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator:
        # starting an epoch is waiting too
        wanted = self.clock.now()
        source = iter(self.loader)
        while True:
            self.tick()
            batch = next(source, None)
            if batch is None:
                return
            self.moments.append((wanted, self.clock.now()))
            if len(self.moments) >= self.batches:
                # its arrival is the end of the last iteration, which nobody has to follow
                self.at_end()
                return
            yield batch
            wanted = self.clock.now()


def waiting(moments: list, clock) -> tuple[list[float], list[float]]:
    """Seconds of every iteration and of its wait.

    An iteration lasts from the moment that its batch is there to that of the next batch,
    so that the wait for the next one is part of it.
    """
    clock.wait()
    pairs = list(zip(moments, moments[1:]))
    whole = [clock.seconds(one[1], two[1]) for one, two in pairs]
    return whole, [clock.seconds(*two) for _, two in pairs]


def measure_training(cfg: Config, variant: Variant, steps: int, warmup: int,
                     tick: Callable[[], None] = _nothing) -> dict:
    """Train some steps with the config's loader, loop and hooks.

    Nothing is saved or evaluated. The loader is the config's for every variant.

    Args:
        cfg (Config): Of a CMID training.
        variant (Variant): What is changed in it.
        steps (int): That count.
        warmup (int): Before.
        tick (Callable): Called before every step.

    Returns:
        dict: ``images_per_second`` (a ``spread``); ``seconds`` of the iterations;
        ``waiting_share``, waiting over all of the time; ``waiting_seconds`` (a ``spread``).

    Raises:
        ValueError: The config does not train by epochs.
    """
    cfg = apply_variant(cfg, variant)
    batches = 1 + warmup + steps
    if 'max_epochs' in cfg.train_cfg:
        # an epoch has one batch at least
        cfg.train_cfg.max_epochs = max(batches, cfg.train_cfg.max_epochs)
    with tempfile.TemporaryDirectory() as work_dir:
        runner = quiet_runner(cfg, work_dir)
        loop = runner.build_train_loop(runner._train_loop)
        clock = clock_of(next(runner.model.parameters()).device)
        if not isinstance(loop, EpochBasedTrainLoop):
            raise ValueError(f'--parts train needs a loop of epochs, not '
                             f"{type(loop).__name__}: set train_cfg.type='ResumableTrainLoop'")

        def end():
            loop.stop_training = True

        loader = loop.dataloader = TimedLoader(loop.dataloader, clock, batches, tick, end)
        runner._train_loop = loop
        if variant.teacher_loop:
            use_loop_for_teacher(runner.model)
        runner.train()
    whole, waits = waiting(loader.moments[warmup:], clock)
    return dict(images_per_second=rates(whole, cfg.train_dataloader.batch_size),
                seconds=whole, waiting_share=sum(waits) / sum(whole),
                waiting_seconds=spread(waits))
