"""Draws matched cells of two images: correspondence.py CONFIG CHECKPOINT IMAGE1 IMAGE2

For two images of one place, for example of two dates: lines join cells of the feature maps
that are each other's nearest neighbours, those with the largest cosine. The tool counts the
matches at the same position in both images.
"""
from pathlib import Path

from _pictures import (
    UserError,
    add_dense_options,
    add_model_options,
    add_picture_options,
    dense_features,
    load_features,
    run,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    parser.add_argument('first', help='image')
    parser.add_argument('second', help='image of the same place')
    add_picture_options(parser, 'correspondence.png')
    parser.add_argument('--matches', type=int, default=40,
                        help='at most so many, those with the largest cosine (default: 40)')
    add_dense_options(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    if args.matches < 1:
        raise UserError(f'--matches must be 1 at least, not {args.matches}')
    inferencer = load_features(args)
    from cmid_mm.visualization import save_grid
    from cmid_mm.visualization.correspondence import displacements, draw_matches, mutual_matches
    for path in (args.first, args.second):
        if not Path(path).is_file():
            raise UserError(f'no such image: {path}')
    maps, images = dense_features(inferencer, [args.first, args.second], args.stage)
    grids = [one.shape[1:] for one in maps]
    first, second, _ = mutual_matches(*maps, args.matches)
    near = int((displacements(first, second, grids) < 1.5 / max(grids[0])).sum())
    summary = (f'{len(first)} matches of {" x ".join(map(str, grids[0]))} cells, {near} at the '
               'same place (within a cell)')
    save_grid([[draw_matches(images, (first, second), grids)]], args.out, width=8.4,
              title=summary)
    print(summary)
    print(f'written to {args.out}')


if __name__ == '__main__':
    run(main)
