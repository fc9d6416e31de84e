"""Draws the views and masks that a config makes: browse_views.py CONFIG [--out FOLDER]

A row for each image: the image with both crops outlined, both views (the second with its
photometric change), and both masked views with masked cells outlined. It needs no
checkpoint and trains nothing.
"""
from pathlib import Path

from _pictures import UserError, config_settings, evenly, read_config, run, tool_parser


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config of a pre-training, e.g. of configs/cmid/')
    parser.add_argument('--out', type=Path, default=Path('views'),
                        help='folder for the pictures (default: views)')
    parser.add_argument('--pictures', type=int, default=1,
                        help='number of pictures (default: 1)')
    parser.add_argument('--rows', type=int, default=5, help='images a picture (default: 5)')
    parser.add_argument('--matches', action='store_true',
                        help='mark matched cells in both views, in one colour')
    parser.add_argument('--seed', type=int, default=0, help='of the run (default: 0)')
    parser.add_argument('--epoch', type=int, default=0, help='of the run (default: 0)')
    parser.add_argument('--cfg-options', **config_settings())
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    cfg = read_config(args.config, args.cfg_options)
    if min(args.pictures, args.rows) < 1:
        raise UserError('--pictures and --rows must be 1 at least')
    from cmid_mm.visualization import save_grid
    from cmid_mm.visualization.views import VIEW_HEADS, ViewBrowser
    browser = ViewBrowser(cfg)
    samples = evenly(range(len(browser)), args.pictures * args.rows)
    args.out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(samples), args.rows):
        path = args.out / f'views_{first // args.rows + 1:03}.png'
        rows = browser.rows(samples[first:first + args.rows], args.seed, args.epoch, args.matches)
        save_grid(rows, path, VIEW_HEADS, f'{Path(args.config).stem}, epoch {args.epoch}')
        print(f'written to {path}')


if __name__ == '__main__':
    run(main)
