"""Atomic checkpoints by epoch, time and signal; the last good one is never lost."""
import math
import os.path as osp
import time

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmpretrain.registry import HOOKS

from cmid_mm.checkpoints.files import (
    POINTER,
    AtomicFileBackend,
    atomic_write,
    clear_unfinished,
    damage,
)
from cmid_mm.engine.stop_request import StopRequest
from cmid_mm.utils.errors import CMIDError

_KEPT = 'kept_checkpoints'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Extends mmengine's hook: saves also by time and on a signal, and writes atomically.

    A checkpoint is written to a temporary name, flushed and renamed; then the file
    ``last_checkpoint`` in the work dir is updated; then the new checkpoint is read back, and if
    its checksums are right, old ones are removed. mmengine removes old ones first. Files in a
    remote ``out_dir`` are written and read back by its backend.

    On SIGTERM or SIGUSR1 the run saves after the current optimiser step and ends with exit
    status 75. Checkpoints by time and by signal are ``iter_N.pth``, also within an epoch;
    ``ResumableTrainLoop`` resumes from there.

    If a checkpoint cannot be written, for example because the disk is full, the error is logged
    and the run continues; the previous checkpoint is kept. After a signal and at the end of the
    run, when no later checkpoint could save the result, the run ends with the error.

    Args:
        minutes (float, optional): Time between two checkpoints within epochs.
            Defaults to None.
        **kwargs: Passed to mmengine's ``CheckpointHook``.

    Raises:
        CMIDError: ``minutes`` is not positive, or the last checkpoint of a run cannot be
            written.
    """

    def __init__(self, minutes: float | None = None, **kwargs):
        if minutes is not None and minutes <= 0:
            raise CMIDError(f'minutes between checkpoints must be positive, not {minutes}')
        super().__init__(**kwargs)
        self.seconds = math.inf if minutes is None else 60 * minutes
        self.request = StopRequest()

    def before_train(self, runner) -> None:
        out_dir = str(self.out_dir or runner.work_dir)
        if self.backend_args is None and '://' not in out_dir:
            self.backend_args = dict(backend=AtomicFileBackend.__name__)
            if is_main_process():
                clear_unfinished(out_dir)
        super().before_train(runner)
        self.last_time = time.monotonic()
        self.wanted = False
        self.request.listen()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        due = time.monotonic() >= self.last_time + self.seconds
        if due:
            self.last_time = time.monotonic()
        stop, due = self.request.agree(due)
        self.wanted = self.wanted or due
        # accumulated gradients are not part of a checkpoint
        if not (stop or self.wanted) or not runner.optim_wrapper.should_update():
            return
        step = runner.iter + 1
        runner.logger.info(f'Saving checkpoint at {step} iterations'
                           + (f': stopping on {self.request.reason}' if stop else ''))
        self._save(runner, f'iter_{step}.pth', dict(epoch=runner.epoch, iter=step), must=stop)
        self.wanted = False
        if stop:
            self.request.end()

    def after_train(self, runner) -> None:
        self.request.leave()
        super().after_train(runner)

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        last = runner.iter + 1 >= runner.max_iters
        self._save(runner, self.filename_tmpl.format(step), meta, must=last)

    def _save(self, runner, name: str, meta: dict, must: bool) -> None:
        """Write a checkpoint, update the pointer, remove all but the newest few."""
        hub = runner.message_hub
        kept = [old for old in hub.runtime_info.get(_KEPT, []) if old != name]
        hub.update_info(_KEPT, [*kept, name])
        path = self.file_backend.join_path(self.out_dir, name)
        try:
            runner.save_checkpoint(
                self.out_dir, name, save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler, meta=meta,
                backend_args=self.backend_args, **self.args)
        except OSError as error:
            hub.update_info(_KEPT, kept)
            line = (f'{path} could not be written ({error.strerror or error}); the last good '
                    f'checkpoint is {self.last_ckpt or "none"}: free some space, or use another '
                    'work dir')
            if must:
                raise CMIDError(line) from error
            runner.logger.error(line)
            return
        self.last_ckpt = path
        hub.update_info('last_ckpt', path)
        if is_main_process():
            # the pointer is in the work dir, which is local, also if the checkpoint is remote
            with atomic_write(osp.join(runner.work_dir, POINTER)) as pointer:
                pointer.write_text(path)
            hub.update_info(_KEPT, self._prune([*kept, name]))

    def _prune(self, names: list) -> list:
        """Remove all but the newest few, if the newest is intact; return the remaining names."""
        if not 0 < self.max_keep_ckpts < len(names):
            return names
        with self.file_backend.get_local_path(self.last_ckpt) as local:
            if damage(local):
                return names
        for name in names[:-self.max_keep_ckpts]:
            path = self.file_backend.join_path(self.out_dir, name)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
        return names[-self.max_keep_ckpts:]
