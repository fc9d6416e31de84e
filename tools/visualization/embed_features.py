"""Draws an embedding of scene features: embed_features.py CONFIG CHECKPOINT FOLDER

Images of a folder at the places of their scene features in the plane, by t-SNE (pip install
scikit-learn), UMAP (pip install umap-learn) or the first two principal components. Where folders
are classes, the frames have their colours.
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
    load_features,
    prepare_output,
    print_unreadable,
)


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    parser.add_argument('folder', help='folder tree of images')
    add_picture_options(parser, 'embedding.png', 400)
    parser.add_argument('--method', choices=['tsne', 'umap', 'pca'], default='tsne',
                        help='default: tsne')
    parser.add_argument('--seed', type=int, default=0, help='of the method (default: 0)')
    parser.add_argument('--thumbnail', type=int, default=44,
                        help='longer side in pixels of the picture (default: 44)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    inferencer = load_features(args)
    from cmid_mm.visualization.embedding import embed, folder_classes, library, scatter
    from cmid_mm.visualization.panels import colours_for, save_grid
    # before the features, which take a while
    library(args.method)
    out = prepare_output(args.out)
    result = inferencer(choose_images(args.folder, args.max_images))
    print_unreadable(result['failed'])
    places = embed(result['vectors'], args.method, args.seed)
    classes = folder_classes(result['paths'], args.folder)
    names, labels = classes or (None, None)
    images = [inferencer.pipeline(path) for path in result['paths']]
    save_grid([[scatter(places, images, labels, thumbnail=args.thumbnail)]], out, width=9.3,
              title=f'{len(images)} images, features of {inferencer.name}, {args.method}',
              legend=list(zip(names or (), colours_for(len(names or ())))))
    print(f'written to {out}')


if __name__ == '__main__':
    _errors.run(main)
