"""mmengine's Runner with safe resuming and a learning rate for the effective batch."""
import math
import os
from dataclasses import asdict
from functools import cached_property, partial

from mmengine.dataset import InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import get_local_path
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cmid_mm.checkpoints.files import damage, latest_checkpoint, load_checkpoint_file
from cmid_mm.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from cmid_mm.engine.work_dir_lock import lock_work_dir
from cmid_mm.models.selfsup.recipe import (
    Recipe,
    auto_keys,
    choose_recipe,
    fill_auto,
    sizes_in,
)
from cmid_mm.utils.errors import CMIDError

RULES = dict(linear=lambda ratio: ratio, sqrt=math.sqrt)


# in mmengine's own registry: runners are built before the config's scope is known
@RUNNERS.register_module()
class CMIDRunner(Runner):
    """Resumes from the newest intact checkpoint, scales the learning rate to the effective
    batch, replaces ``'auto'`` by the settings for the number of images (``choose_recipe``), and
    refuses a data set that is smaller than a batch.

    A config selects it by ``runner_type = 'CMIDRunner'``. With a plain ``Runner`` the same
    config trains with mmengine's own rule.
    """

    def train(self):
        """Train as mmengine does, in a work dir that no other training writes to.

        Raises:
            CMIDError: Another training writes to the work dir.
        """
        self.fill_schedules()
        try:
            with lock_work_dir(self.work_dir):
                return super().train()
        finally:
            for hook in self.hooks:
                if isinstance(hook, SafeCheckpointHook):
                    hook.request.release()

    def build_model(self, model):
        """Build as mmengine does, with the sizes of the checkpoint or those for the images."""
        wanted = auto_keys(model)
        if wanted:
            source = self._load_from or (self.newest_checkpoint() if self._resume else None)
            sizes = {}
            if source:
                with get_local_path(source) as path:
                    content = load_checkpoint_file(path)
                sizes = sizes_in(content.get('state_dict', content))
            if not wanted <= set(sizes):
                sizes = asdict(self.recipe) | sizes
            for config in (model, self.cfg.model):
                fill_auto(config, sizes)
            self.log_auto(wanted, sizes, source)
        return super().build_model(model)

    def fill_schedules(self) -> None:
        """Replace ``'auto'`` in schedules and hooks, before a training."""
        hooks = [vars(hook) for hook in self.hooks]
        wanted = auto_keys([self.param_schedulers, *hooks])
        if wanted:
            recipe = asdict(self.recipe)
            for config in (self.cfg, self.param_schedulers, *hooks):
                fill_auto(config, recipe)
            self.log_auto(wanted, recipe)
            # the former one has no values
            self.dump_config()

    @cached_property
    def recipe(self) -> Recipe:
        """Settings for the images and the length of the training."""
        if isinstance(self._train_dataloader, dict):
            randomness = self.cfg.get('randomness') or {}
            self._train_dataloader = self.build_dataloader(
                self._train_dataloader, self.seed, randomness.get('diff_rank_seed', False))
        loader, length = self._train_dataloader, self.cfg.train_cfg
        batch = loader.batch_size * self.world_size * self.cfg.optim_wrapper.get(
            'accumulative_counts', 1)
        epochs = length.get('max_epochs') or length.max_iters / len(loader)
        self.logger.info(f'auto: {len(loader.dataset):,} images, {epochs:g} epochs, batch {batch}')
        return choose_recipe(len(loader.dataset), epochs, batch)

    def log_auto(self, names, values: dict, source: str | None = None) -> None:
        """Log the chosen values of the settings that the config leaves open."""
        chosen = ', '.join(f'{name}={values[name]:g}' for name in sorted(names))
        self.logger.info(f'auto: {chosen}' + (f' (sizes of {source})' if source else
                                              ' (table in docs/pretraining.md)'))

    def load_or_resume(self) -> None:
        """Load or resume as mmengine does, from the newest checkpoint that is not damaged.

        Raises:
            CMIDError: The given checkpoint is damaged, or all of them are.
        """
        if self._resume and self._load_from is None:
            self._load_from = self.newest_checkpoint()
            if self._load_from is None:
                self.logger.info(f'{self.work_dir} holds no checkpoint: starting from the '
                                 'beginning')
                return
        elif self._resume and os.path.isfile(self._load_from):
            reason = damage(self._load_from)
            if reason:
                raise CMIDError(f'{self._load_from} is damaged ({reason}): name another '
                                'checkpoint, or use --resume without a name for the newest '
                                'whole one')
        super().load_or_resume()

    def newest_checkpoint(self) -> str | None:
        """The newest checkpoint of the work dir that is not damaged.

        One process decides, because another may get an older listing of a network folder.
        """
        found = [latest_checkpoint(self.work_dir) if is_main_process() else None]
        broadcast_object_list(found)
        return found[0]

    def load_checkpoint(self, *args, **kwargs) -> dict:
        """Load as mmengine does, without the config that an old checkpoint may contain.

        mmengine's ``resume`` would execute it as Python.
        """
        checkpoint = super().load_checkpoint(*args, **kwargs)
        checkpoint.get('meta', {}).pop('config', None)
        return checkpoint

    def resume(self, filename, *args, **kwargs) -> None:
        """Resume as mmengine does; the seed of the checkpoint decides the order of the samples."""
        super().resume(filename, *args, **kwargs)
        sampler = self.train_dataloader.sampler
        if hasattr(sampler, 'seed'):
            sampler.seed = self.seed
        self.logger.info(f'resumed from epoch {self.epoch}, iteration {self.iter}')

    def scale_lr(self, optim_wrapper, auto_scale_lr=None) -> None:
        """Scale the learning rate of the config to the batch of one optimiser step.

        mmengine's rule ignores accumulated gradients and is linear only.

        Args:
            optim_wrapper (OptimWrapper): Has the learning rate of the config.
            auto_scale_lr (dict, optional): ``enable``; ``base_batch_size``, the batch to
                which the config's learning rate applies; ``rule``, ``'linear'`` or ``'sqrt'``.

        Raises:
            CMIDError: The rule is unknown, or the base is missing.
        """
        if not auto_scale_lr or not auto_scale_lr.get('enable', False):
            return
        rule = auto_scale_lr.get('rule', 'linear')
        if rule not in RULES or 'base_batch_size' not in auto_scale_lr:
            raise CMIDError('auto_scale_lr needs base_batch_size and a rule of '
                            f'{tuple(RULES)}, not {dict(auto_scale_lr)}')
        loader = self._train_dataloader
        per_process = loader['batch_size'] if isinstance(loader, dict) else loader.batch_size
        effective = per_process * self.world_size * optim_wrapper._accumulative_counts
        base = auto_scale_lr['base_batch_size']
        factor = RULES[rule](effective / base)
        for group in optim_wrapper.param_groups:
            group['lr'] *= factor
        self.logger.info(f'learning rate of the config (for a batch of {base}) times '
                         f'{factor:.4g}: {rule} rule, effective batch {effective}')

    def wrap_model(self, model_wrapper_cfg, model):
        """Wrap as mmengine does, on a CPU without synchronised batch norm, which torch lacks."""
        if self.distributed and self.cfg.get('sync_bn') and get_device() == 'cpu':
            self.logger.warning('batch norm is not synchronised: torch supports that on '
                                'accelerators only; each process normalises its own batch')
            self.cfg.sync_bn = None
        return super().wrap_model(model_wrapper_cfg, model)

    @staticmethod
    def build_dataloader(dataloader, seed=None, diff_rank_seed=False):
        """Build as mmengine does; raise CMIDError where there are fewer images than a batch."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if len(loader) == 0 and not isinstance(loader.sampler, InfiniteSampler):
            raise CMIDError(
                f'{len(loader.dataset)} images on all processes are fewer than one batch of '
                f'{loader.batch_size} on each: lower train_dataloader.batch_size or add images')
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
        return loader


def _start_worker(init, worker: int) -> None:
    """Move a loader's worker to its own process group.

    Schedulers signal the whole process group. The main process saves and ends its workers;
    without them it could not finish the step.
    """
    os.setpgrp()
    if init is not None:
        init(worker)
