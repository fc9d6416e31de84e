"""What a run is about to do, in a few lines at the start of its log."""
import math
import time
from datetime import timedelta

from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Says which rate, batch, steps, images and, as soon as it can be known, time apply.

    Args:
        timed_steps (int): Iterations that are timed for the estimate, after as many for
            warming up. Defaults to 10.
    """

    def __init__(self, timed_steps: int = 10):
        self.timed_steps = timed_steps
        self.first_iter = 0
        self.started = None

    @master_only
    def before_train(self, runner) -> None:
        loader = runner.train_dataloader
        accumulation = runner.optim_wrapper._accumulative_counts
        processes = get_world_size()
        batch = loader.batch_size * processes * accumulation
        rate = max(group.get('initial_lr', group['lr'])
                   for group in runner.optim_wrapper.param_groups)
        images = len(loader.dataset)
        self.first_iter = runner.iter
        runner.logger.info(
            f'learning rate {rate:.3g} (peak), effective batch {batch} = {processes} processes '
            f'x {loader.batch_size} x {accumulation} accumulated; {images:,} images, '
            f'{runner.max_iters / len(loader):.4g} epochs, '
            f'{math.ceil(runner.max_iters / accumulation):,} optimiser steps, '
            f'{runner.max_iters * loader.batch_size * processes:,} samples to see')

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        done = runner.iter + 1 - self.first_iter
        if done == self.timed_steps:
            self.started = time.perf_counter()
        if done == 2 * self.timed_steps:
            seconds = (time.perf_counter() - self.started) / self.timed_steps
            left = (runner.max_iters - runner.iter - 1) * seconds
            rate = runner.train_dataloader.batch_size * get_world_size() / seconds
            runner.logger.info(f'{rate:.1f} images a second; time left about '
                               f'{timedelta(seconds=round(left))}')
