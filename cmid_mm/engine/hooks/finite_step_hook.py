"""Takes back steps whose numbers went bad, and writes them down for a replay."""
import json
import math
import os.path as osp
from pathlib import Path

from mmengine.dist import broadcast_object_list, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.checkpoints.files import AtomicFileBackend, atomic_write
from cmid_mm.engine.hooks.step_snapshot import StepSnapshot

FOLDER = 'bad_steps'
_IN_A_ROW = 'bad_steps_in_a_row'


@HOOKS.register_module()
class FiniteStepHook(Hook):
    """Leaves everything as it was before a step whose loss or gradient is not finite.

    ``FiniteOptimWrapper`` leaves out the step of the student. This hook brings back the
    running statistics, the queue and the centre that the forward pass has moved, and keeps
    the teacher in place. Files, views and state of the step go to ``bad_steps`` in the work
    dir, for ``tools/replay_step.py``.

    Args:
        most_in_a_row (int): So many bad steps one after the other end the run. Defaults
            to 10.
        most_states (int): Of so many bad steps the state is kept too, as a checkpoint.
            Defaults to 3.

    Raises:
        ValueError: At the last of ``most_in_a_row`` bad steps.
    """

    # its after_train_iter must come before the teacher moves
    priority = 'HIGH'

    def __init__(self, most_in_a_row: int = 10, most_states: int = 3):
        self.most_in_a_row = most_in_a_row
        self.most_states = most_states
        self.snapshot = None
        self.first = None

    def before_train(self, runner) -> None:
        self.snapshot = StepSnapshot(get_ori_model(runner.model))
        self.first = None

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.first is None:
            self.first = runner.iter
            samples = (runner.train_dataloader.batch_size * get_world_size()
                       * runner.optim_wrapper._accumulative_counts)
            self.snapshot.take(samples)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if not runner.optim_wrapper.should_update():
            return
        first, self.first = self.first, None
        hub = runner.message_hub
        if not getattr(runner.optim_wrapper, 'skipped', False):
            if hub.runtime_info.get(_IN_A_ROW):
                hub.update_info(_IN_A_ROW, 0)
            return
        self.snapshot.restore()
        in_a_row = hub.runtime_info.get(_IN_A_ROW, 0) + 1
        hub.update_info(_IN_A_ROW, in_a_row)
        record = self._write(runner, first, outputs)
        line = (f'step {first + 1}: loss or gradient is not finite '
                f'({", ".join(_not_finite(outputs)) or "gradient"}); nothing was changed by it. '
                f'python tools/replay_step.py {_config(runner)} {record} repeats it')
        if in_a_row >= self.most_in_a_row:
            raise ValueError(
                f'{in_a_row} steps in a row were not finite, the last: {line}. Lower the '
                'learning rate, or set optim_wrapper.precision=float32')
        runner.logger.warning(line)

    def _write(self, runner, first: int, outputs: dict) -> Path:
        """Write a step down, once for all processes; return the file."""
        folder = Path(runner.work_dir) / FOLDER
        path = folder / f'step_{first + 1}.json'
        # all processes save or none: a sharded model is put together by all
        wanted = [len(list(folder.glob('*.pth'))) < self.most_states]
        broadcast_object_list(wanted)
        state = None
        if wanted[0]:
            state = f'step_{first + 1}.pth'
            runner.save_checkpoint(
                str(folder), state, save_optimizer=False, save_param_scheduler=False,
                meta=dict(epoch=runner.epoch, iter=first),
                backend_args=dict(backend=AtomicFileBackend.__name__))
        if not is_main_process():
            return path
        batches = [_batch(runner, step) for step in range(first, runner.iter + 1)]
        record = dict(
            step=first + 1, epoch=runner.epoch, seed=runner.seed, processes=get_world_size(),
            teacher_temperature=float(
                get_ori_model(runner.model).local_head.teacher_temperature),
            losses=_numbers(outputs), state=state, batches=batches)
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=1))
        return path


def _config(runner) -> str:
    """The copy of the config that mmengine puts into the work dir."""
    return osp.join(runner.work_dir, osp.basename(runner.cfg.filename or 'CONFIG'))


def _numbers(outputs: dict) -> dict:
    return {name: float(value.detach()) for name, value in outputs.items()}


def _not_finite(outputs: dict) -> list[str]:
    return [name for name, value in _numbers(outputs).items() if not math.isfinite(value)]


def _batch(runner, step: int) -> dict:
    """Samples of the global batch of a step (from 0), in their order, and their files."""
    loader = runner.train_dataloader
    size = loader.batch_size * get_world_size()
    place = step - runner.epoch * len(loader)
    samples = loader.sampler.order()[place * size:(place + 1) * size].tolist()
    return dict(samples=samples,
                files=[loader.dataset.get_data_info(sample)['img_path'] for sample in samples])
