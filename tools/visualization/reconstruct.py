"""Draws reconstructions of masked images: reconstruct.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

A row for each image: the image, the masked image and the student's reconstruction. It
needs a checkpoint of the pre-training, because a backbone alone has no decoder.
"""
from pathlib import Path

from _pictures import (
    add_model_options,
    add_picture_options,
    choose_images,
    load_config,
    run,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser, encoder=False)
    add_picture_options(parser, 'reconstruction.png', 6)
    parser.add_argument('--seed', type=int, default=0, help='of the masks (default: 0)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    cfg = load_config(args)
    from cmid_mm.apis.reconstructor import Reconstructor
    from cmid_mm.visualization import RECONSTRUCTION_HEADS, save_grid
    reconstructor = Reconstructor(cfg, args.checkpoint, args.device)
    rows = reconstructor(choose_images(args), args.seed)
    save_grid(rows, args.out, RECONSTRUCTION_HEADS,
              f'reconstruction of {Path(args.checkpoint).name}')
    print(f'written to {args.out}')


if __name__ == '__main__':
    run(main)
