"""Compares a run that was killed with one that was not: check_resume.py --kills N

Trains a tiny CMID once without interruption. Then again with the same command, which is
killed N times at random moments and started again each time. Weights of student, teacher
and heads, queue, centre, state of the optimiser and every logged loss must be bitwise equal.

Exit status 0: all equal. 1: something differs, or a run failed.
"""
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _errors
from _errors import UserError
from _options import tool_parser

TOOLS = Path(__file__).resolve().parent
# of a run that saved and ended after a signal
EXIT_STATUS = 75
CONFIG = """_base_ = {toy!r}
# batch norm, drop path and accumulation depend on state or random numbers
model = dict(
    image_size=64,
    backbone=dict(
        _delete_=True, type='SwinTransformer', img_size=64, window_size=2, out_indices=(3, ),
        arch=dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]),
        drop_path_rate=0.2),
    global_projector=dict(hidden_channels=64, out_channels=32),
    dense_projector=dict(
        hidden_channels=64, bottleneck_channels=32, num_prototypes=64,
        norm_cfg=dict(type='BN1d')),
    global_head=dict(embed_dims=32, queue_size=100),
    local_head=dict(num_prototypes=64))
pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='CMIDTwoViews', size=64),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size={batch}, num_workers={workers}, persistent_workers={workers} > 0,
    dataset=dict(data_root={images!r}, pipeline=pipeline))
optim_wrapper = dict(precision='float32', accumulative_counts=2)
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    checkpoint=dict(minutes={minutes}, max_keep_ckpts=2), logger=dict(interval=1))
"""
IMAGES, BATCH, SIZE = 64, 8, 96


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--signal', default='KILL', choices=['KILL', 'TERM', 'USR1'],
                        help='KILL ends the run at once, the others save first (default: KILL)')
    parser.add_argument('--workers', type=int, default=0, help='of the loader (default: 0)')
    parser.add_argument('--processes', type=int, default=1, help='of the run (default: 1)')
    parser.add_argument('--epochs', type=int, help='of 8 steps (default: enough for the kills)')
    parser.add_argument('--seconds', type=float, default=1.0,
                        help='between two checkpoints (default: 1)')
    args = parser.parse_args(arguments)
    if BATCH % args.processes:
        raise UserError(f'{args.processes} processes do not divide the batch of {BATCH}')
    # a run proceeds by about six steps between two kills
    args.epochs = args.epochs or 2 * args.kills + 4
    return args


def write_config(args, folder):
    """Write images and a config; return the path of the config."""
    from cmid_mm.datasets.scenes import write_scenes
    write_scenes(folder / 'scenes', num=IMAGES, size=SIZE, tasks=('classification', ),
                 show_progress=False)
    config = folder / 'config.py'
    config.write_text(CONFIG.format(
        toy=str(TOOLS.parent / 'configs' / 'cmid' / 'cmid_resnet18_toy.py'),
        images=str(folder / 'scenes' / 'classification'), batch=BATCH // args.processes,
        workers=args.workers, epochs=args.epochs, minutes=args.seconds / 60))
    return config


