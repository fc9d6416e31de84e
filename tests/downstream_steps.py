"""One optimiser step and a test pass of a downstream config, through the real Runner."""
import gc
from copy import deepcopy

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS, DefaultScope
from mmengine.runner import Runner

#: Keys of pipelines and test settings that hold lengths in pixels.
LENGTHS = ('scale', 'crop_size', 'size', 'img_scale', 'stride', 'edge')


def small(cfg, divisor=8, largest=128):
    """Copy of a config whose pipelines make small images.

    Args:
        cfg (Config): A downstream config.
        divisor (int): What lengths from ``largest`` pixels on are divided by.
    """
    def shrink(value):
        if isinstance(value, (list, tuple)):
            return type(value)(shrink(item) for item in value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= largest:
            return value // divisor
        return value

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in LENGTHS and isinstance(value, (int, list, tuple)):
                    node[key] = shrink(value)
                else:
                    walk(value)
        elif isinstance(node, (list, tuple)):
            for item in node:
                walk(item)

    cfg = deepcopy(cfg)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        walk(cfg.get(key))
    walk(cfg.model.get('data_preprocessor'))
    walk(cfg.model.get('test_cfg'))
    return cfg


class Losses(Hook):
    """Keeps what every step returned."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append({key: value.detach().clone() for key, value in outputs.items()})


def train_and_test(cfg, work_dir, images=2):
    """Train one step on two images, then test on two.

    Args:
        cfg (Config): With data that exist; ``model.backbone.init_cfg`` as wanted.
        work_dir (Path): For logs and checkpoints.
        images (int): Images of the step and of the test.

    Returns:
        tuple[dict, dict, Runner]: Losses of the step, metrics of the test, the runner.
    """
    # a runner and its hooks refer to each other: the last one's model is still there
    gc.collect()
    cfg = Config(deepcopy(cfg._cfg_dict.to_dict()))
    cfg.work_dir = str(work_dir)
    cfg.launcher = 'none'
    cfg.experiment_name = f'{work_dir.name}-{id(cfg)}'
    cfg.train_cfg = ConfigDict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=2)
    # the timetable of the full run is no timetable for one step
    cfg.param_scheduler = None
    cfg.auto_scale_lr = None
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        # open-cd tests one pair at a time
        loader.batch_size = images if name == 'train_dataloader' else min(
            images, loader.batch_size)
        if 'batch_sampler' in loader and name == 'train_dataloader':
            loader.batch_sampler = None
        loader.sampler = ConfigDict(
            type='DefaultSampler', shuffle=False, _scope_='mmengine')
    before = DefaultScope.get_current_instance()
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    losses = Losses()
    runner.register_hook(losses)
    weights = {name: value.detach().clone()
               for name, value in runner.model.named_parameters() if value.requires_grad}
    runner.train()
    metrics = runner.test()
    assert losses.seen and all(
        torch.isfinite(value).all() for step in losses.seen for value in step.values())
    assert any(not torch.equal(value.cpu(), weights[name])
               for name, value in runner.model.named_parameters() if name in weights)
    if before is not None:
        from mmengine.registry import init_default_scope
        init_default_scope(before.scope_name)
    return losses.seen[-1], metrics, runner
