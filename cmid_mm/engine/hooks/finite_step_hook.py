"""Undoes steps whose loss or gradient is not finite, and records them for a replay."""
import copy
import json
import math
import os.path as osp
from pathlib import Path

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.checkpoints.files import AtomicFileBackend, atomic_write
from cmid_mm.utils.errors import CMIDError

FOLDER = 'bad_steps'
_CONSECUTIVE = 'consecutive_bad_steps'


@HOOKS.register_module()
class FiniteStepHook(Hook):
    """Restores the state before a step whose loss or gradient is not finite.

    ``FiniteOptimWrapper`` skips the step of the student. This hook restores the running
    statistics, the queue and the centre that the forward pass has changed, and keeps the
    teacher unchanged. Files, views and state of the step are saved in ``bad_steps`` in the work
    dir, for ``tools/replay_step.py``.

    Args:
        max_consecutive (int): Number of consecutive bad steps that ends the run. Defaults
            to 10.
        max_saved_states (int): Number of bad steps of which the state is saved too, as a
            checkpoint. Defaults to 3.

    Raises:
        CMIDError: At the last of ``max_consecutive`` bad steps.
    """

    # its after_train_iter must run before the teacher is updated
    priority = 'HIGH'

    def __init__(self, max_consecutive: int = 10, max_saved_states: int = 3):
        self.max_consecutive = max_consecutive
        self.max_saved_states = max_saved_states

    def before_train(self, runner) -> None:
        model = get_ori_model(runner.model)
        state = model.state_dict()
        # those that hooks set are no part of the state
        self.buffers = [value for name, value in model.named_buffers() if name in state]
        self.saved = [buffer.clone() for buffer in self.buffers]
        self.passes = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if not self.passes:
            torch._foreach_copy_(self.saved, self.buffers)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        # every pass of an accumulated step; a step may begin in one epoch and end in the next
        temperature = get_ori_model(runner.model).local_head.teacher_temperature
        self.passes.append((runner.iter, temperature.clone()))
        if not runner.optim_wrapper.should_update():
            return
        passes, self.passes = self.passes, []
        hub = runner.message_hub
        if not getattr(runner.optim_wrapper, 'skipped', False):
            if hub.runtime_info.get(_CONSECUTIVE):
                hub.update_info(_CONSECUTIVE, 0)
            return
        torch._foreach_copy_(self.buffers, self.saved)
        consecutive = hub.runtime_info.get(_CONSECUTIVE, 0) + 1
        hub.update_info(_CONSECUTIVE, consecutive)
        losses = {name: float(value.detach()) for name, value in outputs.items()}
        path = Path(runner.work_dir) / FOLDER / f'step_{passes[0][0] + 1}.json'
        if is_main_process():
            self._write(runner, path, passes, losses)
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        # mmengine puts a copy of the config into the work dir
        config = osp.join(runner.work_dir, osp.basename(runner.cfg.filename or 'CONFIG'))
        line = (f'step {passes[0][0] + 1}: loss or gradient is not finite '
                f'({", ".join(bad) or "gradient"}); the step was undone. '
                f'python tools/replay_step.py {config} {path} repeats it')
        if consecutive >= self.max_consecutive:
            raise CMIDError(
                f'{consecutive} steps in a row were not finite, the last: {line}. Lower the '
                'learning rate, or set optim_wrapper.precision=float32')
        runner.logger.warning(line)

    def _write(self, runner, path: Path, passes: list, losses: dict) -> None:
        """Write the record and, for the first bad steps, the state before the step."""
        batches = [_batch(runner, step) | dict(teacher_temperature=float(temperature))
                   for step, temperature in passes]
        state = None
        if len(list(path.parent.glob('*.pth'))) < self.max_saved_states:
            state = f'{path.stem}.pth'
            runner.save_checkpoint(
                str(path.parent), state, save_optimizer=False, save_param_scheduler=False,
                meta=dict(epoch=batches[0]['epoch'], iter=passes[0][0]),
                backend_args=dict(backend=AtomicFileBackend.__name__))
        record = dict(step=passes[0][0] + 1, seed=runner.seed, processes=get_world_size(),
                      losses=losses, state=state, batches=batches)
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=1))


def _batch(runner, step: int) -> dict:
    """Samples of the global batch of a step (from 0), in their order, and their files."""
    loader = runner.train_dataloader
    size = loader.batch_size * get_world_size()
    epoch, place = divmod(step, len(loader))
    sampler = copy.copy(loader.sampler)
    sampler.set_epoch(epoch)
    samples = sampler.order()[place * size:(place + 1) * size].tolist()
    return dict(epoch=epoch, samples=samples,
                files=[loader.dataset.get_data_info(sample)['img_path'] for sample in samples])
