"""Matches cells of two images: correspondence.py CONFIG CHECKPOINT IMAGE1 IMAGE2

For two images of one place, for example of two dates: lines join cells of the feature maps that
are each other's nearest neighbours, those with the largest cosine. The tool counts the matches
at the same position in both images.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _model_options import (  # noqa: E402
    add_dense_options,
    add_model_options,
    dense_features,
    load_features,
    prepare_output,
)


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    parser.add_argument('first', help='image')
    parser.add_argument('second', help='image of the same place')
    parser.add_argument('--out', default='correspondence.png',
                        help='picture to write (default: correspondence.png)')
    parser.add_argument('--matches', type=int, default=40,
                        help='at most so many, those with the largest cosine (default: 40)')
    add_dense_options(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    if args.matches < 1:
        raise _errors.UserError(f'--matches must be 1 at least, not {args.matches}')
    inferencer = load_features(args, args.size)
    from cmid_mm.visualization import save_grid
    from cmid_mm.visualization.correspondence import displacements, draw_matches, mutual_matches
    out = prepare_output(args.out)
    for path in (args.first, args.second):
        if not Path(path).is_file():
            raise _errors.UserError(f'no such image: {path}')
    maps, images = dense_features(inferencer, [args.first, args.second], args.stage)
    grids = [features.shape[1:] for features in maps]
    first, second, _ = mutual_matches(*maps, args.matches)
    distances = displacements(first, second, grids)
    near = int((distances < 1.5 / max(grids[0])).sum())
    save_grid([[draw_matches(images, (first, second), grids)]], out, width=8.4,
              title=f'{len(first)} matches, {near} at the same place (within a cell)')
    print(f'{len(first)} matches of {" x ".join(map(str, grids[0]))} cells, {near} at the same '
          f'place (within a cell)\nwritten to {out}')


if __name__ == '__main__':
    _errors.run(main)
