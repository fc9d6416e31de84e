"""Measures the speed of a pre-training and of its parts: benchmark.py CONFIG [--published]

Parts (--parts):
  step    the training step on synthetic input: images/s, memory, operations, utilisation
          (relative to a matrix product measured in the same run), breakdown into phases
  loader  the input alone, on the images of the config: images/s on one core of the CPU, of
          the workers' part and of the batch's part (colours, noise, masks, normalisation);
          images/s of the config's workers, bytes that a worker sends
  train   loader, loop and hooks together: images/s, share of the time waiting for data
  windows reading and cropping windows of 512 px of generated rasters in several forms, on one
          core of the CPU, beside the same windows cut to files before; only on request

Speeds are medians with quartiles, after a warm-up. It runs on the GPU where there is
one, otherwise on the CPU; OMP_NUM_THREADS sets the threads.

With a baseline both variants alternate steps in one process, so that their ratio is reliable
on a busy machine too. The baseline is the config with
  --published               the step of the published code (float32, channels first, no fused
                            attention, one pass per view, teacher updated parameter by
                            parameter) and, in the part loader, its pipeline, which does
                            everything per sample in Python
  --baseline-options K=V    other settings; with --published on top of it

  python tools/benchmark.py CONFIG --published --parts step --out benchmark.json
"""
import json
import platform
import shlex
import sys
from pathlib import Path

import _errors
from _errors import UserError
from _launch import apply_options, config_settings, read_config, set_loader_defaults
from _options import tool_parser

