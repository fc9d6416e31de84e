"""Writes remote-sensing-like scenes with labels, for trying out every task.

    python tools/generate_scenes.py OUT_DIR --num 1000 --size 256 --bands 3 --seed 0

The same arguments give the same files; a second call returns at once.
"""
import _errors
from _options import tool_parser

TASKS = ('classification', 'segmentation', 'detection', 'change')


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('out_dir',
                        help='folder for the scenes: new, empty, or with generated scenes')
    parser.add_argument('--num', type=int, default=1000,
                        help='scenes of each task (default: 1000)')
    parser.add_argument('--size', type=int, nargs='+', default=[256],
                        help='pixels, or height and width (default: 256)')
    parser.add_argument('--bands', type=int, default=3,
                        help='1 grey, 3 RGB, 4 with near infrared, ... (default: 3)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=TASKS,
                        help='default: all')
    parser.add_argument('--val-share', type=float, default=0.2,
                        help='share kept for validation (default: 0.2)')
    parser.add_argument('--workers', type=int, help='processes (default: one per core)')
    args = parser.parse_args(arguments)
    if len(args.size) > 2:
        parser.error('--size takes one number, or height and width')
    return args


def main():
    args = parse_args()
    from cmid_mm.datasets.scenes.writing import write_scenes
    size = args.size[0] if len(args.size) == 1 else tuple(args.size)
    summary = write_scenes(args.out_dir, args.num, size, args.bands, args.seed, args.tasks,
                           args.val_share, args.workers)
    for task, splits in summary['counts'].items():
        train, val = splits['train']['scenes'], splits['val']['scenes']
        print(f'{args.out_dir}/{task}: {train} scenes for training, {val} for validation')


if __name__ == '__main__':
    _errors.run(main)
