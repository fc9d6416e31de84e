"""All parts of a benchmark, one after the other."""
from collections.abc import Callable, Sequence

from mmengine.config import Config
from mmengine.device import get_device
from torch import device as Device

from cmid_mm.engine.optimizers.auto_precision import best_precision

from .attention import measure_attention
from .loader import build_loader, loader_config, measure_loaders, without_workers
from .machine import describe
from .progress import Progress
from .start import RUNS, measure_start
from .step import measure_steps
from .trainee import Trainee
from .training import measure_training
from .variants import Variant, apply_variant

PARTS = ('step', 'loader', 'train', 'start', 'attention')


def measure(cfg: Config, variants: Sequence[Variant], parts: Sequence[str], steps: int,
            warmup: int, say: Callable[[str], None] = print) -> dict:
    """Measure the parts that are wanted.

    Args:
        cfg (Config): Of a CMID training.
        variants (Sequence[Variant]): At least one; the first is what the others are
            compared with.
        parts (Sequence[str]): Of :data:`PARTS`.
        steps (int): Steps or batches that count.
        warmup (int): Those before.
        say (Callable): Takes lines of text.

    Returns:
        dict: ``machine``, see ``describe``; ``images`` a step, ``steps``, ``warmup``;
        ``variants``, name -> options; each part that was measured, variant -> numbers
        (``attention``, see ``measure_attention``, of the first variant alone);
        ``not_measured``, reasons.

    Raises:
        ValueError: The config is not that of a CMID training, a variant does not fit it, or
            there are no images for a part that reads some.
    """
    check_config(cfg)
    for variant in variants:
        apply_variant(cfg, variant)
    if {'loader', 'train'} & set(parts):
        _check_loaders(cfg, variants)
    device = Device(get_device())
    machine = describe(device)
    results = dict(machine=machine, images=cfg.train_dataloader.batch_size, steps=steps,
                   warmup=warmup, variants={one.name: one.options for one in variants},
                   not_measured=[])
    say(f'{machine["device"]}, {machine["processor"]}: {machine["threads"]} threads on '
        f'{machine["cores"]} cores, {precision_of(cfg)}, batch {results["images"]}, {steps} '
        f'steps after {warmup}')
    count = len(variants)
    if 'step' in parts:
        progress = Progress('step', count * (warmup + steps + 2))
        trainees = [Trainee(cfg, variant) for variant in variants]
        results['step'] = measure_steps(trainees, steps, warmup, progress.tick)
        del trainees
        progress.end()
        results['not_measured'] += [
            f'peak memory of a step of {name}: the system does not tell'
            for name, numbers in results['step'].items() if numbers['peak_bytes'] is None]
    if 'loader' in parts:
        progress = Progress('loader', count * (warmup + 2 * steps))
        results['loader'] = measure_loaders(cfg, variants, steps, warmup, progress.tick)
        progress.end()
    if 'train' in parts:
        progress = Progress('train', count * (1 + warmup + steps))
        results['train'] = {
            variant.name: measure_training(cfg, variant, steps, warmup, progress.tick)
            for variant in variants}
        progress.end()
    if 'start' in parts:
        progress = Progress('start', RUNS * count)
        results['start'] = {variant.name: measure_start(cfg, variant, progress.tick)
                            for variant in variants}
        progress.end()
    if 'attention' in parts:
        progress = Progress('attention', warmup + steps)
        attention = measure_attention(cfg, variants[0], steps, warmup, progress.tick)
        progress.end()
        if attention:
            results['attention'] = attention
        else:
            results['not_measured'].append(
                f'attention: the student {cfg.model.backbone.type} has no window attention, '
                'take a config with a SwinTransformer')
    return results


def precision_of(cfg: Config) -> str:
    """Precision of a config's passes on this machine, and why where it chooses itself."""
    wrapper = cfg.optim_wrapper
    precision = wrapper.get('precision') or wrapper.get('type', 'OptimWrapper')
    return '{} ({})'.format(*best_precision()) if precision == 'auto' else str(precision)


def check_config(cfg: Config) -> None:
    """ValueError where a config is not that of a CMID training."""
    model = cfg.get('model') or {}
    kind = model.get('type')
    if kind not in ('CMID', 'mmpretrain.CMID'):
        raise ValueError(f'{cfg.filename} trains {kind or "no model"}: the benchmark knows '
                         'the steps of CMID only')
    missing = [name for name in ('train_dataloader', 'train_cfg', 'optim_wrapper')
               if cfg.get(name) is None]
    if missing:
        raise ValueError(f'{cfg.filename} has no {" and no ".join(missing)}: there is nothing '
                         'to measure')


def _check_loaders(cfg: Config, variants: Sequence[Variant]) -> None:
    """Build each loader once: a wrong folder should tell before time is spent."""
    seen = []
    for variant in variants:
        settings = loader_config(cfg, variant)
        if settings not in seen:
            seen.append(settings)
            build_loader(without_workers(settings))
