"""What both parts of the quickstart need of a run: its speed, and a quiet log."""
import logging
import time

MEASURED_STEPS = 6


def seconds_per_step(cfg):
    """Time of a step, from a few real ones of a model that is thrown away.

    Args:
        cfg (Config): Of a training.

    Returns:
        tuple[float | None, int]: Seconds, None where there are too few images to tell;
        steps of an epoch.
    """
    from mmengine.device import get_device
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, DefaultScope
    from mmengine.runner import Runner
    scope = cfg.get('default_scope', 'mmpretrain')
    DefaultScope.get_instance(f'quickstart-{time.time()}', scope_name=scope)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(cfg.model).to(get_device()).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=cfg.randomness.seed)
        steps, started = 0, None
        for data in loader:
            # reading the loss waits for the device
            model.train_step(data, wrapper)['loss'].item()
            steps += 1
            if steps == 2:
                started = time.perf_counter()
            if steps == 2 + MEASURED_STEPS:
                break
    if steps < 3:
        return None, len(loader)
    return (time.perf_counter() - started) / (steps - 2), len(loader)


def silent_runner(cfg):
    """Runner whose log goes to its file; the terminal shows errors only."""
    from mmengine.runner import Runner

    from cmid_mm.engine.runners import CMIDRunner
    base = CMIDRunner if cfg.get('runner_type') else Runner

    class SilentRunner(base):

        def build_logger(self, *args, **kwargs):
            logger = super().build_logger(*args, **kwargs)
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(logging.ERROR)
            return logger

    return SilentRunner.from_cfg(cfg)
