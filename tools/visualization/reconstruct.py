"""Draws reconstructions: reconstruct.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

A row for each image: the image, the masked image and the student's reconstruction. It needs a
checkpoint of the pre-training, because a backbone alone has no decoder.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _model_options import (  # noqa: E402
    add_model_options,
    add_picture_options,
    choose_images,
    load_config,
    prepare_output,
)


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser, encoder=False)
    parser.add_argument('inputs', nargs='+', help='images, or folder trees of them')
    add_picture_options(parser, 'reconstruction.png', 6)
    parser.add_argument('--seed', type=int, default=0, help='of the masks (default: 0)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    cfg = load_config(args)
    from cmid_mm.apis.reconstructor import Reconstructor
    from cmid_mm.visualization import RECONSTRUCTION_HEADS, save_grid
    out = prepare_output(args.out)
    reconstructor = Reconstructor(cfg, args.checkpoint, args.device)
    rows = reconstructor(choose_images(args.inputs, args.max_images), args.seed)
    save_grid(rows, out, RECONSTRUCTION_HEADS,
              f'reconstruction of {Path(args.checkpoint).name}')
    print(f'written to {out}')


if __name__ == '__main__':
    _errors.run(main)
