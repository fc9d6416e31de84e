"""Scenes of a collection that look like given ones: retrieve_scenes.py CONFIG CHECKPOINT QUERY

The collection is a folder (--collection) or an index that was saved before (--index). Every query
is shown in a picture beside what was found; queries are not found themselves.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _model_options import add_model_options, load_features  # noqa: E402


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    parser.add_argument('queries', nargs='+', metavar='QUERY', help='images, or folders of them')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--collection', help='folder tree to search')
    where.add_argument('--index', help='index of a collection, made with --save')
    parser.add_argument('--save', metavar='FILE', help='keep the index of --collection, .npz')
    parser.add_argument('--count', type=int, default=6, help='scenes a query (default: 6)')
    parser.add_argument('--out', default='retrieval.png', help='picture (default: retrieval.png)')
    parser.add_argument('--size', type=int, help='side of the images in pixels (default: what '
                        'the test pipeline of the config makes)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    from cmid_mm.apis import SceneIndex
    from cmid_mm.visualization.retrieval import save_retrieval
    inferencer = load_features(args, args.size, show_progress=True)
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
