"""Model, optimiser and step of a config, built as a training builds them."""
import copy
import itertools
import tempfile
import types

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.utils.keyed_random import seed_globally

from .synthetic import synthetic_batch
from .variants import Variant, apply_variant

# of a step that is not part of any schedule
MOMENTUM = 0.996
_NUMBERS = itertools.count()


class Trainee:
    """What one variant trains, without its loader.

    Args:
        cfg (Config): Of a CMID training.
        variant (Variant): What is changed in it.

    Attributes:
        model (CMID): With random weights, on the device, in training mode.
        wrapper (OptimWrapper): With the rate that the batch asks for.
        precision (torch.dtype): Of the matrix products.
    """

    def __init__(self, cfg: Config, variant: Variant):
        self.variant = variant
        cfg = apply_variant(cfg, variant)
        with tempfile.TemporaryDirectory() as work_dir:
            runner = quiet_runner(cfg, work_dir)
            runner._init_model_weights()
            self.wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            runner.scale_lr(self.wrapper, runner.auto_scale_lr)
        self.model = runner.model.train()
        self.wrapper.initialize_count_status(self.model, 0, 10**9)
        self.device = next(self.model.parameters()).device
        self.precision = self._precision()
        set_open_statistics(self.model)
        if variant.teacher_loop:
            use_loop_for_teacher(self.model)
        self.steps = 0
        self.batch_size = cfg.train_dataloader.batch_size

    def batch(self) -> dict:
        """A synthetic batch of the config's size, in pinned memory where there is a GPU."""
        return synthetic_batch(self.batch_size, self.model.data_preprocessor.bands,
                               self.model.image_size, self.device.type == 'cuda')

    def step(self, batch: dict) -> Tensor:
        """One iteration as the loop does it, with the hooks of the teacher and the seed.

        What is drawn within a step depends on its number alone, so that the losses of
        variants can be compared.

        Returns:
            Tensor: The loss, a scalar on the device.
        """
        seed_globally(self.steps)
        self.steps += 1
        losses = self.model.train_step(batch, optim_wrapper=self.wrapper)
        if self.wrapper.should_update():
            self.model.update_teacher(MOMENTUM)
        return losses['loss'].detach()

    def _precision(self) -> torch.dtype:
        kind = self.device.type
        with self.wrapper.optim_context(self.model):
            if torch.is_autocast_enabled(kind):
                return torch.get_autocast_dtype(kind)
        return next(self.model.parameters()).dtype


def quiet_runner(cfg: Config, work_dir: str) -> Runner:
    """Runner of one process that neither talks, loads, saves nor evaluates.

    Args:
        cfg (Config): Stays as it is.
        work_dir (str): For mmengine's log; may be temporary.
    """
    cfg = copy.deepcopy(cfg)
    cfg.update(work_dir=work_dir, launcher='none', log_level='ERROR', resume=False,
               load_from=None, experiment_name=f'benchmark_{next(_NUMBERS)}')
    for part in ('val', 'test'):
        for kind in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{part}_{kind}'] = None
    hooks = cfg.setdefault('default_hooks', {})
    hooks['checkpoint'] = dict(type='SafeCheckpointHook', interval=-1, save_last=False)
    return CMIDRunner.from_cfg(cfg)


def set_open_statistics(model: nn.Module) -> None:
    """Those of the synthetic views, where the training would measure the images' own."""
    preprocessor = model.data_preprocessor
    if preprocessor.mean.isnan().any():
        preprocessor.mean.fill_(127.5)
        preprocessor.std.fill_(73.9)


def use_loop_for_teacher(model: nn.Module) -> None:
    """Let a model move its teacher as the published code does."""
    model.update_teacher = types.MethodType(update_in_a_loop, model)


@torch.no_grad()
def update_in_a_loop(model: nn.Module, momentum: float) -> None:
    """What ``CMID.update_teacher`` does, one parameter after the other, as published."""
    for name, module in model.teacher.items():
        pairs = zip(module.parameters(), getattr(model, name).parameters())
        for teacher, student in pairs:
            teacher.data.mul_(momentum).add_(student.data, alpha=1 - momentum)
