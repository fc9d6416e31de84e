"""Saves features of images: extract_features.py CONFIG CHECKPOINT IMAGES

IMAGES is a folder tree, a packed data set or files. The result is an .npz file with `paths`
and `vectors` (a float32 row for each image) and, with --dense, `maps` (images, channels, rows,
columns). Read it with numpy.load(file).
"""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import add_model_options, add_size_option, load_features, tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    parser.add_argument('images', nargs='+', help='folder trees or files')
    parser.add_argument('--out', default='features.npz', help='default: features.npz')
    parser.add_argument('--dense', action='store_true',
                        help='save the feature maps too (all of them in memory)')
    parser.add_argument('--batch-size', type=int, default=32)
    add_size_option(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    from cmid_mm.checkpoints.files import atomic_write
    inferencer = load_features(args, show_progress=True)
    found = inferencer(args.images, args.batch_size, args.dense)
    arrays = dict(paths=np.array(found['paths']), vectors=found['vectors'])
    if args.dense:
        shapes = {features.shape for features in found['maps']}
        if len(shapes) > 1:
            raise _errors.UserError(
                f'the maps have {len(shapes)} sizes and make no array: give one size with '
                '--size, or by ResizeEdge and CenterCrop in the test pipeline of the config')
        arrays['maps'] = np.stack(found['maps'])
    with atomic_write(args.out) as path, path.open('wb') as file:
        np.savez(file, **arrays)
    for _, reason in found['failed']:
        print(f'left out: {reason}')
    sizes = ', '.join(f'{name} {" x ".join(map(str, array.shape))}'
                      for name, array in arrays.items() if name != 'paths')
    print(f'{args.out}: {len(found["paths"]):,} images, {sizes}')


if __name__ == '__main__':
    _errors.run(main)
