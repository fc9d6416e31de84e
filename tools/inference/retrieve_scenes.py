"""Finds similar scenes in a collection: retrieve_scenes.py CONFIG CHECKPOINT QUERY

The collection is a folder (--collection) or a saved index of it (--index). A picture shows every
query beside the scenes that were found; the queries themselves are left out.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import add_model_options, add_size_option, load_features, tool_parser  # noqa: E402

ROWS = 12


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    parser.add_argument('queries', nargs='+', metavar='QUERY', help='images, or folders of them')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--collection', help='folder tree to search')
    where.add_argument('--index', help='index of a collection, made with --save')
    parser.add_argument('--save', metavar='FILE', help='save the index of --collection, .npz')
    parser.add_argument('--count', type=int, default=6, help='scenes for each query (default: 6)')
    parser.add_argument('--out', default='retrieval.png', help='picture (default: retrieval.png)')
    add_size_option(parser)
    return parser.parse_args(arguments)


def save_retrieval(queries, answers, read, out):
    """Writes a picture: a row for each query with folder and similarity as titles.

    Args:
        queries (list[str]): Images; the first twelve are shown.
        answers (list[list[tuple[str, float]]]): Path and similarity of the scenes found.
        read (Callable): From a path to the image, (H, W, bands) uint8.
        out (str): File to write, PNG by its ending.
    """
    import numpy as np

    from cmid_mm.visualization.panels import save_grid, to_rgb
    columns = 1 + max(len(found) for found in answers)
    panels, captions = [], []
    for query, found in list(zip(queries, answers))[:ROWS]:
        row = [to_rgb(read(path)) for path in (query, *(path for path, _ in found))]
        blank = np.full_like(row[0], 255)
        panels.append(row + [blank] * (columns - len(row)))
        texts = [(f'query: {Path(query).parent.name}', 'tab:blue')]
        # the folder often names the class
        texts += [(f'{similarity:.2f} {Path(path).parent.name}', 'black')
                  for path, similarity in found]
        captions.append(texts + [('', 'black')] * (columns - len(row)))
    save_grid(panels, out, captions=captions)


def main(arguments=None):
    args = parse_args(arguments)
    from cmid_mm.apis import SceneIndex
    inferencer = load_features(args, show_progress=True)
    if args.index:
        index = SceneIndex.load(args.index)
    else:
        index = SceneIndex.build(inferencer, args.collection)
        if args.save:
            index.save(args.save)
    queries = inferencer(args.queries)
    answers = index.search(queries['vectors'], args.count, leave_out=queries['paths'])
    for path, found in zip(queries['paths'], answers):
        print(path)
        for other, similarity in found:
            print(f'  {similarity:.3f}  {other}')
    save_retrieval(queries['paths'], answers, inferencer.pipeline, args.out)
    print(f'{args.out}: {len(queries["paths"])} queries among {len(index.paths):,} scenes')


if __name__ == '__main__':
    _errors.run(main)
