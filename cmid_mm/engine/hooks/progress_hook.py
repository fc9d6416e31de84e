"""How fast a run goes, how long it will take, and what it will have cost."""
import time
from datetime import timedelta

from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook, LoggerHook
from mmpretrain.registry import HOOKS

_SECONDS = 'device_seconds'


@HOOKS.register_module()
class ProgressHook(Hook):
    """One line whenever losses are logged, and at the end of each epoch.

    - ``images_per_second``, of all processes, over the last steps (as many as the logger's
      interval; never the first step of a process, which has to warm up).
    - ``waiting_share``, share of that time in which the process waited for its loader.
    - ``device_hours``, processes times hours, whatever they were spent on, before a resume
      too. The estimate of the whole adds the time that is left.

    Time left is steps left times the time that a step has taken so far with everything
    between steps: checkpoints, probes, pictures.

    The numbers go to the visualizer as ``train/images_per_second`` and so on. They come
    from mmengine's ``IterTimerHook`` and the clock; the device is not asked.
    """

    # behind the line with the losses
    priority = 'BELOW_NORMAL'

    def before_train(self, runner) -> None:
        self.interval = next((hook.interval for hook in runner.hooks
                              if isinstance(hook, LoggerHook)), 50)
        self.spent = runner.message_hub.runtime_info.get(_SECONDS, 0.)
        self.first_iter = runner.iter
        self.started = self.warm = time.perf_counter()

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        done, now = runner.iter + 1 - self.first_iter, time.perf_counter()
        processes = get_world_size()
        # in every step, because it belongs to checkpoints
        seconds = self.spent + processes * (now - self.started)
        runner.message_hub.update_info(_SECONDS, seconds)
        if done == 1:
            self.warm = now
        if not (self.every_n_inner_iters(batch_idx, self.interval)
                or self.end_of_epoch(runner.train_dataloader, batch_idx)):
            return
        window = max(1, min(self.interval, done - 1))
        step, waiting = (runner.message_hub.get_scalar(f'train/{name}').mean(window)
                         for name in ('time', 'data_time'))
        pace = (now - self.warm) / (done - 1) if done > 1 else step
        left = (runner.max_iters - runner.iter - 1) * pace
        values = dict(
            images_per_second=runner.train_dataloader.batch_size * processes / step,
            waiting_share=float(waiting / step),
            device_hours=seconds / 3600)
        runner.visualizer.add_scalars(
            {f'train/{name}': float(value) for name, value in values.items()},
            step=runner.iter + 1)
        runner.logger.info(
            f'{values["images_per_second"]:.1f} images a second, '
            f'{values["waiting_share"]:.0%} of the time waiting for data; time left about '
            f'{timedelta(seconds=round(left))}; {values["device_hours"]:.3g} device hours, '
            f'about {(seconds + processes * left) / 3600:.3g} in all')
