"""Scenes of a collection that look like given ones: retrieve_scenes.py CONFIG CHECKPOINT QUERY

The collection is a folder (--collection) or an index that was saved before (--index). Every query
is shown in a picture beside what was found; queries are not found themselves.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402


def parse_args(arguments=None):
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the pre-training or of a classification')
    parser.add_argument('checkpoint', help='training checkpoint or exported backbone')
    parser.add_argument('queries', nargs='+', metavar='QUERY', help='images, or folders of them')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--collection', help='folder tree to search')
    where.add_argument('--index', help='index of a collection, made with --save')
    parser.add_argument('--save', metavar='FILE', help='keep the index of --collection, .npz')
    parser.add_argument('--count', type=int, default=6, help='scenes a query (default: 6)')
    parser.add_argument('--out', default='retrieval.png', help='picture (default: retrieval.png)')
    parser.add_argument('--encoder', choices=['student', 'teacher'],
                        help='of a training checkpoint (default: student)')
    parser.add_argument('--size', type=int, help='side of the images in pixels (default: what '
                        'the test pipeline of the config makes)')
    parser.add_argument('--device', help='cpu, cuda, ... (default: a GPU if there is one)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='change settings of the config')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    from _launch import read_config
    config = read_config(args.config, args.cfg_options)
    from cmid_mm.apis import FeatureInferencer, SceneIndex
    from cmid_mm.visualization.retrieval import save_retrieval
    inferencer = FeatureInferencer(config, args.checkpoint, args.encoder, args.size,
                                   args.device)
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
