"""Repeats a step whose numbers went bad: replay_step.py CONFIG WORK_DIR/bad_steps/step_N.json

Says in which module numbers stop being finite, for which images, and which gradients are
not finite; with --precision float32 or bfloat16 as if the run had that precision.
"""
import argparse
import json
from pathlib import Path

import _errors
from _launch import read_config


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the run, e.g. its copy in the work dir')
    parser.add_argument('record', type=Path, help='step_N.json')
    parser.add_argument('--checkpoint', help='weights before the step (default: those that '
                        'were kept with the record)')
    parser.add_argument('--precision', choices=['float32', 'bfloat16'],
                        help='default: that of the config')
    return parser.parse_args(arguments)


def weights_of(args, record):
    """File with the weights before the step."""
    if args.checkpoint:
        return args.checkpoint
    if not record['state']:
        raise _errors.UserError(f'the weights before step {record["step"]} were not kept: give '
                                'a checkpoint of shortly before with --checkpoint')
    return str(args.record.parent / Path(record['state']).name)


def main():
    args = parse_args()
    cfg = read_config(args.config, {})
    if not args.record.is_file():
        raise _errors.UserError(f'no such record: {args.record}')
    record = json.loads(args.record.read_text())
    if args.precision:
        cfg.optim_wrapper.precision = args.precision
    from cmid_mm.engine.replay import replay
    for number, found in enumerate(replay(cfg, record, weights_of(args, record))):
        print(f'batch {number + 1} of step {record["step"]}: '
              f'{len(record["batches"][number]["samples"])} images')
        for name, value in found['losses'].items():
            print(f'  {name:<22}{value:.6g}')
        if found['module']:
            print(f'  first output that is not finite: {found["module"]}')
        for file in found['files']:
            print(f'    of {file}')
        for name in found['gradients'][:5]:
            print(f'  gradient that is not finite: {name}')
        if not found['module'] and not found['gradients']:
            print('  everything is finite')


if __name__ == '__main__':
    _errors.run(main)