PARTS = dict(
    step='step on synthetic input',
    loader='input alone; one core: images per second of processor time',
    train='training with loader and hooks',
    windows='windows of rasters; one core: windows per second of processor time')


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file of a CMID pre-training')
    parser.add_argument('--parts', nargs='+', default=['step', 'loader', 'train'], choices=PARTS,
                        metavar='PART', help='what to measure (default: all but windows)')
    parser.add_argument('--published', action='store_true',
                        help='compare with the step and the loader of the published code')
    parser.add_argument('--steps', type=int, default=20,
                        help='steps or batches to measure (default: 20)')
    parser.add_argument('--warmup', type=int, default=5,
                        help='steps or batches before these (default: 5)')
    parser.add_argument('--batch', type=int, help='images per step (default: as in the config)')
    parser.add_argument('--out', type=Path, help='JSON file for all numbers')
    parser.add_argument('--cfg-options', **config_settings())
    parser.add_argument('--baseline-options', **config_settings('the baseline only'))
    args = parser.parse_args(arguments)
    for name, least in (('steps', 1), ('warmup', 0), ('batch', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f'--{name} must be {least} at least, not {value}')
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
    for cfg, _ in variants.values():
        if (cfg.get('model') or {}).get('type') != 'CMID' or cfg.get('train_dataloader') is None:
            raise UserError(f'{cfg.filename} is no config of a CMID pre-training, and the '
                            'benchmark measures the steps of CMID only')
        if args.batch:
            cfg.train_dataloader.batch_size = args.batch
        # as in a training
        set_loader_defaults(cfg)
    return variants


def measure(variants, parts, steps, warmup):
    """Measures the parts; part -> variant -> numbers."""
    from _benchmark.loader import build_loader, loader_config, measure_loaders
    from _benchmark.rasters import FORMS, measure_windows
    from _benchmark.step import measure_steps
    from _benchmark.trainee import Trainee
    from _benchmark.training import measure_training
    from mmengine.utils import ProgressBar
    if {'loader', 'train'} & set(parts):
        # a wrong folder is reported before the slow parts
        for variant in variants.values():
            build_loader(loader_config(variant), workers=0)
    results = {}
    for part in parts:
        print(f'{part}:', file=sys.stderr)
        count = len(FORMS) if part == 'windows' else len(variants)
        bar = ProgressBar(count * (warmup + steps), file=sys.stderr)

        def tick(bar=bar):
            # workers deliver more batches than those that are counted
            if bar.completed < bar.task_num:
                bar.update()

        if part == 'step':
            results[part] = measure_steps(
                {name: Trainee(variant) for name, variant in variants.items()}, steps, warmup,
                tick)
        elif part == 'loader':
            results[part] = measure_loaders(variants, steps, warmup, tick)
        elif part == 'windows':
            results[part] = measure_windows(
                variants['config'].cfg.model.image_size, steps, warmup, tick)
        else:
            results[part] = {name: measure_training(variant, steps, warmup, tick)
                             for name, variant in variants.items()}
        print(file=sys.stderr)
    return results


def describe_machine():
    """Device, processor, threads and versions, as plain values for JSON."""
    import torch
    from mmengine.utils.dl_utils import collect_env
    gpu, info = torch.cuda.is_available(), Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return dict(
        device=torch.cuda.get_device_name() if gpu else 'CPU',
        processor=next(names, platform.processor() or platform.machine()),
        threads=torch.get_num_threads(),
        environment={key: str(value) for key, value in collect_env().items()})


def report(results):
    """Lines with the numbers of :func:`measure`."""
    for part, title in PARTS.items():
        if part in results:
            yield f'\n{title}; median (quartiles)'
            if part == 'windows':
                for form, numbers in results[part].items():
                    yield (f'  {form}: {speed(numbers["windows"], "windows/s")}, from files '
                           f'{speed(numbers["files"], "windows/s")}, ratio '
                           f'{speed(numbers["ratio"], "")}')
                continue
            for name, numbers in results[part].items():
                first = speed(numbers['images_per_second'])
                if 'ratio' in numbers:
                    first += f', {speed(numbers["ratio"], "times the baseline")}'
                yield f'  {name:<9} {first}'
                for line in details(part, numbers):
                    yield f'            {line}'


def speed(numbers, unit='images/s'):
    """Text of a ``spread``."""
    low, high = numbers['quartiles']
    return f'{numbers["median"]:.4g} {unit} ({low:.4g} to {high:.4g})'


def details(part, numbers):
    """Lines below the speed of a variant."""
    if part == 'step':
        peak = numbers['peak_bytes']
        yield (f'{numbers["precision"]}, {numbers["flops_per_image"] / 1e9:.1f} GFLOP an image, '
               f'{numbers["utilisation"]:.1%} of the {numbers["matrix_rate"] / 1e12:.3g} TFLOP/s '
               f'of a matrix product; memory: state {numbers["state_bytes"] / 2**20:,.0f} MiB'
               + (f', peak of a step above it {peak / 2**20:,.0f} MiB' if peak else ''))
        yield ', '.join(f'{phase} {share:.1%}' for phase, share in numbers['phases'].items())
    elif part == 'loader':
        many = numbers['with_workers']
        if numbers['batch_part']:
            yield f'workers\' part {speed(numbers["workers_part"])}'
            yield f'batch\'s part {speed(numbers["batch_part"])}'
        yield (f'{numbers["bytes_per_sample"] / 1e6:.3f} MB a sample'
               + (f'; {numbers["workers"]} workers: {speed(many)}' if many else ''))
    else:
        yield f'waiting for data {numbers["waiting_share"]:.1%} of the time'


def main(arguments=None):
    args = parse_args(arguments)
    variants = read_variants(args)
    machine = describe_machine()
    images = variants['config'].cfg.train_dataloader.batch_size
    print(f'{machine["device"]}, {machine["processor"]}: {machine["threads"]} threads, batch '
          f'{images}, {args.steps} steps after {args.warmup}', flush=True)
    results = dict(command=shlex.join(['python', *sys.argv]), machine=machine, images=images,
                   steps=args.steps, warmup=args.warmup,
                   **measure(variants, args.parts, args.steps, args.warmup))
    print('\n'.join(report(results)))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + '\n')
        print(f'\nwritten to {args.out}')


if __name__ == '__main__':
    _errors.run(main)
