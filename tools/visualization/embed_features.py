"""Draws an embedding of scene features: embed_features.py CONFIG CHECKPOINT FOLDER

Images of a folder at the places of their scene features in the plane, by t-SNE (pip
install scikit-learn), UMAP (pip install umap-learn) or the first two principal components.
Where folders are classes, the frames have their colours.
"""
from _pictures import (
    add_model_options,
    add_picture_options,
    choose_images,
    load_features,
    run,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    add_picture_options(parser, 'embedding.png', 400, nargs=None)
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
    result = inferencer(choose_images(args))
    if result['failed']:
        print(f'{len(result["failed"]):,} images could not be read, for example: '
              f'{result["failed"][0][1]}')
    places = embed(result['vectors'], args.method, args.seed)
    names, labels = folder_classes(result['paths'], args.inputs) or ((), None)
    images = [inferencer.pipeline(path) for path in result['paths']]
    save_grid([[scatter(places, images, labels, thumbnail=args.thumbnail)]], args.out, width=9.3,
              title=f'{len(images)} images, features of {inferencer.name}, {args.method}',
              legend=list(zip(names, colours_for(len(names)))))
    print(f'written to {args.out}')


if __name__ == '__main__':
    run(main)
