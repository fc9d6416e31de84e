"""Draws feature maps in colours: feature_pca.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

The first three principal components of the feature maps of all images are red, green and
blue: cells of one colour have similar features, across images too. Images are enlarged to
--size pixels, which makes the maps finer; --stage takes an earlier, finer map (1 to 4; of a
ViT a layer).
"""
from _pictures import (
    add_dense_options,
    add_model_options,
    add_picture_options,
    choose_images,
    dense_features,
    load_features,
    run,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    add_picture_options(parser, 'feature_pca.png', 12)
    add_dense_options(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    inferencer = load_features(args)
    from cmid_mm.visualization.feature_pca import pca_colours, save_pca
    maps, images = dense_features(inferencer, choose_images(args), args.stage)
    save_pca(images, pca_colours(maps), args.out,
             f'{" x ".join(map(str, maps[0].shape[1:]))} features of {inferencer.name}')
    print(f'written to {args.out}')


if __name__ == '__main__':
    run(main)
