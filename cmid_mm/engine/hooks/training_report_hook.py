"""What a run is about to do, in one line at the start of its log."""
import math

from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Says which rate, batch, steps and images apply; ``ProgressHook`` says how it goes."""

    @master_only
    def before_train(self, runner) -> None:
        loader = runner.train_dataloader
        accumulation = runner.optim_wrapper._accumulative_counts
        processes = get_world_size()
        batch = loader.batch_size * processes * accumulation
        rate = max(group.get('initial_lr', group['lr'])
                   for group in runner.optim_wrapper.param_groups)
        images = len(loader.dataset)
        runner.logger.info(
            f'learning rate {rate:.3g} (peak), effective batch {batch} = {processes} processes '
            f'x {loader.batch_size} x {accumulation} accumulated; {images:,} images, '
            f'{runner.max_iters / len(loader):.4g} epochs, '
            f'{math.ceil(runner.max_iters / accumulation):,} optimiser steps, '
            f'{runner.max_iters * loader.batch_size * processes:,} samples to see')
