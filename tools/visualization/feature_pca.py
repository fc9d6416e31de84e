"""Draws feature maps in colours: feature_pca.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

The first three principal components of the feature maps of all images are red, green and
blue: cells of one colour have similar features, across images too. Images are enlarged to
--size pixels, which makes the maps finer; --stage takes an earlier, finer map (1 to 4; of a
ViT a layer).
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _model_options import (  # noqa: E402
    add_dense_options,
    add_model_options,
    add_picture_options,
    choose_images,
    dense_features,
    load_features,
    prepare_output,
)


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    parser.add_argument('inputs', nargs='+', help='images, or folder trees of them')
    add_picture_options(parser, 'feature_pca.png', 12)
    add_dense_options(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    inferencer = load_features(args, args.size)
    from cmid_mm.visualization.feature_pca import pca_colours, save_pca
    out = prepare_output(args.out)
    paths = choose_images(args.inputs, args.max_images)
    maps, images = dense_features(inferencer, paths, args.stage)
    save_pca(images, pca_colours(maps), out,
             f'{" x ".join(map(str, maps[0].shape[1:]))} features of '
             f'{inferencer.name}')
    print(f'written to {out}')


if __name__ == '__main__':
    _errors.run(main)
