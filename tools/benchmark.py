"""Measures the speed of a pre-training and of its parts: benchmark.py CONFIG [--published]

Parts (--parts):
  step    the training step on synthetic input: images/s, memory, operations, utilisation
          (relative to a matrix product measured in the same run), breakdown into phases
  loader  the loader alone, on the images of the config: images/s on one core and with the
          config's workers, bytes that a worker sends
  train   loader, loop and hooks together: images/s, share of the time waiting for data

All numbers are medians with quartiles, after a warm-up. It runs on the GPU where there is
one, otherwise on the CPU; OMP_NUM_THREADS sets the threads.

With a baseline both variants alternate steps in one process, so that their ratio is reliable
on a busy machine too. The baseline is the config with
  --published               the step of the published code (float32, channels first, no fused
                            attention, one pass per view, teacher updated parameter by
                            parameter) and, in the part loader, its pipeline, which does
                            everything per sample in Python
  --baseline-options K=V    other settings; with --published on top of it

  python tools/benchmark.py CONFIG --published --parts step --out work_dirs/benchmark
"""
import argparse
import json
import shlex
import sys
from pathlib import Path

import _errors
from _errors import UserError, print_line
from _launch import apply_options, read_config, set_loader_defaults

PARTS = ('step', 'loader', 'train')


def parse_args(arguments=None):
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a CMID pre-training')
    parser.add_argument('--parts', nargs='+', default=PARTS, choices=PARTS, metavar='PART',
                        help='what to measure (default: all)')
    parser.add_argument('--published', action='store_true',
                        help='compare with the step and the loader of the published code')
    parser.add_argument('--steps', type=int, default=20,
                        help='steps or batches to measure (default: 20)')
    parser.add_argument('--warmup', type=int, default=5,
                        help='steps or batches before these (default: 5)')
    parser.add_argument('--batch', type=int, help='images per step (default: as in the config)')
    parser.add_argument('--out', type=Path,
                        help='folder for benchmark.json and benchmark.png')
    settings = dict(nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    parser.add_argument('--cfg-options', **settings, help='change settings of the config')
    parser.add_argument('--baseline-options', **settings,
                        help='change settings of the baseline only')
    args = parser.parse_args(arguments)
    for name, least in (('steps', 1), ('warmup', 0), ('batch', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f'--{name} must be {least} at least, not {value}')
    if args.out and args.out.exists() and not args.out.is_dir():
        raise UserError(f'--out {args.out} is a file, but must be a folder')
    return args


def read_variants(args):
    """The config and its baseline, if any, which comes first; name -> ``Variant``."""
    from _benchmark.published import PUBLISHED
    from _benchmark.trainee import Variant
    variants = {}
    if args.published or args.baseline_options:
        cfg = read_config(args.config, args.cfg_options)
        if args.published:
            cfg.merge_from_dict(PUBLISHED)
        apply_options(cfg, args.baseline_options)
        variants['baseline'] = Variant(cfg, args.published)
    variants['config'] = Variant(read_config(args.config, args.cfg_options))
    for variant in variants.values():
        check_config(variant.cfg)
        if args.batch:
            variant.cfg.train_dataloader.batch_size = args.batch
        # as in a training
        set_loader_defaults(variant.cfg)
    return variants


def check_config(cfg):
    """Refuses a config that is not of a CMID training."""
    missing = [name for name in ('train_dataloader', 'train_cfg', 'optim_wrapper')
               if cfg.get(name) is None]
    if (cfg.get('model') or {}).get('type') != 'CMID' or missing:
        raise UserError(f'{cfg.filename} is no config of a CMID pre-training, and the benchmark '
                        'measures the steps of CMID only')


def measure(variants, parts, steps, warmup):
    """Measures the parts; part -> variant -> numbers."""
    from _benchmark.loader import build_loader, loader_config, measure_loaders, without_workers
    from _benchmark.step import measure_steps
    from _benchmark.trainee import Trainee
    from _benchmark.training import measure_training
    from mmengine.utils import ProgressBar
    if {'loader', 'train'} & set(parts):
        # a wrong folder is reported before the slow parts
        for variant in variants.values():
            build_loader(without_workers(loader_config(variant)))
    results = {}
    for part in parts:
        print(f'{part}:', file=sys.stderr)
        bar = ProgressBar(len(variants) * (warmup + steps), file=sys.stderr)

        def tick(bar=bar):
            # workers deliver more batches than those that are counted
            if bar.completed < bar.task_num:
                bar.update()

        if part == 'step':
            trainees = {name: Trainee(variant) for name, variant in variants.items()}
            results[part] = measure_steps(trainees, steps, warmup, tick)
            del trainees
        elif part == 'loader':
            results[part] = measure_loaders(variants, steps, warmup, tick)
        else:
            results[part] = {name: measure_training(variant, steps, warmup, tick)
                             for name, variant in variants.items()}
        print(file=sys.stderr)
    return results


def main(arguments=None):
    args = parse_args(arguments)
    variants = read_variants(args)
    import torch
    from _benchmark.machine import describe
    from _benchmark.report import draw, lines
    from mmengine.device import get_device
    machine = describe(torch.device(get_device()))
    images = variants['config'].cfg.train_dataloader.batch_size
    print_line(f'{machine["device"]}, {machine["processor"]}: {machine["threads"]} threads on '
               f'{machine["cores"]} cores, batch {images}, {args.steps} steps after {args.warmup}')
    results = dict(
        command=shlex.join(['python', *sys.argv]), machine=machine, images=images,
        steps=args.steps, warmup=args.warmup)
    results |= measure(variants, args.parts, args.steps, args.warmup)
    for line in lines(results):
        print_line(line)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1)
        (args.out / 'benchmark.json').write_text(text + '\n')
        draw(results, str(args.out / 'benchmark.png'))
        print_line(f'\nwritten: {args.out / "benchmark.json"}, {args.out / "benchmark.png"}')


if __name__ == '__main__':
    _errors.run(main)
