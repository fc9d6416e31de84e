"""Model, optimiser and step of a config, built as a training builds them."""
import copy
import itertools
import tempfile
import types
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from cmid_mm.engine.runners import CMIDRunner
from cmid_mm.utils.keyed_random import seed_globally, view_key

from .published import update_in_a_loop

MOMENTUM = 0.996
_NUMBERS = itertools.count()


class Variant(NamedTuple):
    """Variant of a pre-training to measure.

    Attributes:
        cfg (Config): Config of a CMID pre-training.
        published (bool): Whether the teacher is updated parameter by parameter and samples
            of the loader come from ``PublishedPipeline``.
    """
    cfg: Config
    published: bool = False


class Trainee:
    """The training step of one variant, without its loader.

    Attributes:
        model (CMID): With random weights, on the device, in training mode.
        wrapper (OptimWrapper): With the learning rate for the batch.
        precision (torch.dtype): Type of the matrix products.
        batch_size (int): Images per step.
    """

    def __init__(self, variant: Variant):
        with tempfile.TemporaryDirectory() as work_dir:
            runner = quiet_runner(variant, work_dir)
            runner._init_model_weights()
            self.wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            runner.scale_lr(self.wrapper, runner.auto_scale_lr)
        self.model = runner.model.train()
        self.wrapper.initialize_count_status(self.model, 0, 10**9)
        self.device = next(self.model.parameters()).device
        with self.wrapper.optim_context(self.model):
            self.precision = (torch.get_autocast_dtype(self.device.type)
                              if torch.is_autocast_enabled(self.device.type) else torch.float32)
        self.batch_size = variant.cfg.train_dataloader.batch_size
        self.steps = 0
        preprocessor = self.model.data_preprocessor
        if preprocessor.mean.isnan().any():
            # a training would measure them; these are those of uniform noise
            preprocessor.mean.fill_(127.5)
            preprocessor.std.fill_(73.9)

    def batch(self) -> dict:
        """A batch of random numbers, pinned for a GPU.

        Views are crops of half the area of images twice as wide as a view; the second one is
        mirrored.

        Returns:
            dict: As from the loader, for B samples, C bands and views of side S: inputs
            (B, 2, C, S, S) uint8; view_boxes (B, 2, 5) float32; view_keys (B, 2) int64.
        """
        size, side = self.batch_size, self.model.image_size
        draw = torch.Generator().manual_seed(0)
        crop = round(2 * side * 0.5**0.5)
        boxes = torch.full((size, 2, 5), float(crop))
        boxes[..., :2] = torch.randint(0, 2 * side - crop + 1, (size, 2, 2), generator=draw)
        boxes[..., 4] = torch.tensor([0., 1.])
        keys = [[view_key(0, 0, sample, view) for view in range(2)] for sample in range(size)]
        inputs = torch.randint(0, 256, (size, 2, self.model.data_preprocessor.bands, side, side),
                               dtype=torch.uint8, generator=draw)
        batch = dict(inputs=inputs, view_boxes=boxes, view_keys=torch.tensor(keys))
        if self.device.type == 'cuda':
            batch = {name: value.pin_memory() for name, value in batch.items()}
        return batch

    def step(self, batch: dict) -> Tensor:
        """One iteration with the update of the teacher.

        Random numbers depend on the number of the step alone, so that losses of variants
        can be compared.

        Returns:
            Tensor: The loss, a scalar on the device.
        """
        seed_globally(self.steps)
        self.steps += 1
        losses = self.model.train_step(batch, optim_wrapper=self.wrapper)
        if self.wrapper.should_update():
            self.model.update_teacher(MOMENTUM)
        return losses['loss'].detach()


def quiet_runner(variant: Variant, work_dir: str) -> Runner:
    """Runner of one process that logs errors only, and neither loads, saves nor evaluates.

    Args:
        variant (Variant): Its config is copied.
        work_dir (str): Folder of mmengine's log; may be temporary.
    """
    cfg = copy.deepcopy(variant.cfg)
    cfg.update(work_dir=work_dir, launcher='none', log_level='ERROR', resume=False,
               load_from=None, experiment_name=f'benchmark_{next(_NUMBERS)}')
    for part in ('val', 'test'):
        for kind in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{part}_{kind}'] = None
    hooks = cfg.setdefault('default_hooks', {})
    hooks['checkpoint'] = dict(type='SafeCheckpointHook', interval=-1, save_last=False)
    runner = CMIDRunner.from_cfg(cfg)
    if variant.published:
        runner.model.update_teacher = types.MethodType(update_in_a_loop, runner.model)
    return runner