class Run:
    """The processes of a training, started without a launcher, so that signals reach them.

    torchrun puts its processes into sessions of their own, where they outlive it.
    """

    def __init__(self, args, config, work_dir):
        command = [sys.executable, str(TOOLS / 'train.py'), str(config), '--resume',
                   '--work-dir', str(work_dir)]
        if args.processes > 1:
            command += ['--launcher', 'pytorch']
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = str(probe.getsockname()[1])
        work_dir.mkdir(exist_ok=True)
        self.work_dir, self.output, self.processes = work_dir, work_dir / 'output.txt', []
        with self.output.open('a') as output:
            self.begun = output.tell()
            for rank in range(args.processes):
                environment = dict(
                    os.environ, OMP_NUM_THREADS='1', RANK=str(rank), LOCAL_RANK=str(rank),
                    WORLD_SIZE=str(args.processes), MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
                self.processes.append(subprocess.Popen(
                    command, stdout=output, stderr=subprocess.STDOUT, env=environment,
                    start_new_session=True))

    def running(self):
        return all(process.poll() is None for process in self.processes)

    def signal(self, number):
        """Send a signal to all processes and to the workers of their loaders."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, number)

    def finish(self, expected=0):
        """Wait for all processes, which must end with the expected status."""
        statuses = [process.wait() for process in self.processes]
        if set(statuses) != {expected}:
            lines = self.output.read_text().splitlines()
            raise UserError(f'a run ended with status {statuses} instead of {expected}; its last '
                            'lines:\n  ' + '\n  '.join(lines[-5:]))

    def wait_while(self, condition, pause):
        """Wait while the run is active and a condition holds; the pause is in seconds."""
        while self.running() and condition():
            time.sleep(pause)

    def wait_for_random_moment(self, draw, longest):
        """Wait for a random moment after the first step, every other time during a save."""
        self.wait_while(
            lambda: b'Epoch(train)' not in self.output.read_bytes()[self.begun:], 0.05)
        moment = time.monotonic() + draw.random() * longest
        self.wait_while(lambda: time.monotonic() < moment, 0.001)
        if draw.random() < 0.5:
            self.wait_while(lambda: not list(self.work_dir.glob('*.part')), 0.0005)


def state_of(work_dir):
    """Everything that must be equal, as name -> tensor, and the number of steps."""
    import torch

    import cmid_mm  # noqa: F401
    from cmid_mm.checkpoints.files import latest_checkpoint, load_checkpoint_file
    checkpoint = load_checkpoint_file(latest_checkpoint(str(work_dir)))
    found = {f'weights {key}': value for key, value in checkpoint['state_dict'].items()}
    for number, state in checkpoint['optimizer']['state'].items():
        found |= {f'optimiser {number} {key}': torch.as_tensor(value)
                  for key, value in state.items()}
    for number, group in enumerate(checkpoint['optimizer']['param_groups']):
        found |= {f'optimiser group {number} {key}': torch.as_tensor(value)
                  for key, value in group.items() if isinstance(value, (int, float))}
    scalars = checkpoint['message_hub']['log_scalars']
    found |= {f'log {key}': torch.as_tensor(scalars[key]._log_history)
              for key in scalars if 'loss' in key or 'momentum' in key or key.endswith('lr')}
    return found, checkpoint['meta']['iter']


def compare(one, other):
    """Names of the tensors that are not bitwise equal."""
    import torch
    return [name for name in sorted(set(one) | set(other))
            if name not in one or name not in other or one[name].shape != other[name].shape
            or not torch.equal(one[name].nan_to_num(), other[name].nan_to_num())]


def check(args, folder):
    """Run both trainings and compare them; return the names of what differs."""
    config = write_config(args, folder)
    whole, cut = folder / 'whole', folder / 'cut'
    begin = time.monotonic()
    Run(args, config, whole).finish()
    print(f'without interruption: {time.monotonic() - begin:.0f} s', flush=True)
    number = signal.Signals[f'SIG{args.signal}']
    draw, kills = random.Random(0), 0
    # a run that is always interrupted too early would never end
    longest = max(2.0, 3 * args.seconds)
    while kills < args.kills:
        run = Run(args, config, cut)
        try:
            run.wait_for_random_moment(draw, longest)
            if not run.running():
                break
            run.signal(number)
            run.finish(-number if number == signal.SIGKILL else EXIT_STATUS)
        finally:
            run.signal(signal.SIGKILL)
        kills += 1
        pointer = cut / 'last_checkpoint'
        last = Path(pointer.read_text()).name if pointer.exists() else 'none'
        print(f'{kills}/{args.kills}: {args.signal}, last checkpoint {last}', flush=True)
    Run(args, config, cut).finish()
    (one, steps), (other, other_steps) = state_of(whole), state_of(cut)
    different = compare(one, other)
    print(json.dumps(dict(kills=kills, signal=args.signal, workers=args.workers,
                          processes=args.processes, steps=[steps, other_steps],
                          compared=len(one), different=len(different))))
    for name in different[:10]:
        print(f'different: {name}')
    if kills < args.kills:
        print(f'the run was done after {kills} kills: set more --epochs for more')
    return different


def main(arguments=None):
    args = parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if check(args, Path(folder)):
            sys.exit(1)
    print('all equal')


if __name__ == '__main__':
    _errors.run(main)
