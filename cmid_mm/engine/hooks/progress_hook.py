"""Speed, remaining time and device hours of a run."""
import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

import torch
from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook, LoggerHook
from mmpretrain.registry import HOOKS

_SECONDS = 'device_seconds'
# number of steps whose median is compared, and the slow-down that causes a warning
_WINDOW, _FACTOR = 10, 5


@HOOKS.register_module()
class ProgressHook(Hook):
    """Logs a line after each line of losses, after each epoch, and in between on slow machines.

    - ``images_per_second`` of all processes, over the last steps (as many as the logger's
      interval, without the first step of a process, which warms up).
    - ``waiting_share``, share of that time in which the process waited for its loader.
    - ``device_hours``, processes times hours, including the time before a resume. The estimate
      of the total adds the time that is left.

    Time left is steps left times the time that a step has taken so far with everything
    between steps: checkpoints, probes, pictures. Lines between those of mmengine's log begin
    with the iteration and the losses.

    The numbers are sent to the visualizer as ``train/images_per_second`` and so on. They are
    computed from mmengine's ``IterTimerHook`` and the clock; nothing is read from the device.

    A warning is logged once when steps take five times as long as before: typically another
    process uses the same cores, and threads that wait for each other spin. The median of ten
    steps is compared, without the time spent waiting for data.

    Args:
        seconds (float): Longest time between two lines. Defaults to 60.
        write (Callable[[str], None], optional): Called with each line. Defaults to None: the log.
    """

    # after the line with the losses
    priority = 'BELOW_NORMAL'

    def __init__(self, seconds: float = 60, write: Callable[[str], None] | None = None):
        self.seconds = seconds
        self.write = write

    def before_train(self, runner) -> None:
        self.interval = next((hook.interval for hook in runner.hooks
                              if isinstance(hook, LoggerHook)), 50)
        self.spent = runner.message_hub.runtime_info.get(_SECONDS, 0.)
        self.first_iter = runner.iter
        self.started = self.warm = self.last_line = time.perf_counter()
        self.recent, self.fastest, self.warned = deque(maxlen=_WINDOW), math.inf, False

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        done, now = runner.iter + 1 - self.first_iter, time.perf_counter()
        # in every step, because checkpoints contain it
        device_seconds = self.spent + get_world_size() * (now - self.started)
        runner.message_hub.update_info(_SECONDS, device_seconds)
        self._warn_if_slower(runner)
        if done == 1:
            self.warm = now
        logged = self.every_n_inner_iters(batch_idx, self.interval)
        if (logged or now - self.last_line >= self.seconds
                or self.end_of_epoch(runner.train_dataloader, batch_idx)):
            line = self._line(runner, done, now, device_seconds)
            (self.write or runner.logger.info)(
                line if logged and not self.write else f'{self._losses(runner, done)}; {line}')
            self.last_line = now

    def _line(self, runner, done: int, now: float, device_seconds: float) -> str:
        """Send the numbers to the visualizer and describe them."""
        processes = get_world_size()
        step, waiting = (self._mean(runner, name, done) for name in ('time', 'data_time'))
        pace = (now - self.warm) / (done - 1) if done > 1 else step
        left = (runner.max_iters - runner.iter - 1) * pace
        rate = runner.train_dataloader.batch_size * processes / step
        hours = device_seconds / 3600
        runner.visualizer.add_scalars({
            'train/images_per_second': rate, 'train/waiting_share': waiting / step,
            'train/device_hours': hours}, step=runner.iter + 1)
        return (f'{rate:.1f} images a second, {waiting / step:.0%} of the time waiting for data; '
                f'time left about {timedelta(seconds=round(left))}; {hours:.3g} device hours, '
                f'about {hours + processes * left / 3600:.3g} in all')

    def _losses(self, runner, done: int) -> str:
        """Epoch, iteration, and the losses that have been logged."""
        names = [name.removeprefix('train/') for name in runner.message_hub.log_scalars
                 if name.startswith('train/loss')]
        position = f'epoch {runner.epoch + 1}, iteration {runner.iter + 1}/{runner.max_iters}'
        losses = [f'{name} {self._mean(runner, name, done):.4f}' for name in names]
        return ', '.join([position, *losses])

    def _mean(self, runner, name: str, done: int) -> float:
        window = max(1, min(self.interval, done - 1))
        return float(runner.message_hub.get_scalar(f'train/{name}').mean(window))

    def _warn_if_slower(self, runner) -> None:
        """Compare the median of the last steps with the smallest one before."""
        step, waiting = (float(runner.message_hub.get_scalar(f'train/{name}').current())
                         for name in ('time', 'data_time'))
        self.recent.append(step - waiting)
        if self.warned or len(self.recent) < _WINDOW:
            return
        median = statistics.median(self.recent)
        self.warned = median > _FACTOR * self.fastest
        if self.warned:
            threads = torch.get_num_threads()
            runner.logger.warning(
                f'a step takes {median:.2g} s, {median / self.fastest:.0f} times as long as '
                f'before ({self.fastest:.2g} s): probably another process uses the same cores, '
                f'and the {threads} threads of this one wait for each other. Fewer threads help: '
                f'stop the run and resume it with OMP_NUM_THREADS={max(1, threads // 2)}')
        self.fastest = min(self.fastest, median)
