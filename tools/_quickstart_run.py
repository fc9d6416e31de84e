"""Runs of the quickstart: their speed, a log without output, their results."""
import copy
import logging
import statistics
import time
from contextlib import nullcontext
from datetime import timedelta

from mmengine.hooks import Hook

# steps that warm up, steps that are timed, and the seconds after which no further one is
WARM_UP, TIMED, PATIENCE = 2, 5, 6.
SECONDS_BETWEEN_LINES = 15
START = time.perf_counter()


def print_timed(line):
    """Print a line with the time since the start."""
    print(f'[{timedelta(seconds=round(time.perf_counter() - START))}] {line}', flush=True)


def choose_threads():
    """Numbers of threads to measure on this machine, the smallest first.

    Threads that wait for each other spin; where other processes use the cores, fewer threads
    can be many times as fast.
    """
    import torch
    most = 1 if torch.cuda.is_available() else torch.get_num_threads()
    return sorted({max(1, most // 2), most})


def seconds_per_step(cfg, threads=None):
    """Time of a step, measured on a few real steps of a model that is discarded.

    Args:
        cfg (Config): Of a training.
        threads (list[int], optional): Numbers of threads to measure. The fastest is set for
            this process. Defaults to None: the present number.

    Returns:
        tuple[dict[int, float], int]: Median seconds by the number of threads, empty where
        there are too few images to measure; steps of an epoch.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, DefaultScope
    from mmengine.runner import Runner
    scope = cfg.get('default_scope', 'mmpretrain')
    DefaultScope.get_instance(f'quickstart-{time.time()}', scope_name=scope)
    with DefaultScope.overwrite_default_scope(scope):
        # some models change the settings that they are built from
        model = MODELS.build(copy.deepcopy(cfg.model)).to(get_device()).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=cfg.randomness.seed)
        if len(loader) <= WARM_UP:
            return {}, len(loader)
        # PreflightHook measures the shares of the classes; the time does not depend on them
        for module in model.modules():
            if hasattr(module, 'set_shares'):
                module.set_shares([1.] * len(loader.dataset.metainfo['classes']))
        found, batches = {}, endless(loader)
        for number in threads or [torch.get_num_threads()]:
            torch.set_num_threads(number)
            times, begin = [], time.perf_counter()
            while len(times) < WARM_UP + TIMED:
                started = time.perf_counter()
                # reading the loss waits for the device
                model.train_step(next(batches), wrapper)['loss'].item()
                times.append(time.perf_counter() - started)
                if time.perf_counter() - begin > PATIENCE:
                    break
            found[number] = statistics.median(times[WARM_UP:] or times[-1:])
    torch.set_num_threads(min(found, key=found.get))
    return found, len(loader)


def endless(loader):
    """Batches of epoch after epoch."""
    while True:
        yield from loader


class ResultsHook(Hook):
    """Tests before and after the training, and ends a training that takes too long.

    The untrained encoders of a pre-training get batch-norm statistics of the images for the
    test, without which the comparison would flatter the training.

    Args:
        tested (bool): Whether the config has a test.
        seconds (float): Time after which the current epoch is the last one.

    Attributes:
        before, after (dict[str, float]): Metrics of the config's test evaluator.
        seconds_trained (float): Time of the training without the tests.
    """

    priority = 'LOWEST'

    def __init__(self, tested=False, seconds=float('inf')):
        self.tested, self.seconds = tested, seconds
        self.before = self.after = {}

    def before_train(self, runner):
        if self.tested:
            from cmid_mm.evaluation.batch_norm import calibrated_batch_norm
            pretraining = hasattr(runner.model, 'teacher')
            with (calibrated_batch_norm(runner.model, runner.test_dataloader.dataset)
                  if pretraining else nullcontext()):
                self.before = runner.test_loop.run()
        self.started = time.perf_counter()

    def after_train_epoch(self, runner):
        late = time.perf_counter() - self.started > self.seconds
        if late and runner.epoch + 1 < runner.max_epochs:
            print_timed(f'the machine is slower than measured: ending after epoch '
                       f'{runner.epoch + 1}')
            runner.train_loop.stop_training = True

    def after_train(self, runner):
        self.seconds_trained = time.perf_counter() - self.started
        if self.tested:
            self.after = runner.test_loop.run()


def train(cfg, write, tested=False, seconds=float('inf')):
    """Train a config; its log goes to a file, ``write`` takes the lines of progress.

    Args:
        cfg (Config): Of a training.
        write (Callable[[str], None]): Prints a line.
        tested (bool): See ``ResultsHook``.
        seconds (float): See ``ResultsHook``.

    Returns:
        tuple[Runner, ResultsHook]: After the training.
    """
    from cmid_mm.engine.hooks import ProgressHook
    runner = silent_runner(cfg)
    results = ResultsHook(tested, seconds)
    runner.register_hook(results)
    own = [hook for hook in runner.hooks if isinstance(hook, ProgressHook)]
    for hook in own or [ProgressHook()]:
        hook.seconds, hook.write = SECONDS_BETWEEN_LINES, write
        if not own:
            runner.register_hook(hook)
    runner.train()
    return runner, results


def silent_runner(cfg):
    """Runner whose log goes to its file; the terminal shows errors only."""
    from mmengine.runner import Runner

    from cmid_mm.engine.runners import CMIDRunner
    base = CMIDRunner if cfg.get('runner_type') else Runner

    class SilentRunner(base):

        def build_logger(self, *args, **kwargs):
            logger = super().build_logger(*args, **kwargs)
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(logging.ERROR)
            return logger

    return SilentRunner.from_cfg(cfg)
