"""How fast a pre-training is, and why: benchmark.py CONFIG [--compare VARIANT ...]

Parts (--parts):
  step    the training step on synthetic input: images a second, memory, operations,
          utilisation (against a matrix product measured in the same run), breakdown,
          calls that make the host wait for the device
  loader  the loader alone, on the images of the config: images a second on one core and
          with the config's workers, bytes that leave a worker
  train   loader, loop and hooks together: images a second, share of waiting for data
  start   time of the import and to the first step, in fresh processes
  attention  (not by default) every block's window attention of a Swin alone, written out
          and fused: milliseconds, ratio, greatest difference; of the first variant

Everything is a median with quartiles, after a warm-up. It runs on the GPU where there is
one, else on the CPU; OMP_NUM_THREADS sets the threads.

--compare takes variants in turn, step by step in one process, so that ratios hold on a busy
machine too. A variant is a name with options, NAME:KEY=VALUE,KEY=VALUE, or built in:
  default            the config as it is
  published          the step of the published code (float32, NCHW, eager attention, one
                     pass a view, teacher moved parameter by parameter), and in the part
                     loader its pipeline, which does everything per sample in Python
  published+CHANGE   the same with one thing changed: bfloat16, channels_last,
                     fused_attention, joint_views, blocked_adan or
                     foreach_teacher
  float32            the config in float32
  compile            the config with torch.compile

  python tools/benchmark.py CONFIG --compare published default --parts step --out work_dirs/b
"""
import argparse
import json
import shlex
import sys
from pathlib import Path

import _errors
from _errors import UserError, say
from _launch import read_config, set_loader_defaults


def parse_args(arguments=None):
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a CMID pre-training')
    parser.add_argument('--parts', nargs='+', default=['step', 'loader', 'train', 'start'],
                        choices=['step', 'loader', 'train', 'start', 'attention'],
                        metavar='PART',
                        help='what to measure (default: step loader train start)')
    parser.add_argument('--compare', nargs='+', default=['default'], metavar='VARIANT',
                        help='variants; ratios are to the first (default: the config alone)')
    parser.add_argument('--steps', type=int, default=20,
                        help='steps or batches that count (default: 20)')
    parser.add_argument('--warmup', type=int, default=5, help='those before (default: 5)')
    parser.add_argument('--batch', type=int, help='images of a step (default: of the config)')
    parser.add_argument('--out', type=Path,
                        help='folder for benchmark.json and benchmark.png')
    parser.add_argument('--profile', metavar='FILE',
                        help='write a Chrome trace of three steps of the first variant, and '
                        'say where a step makes the host wait; FILE.gz is compressed')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='change settings of the config')
    return parser.parse_args(arguments)


def check_args(args):
    """Refuse numbers without meaning, before the slow imports."""
    for name, least in (('steps', 1), ('warmup', 0), ('batch', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f'--{name} must be {least} at least, not {value}')
    if args.out and args.out.exists() and not args.out.is_dir():
        raise UserError(f'--out {args.out} is a file, but a folder is wanted there')
    if args.profile and Path(args.profile).is_dir():
        raise UserError(f'--profile {args.profile} is a folder: give the name of a file')


def write_profile(cfg, variant, path):
    """Trace and waiting places of the first variant."""
    from cmid_mm.benchmark.report import waits
    from cmid_mm.benchmark.synchronisation import waiting_places, waits_by_cuda
    from cmid_mm.benchmark.trace import write_trace
    from cmid_mm.benchmark.trainee import Trainee
    trainee = Trainee(cfg, variant)
    batch = trainee.batch()
    steps = write_trace(trainee, path)
    places = waiting_places(lambda: trainee.step(batch), trainee.device)
    by_cuda = waits_by_cuda(lambda: trainee.step(batch), trainee.device)
    say(f'\n{path}: {steps} steps of {variant.name}, for chrome://tracing or Perfetto')
    say(f'in a step, {waits(places, by_cuda, len(places))}')


def write(results, folder):
    """The files of --out."""
    from cmid_mm.benchmark.report import draw
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'benchmark.json').write_text(json.dumps(results, indent=1, default=str) + '\n')
    written = [str(folder / 'benchmark.json')]
    if {'step', 'loader', 'train'} & set(results):
        draw(results, str(folder / 'benchmark.png'))
        written.append(str(folder / 'benchmark.png'))
    say('\nwritten: ' + ', '.join(written))


def main():
    args = parse_args()
    check_args(args)
    cfg = read_config(args.config, args.cfg_options)
    from cmid_mm.benchmark.measure import measure
    from cmid_mm.benchmark.report import lines
    from cmid_mm.benchmark.variants import parse_variants
    if args.batch and cfg.get('train_dataloader'):
        cfg.train_dataloader.batch_size = args.batch
    # as for a training
    set_loader_defaults(cfg)
    variants = parse_variants(args.compare)
    results = measure(cfg, variants, args.parts, args.steps, args.warmup, say)
    results = dict(command=shlex.join(['python', *sys.argv]), config=args.config) | results
    for line in lines(results):
        say(line)
    if args.out:
        write(results, args.out)
    if args.profile:
        write_profile(cfg, variants[0], args.profile)


if __name__ == '__main__':
    _errors.run(main)
