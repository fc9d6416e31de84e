"""Draws attention maps: attention_maps.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

VisionTransformer: attention of the last layer, the mean of its heads and single heads.
Swin: attention that the cells of each stage receive within their windows. For other backbones
feature_pca.py shows features.
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
)


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_options(parser)
    parser.add_argument('inputs', nargs='+', help='images, or folder trees of them')
    add_picture_options(parser, 'attention.png', 6)
    parser.add_argument('--size', type=int, help='side of the images in pixels; larger ones '
                        'make finer maps (default: as the config tests)')
    parser.add_argument('--query', choices=['cls', 'mean'], help='of a ViT: attention of the '
                        'class token, or the mean over all cells (default: the class token '
                        'where it is the output)')
    parser.add_argument('--heads', type=int, default=6,
                        help='of a ViT: show at most so many (default: 6)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    inferencer = load_features(args, args.size)
    from cmid_mm.visualization.attention import attention_maps, save_attention
    out = prepare_output(args.out)
    paths = choose_images(args.inputs, args.max_images)
    images, found = [], []
    # one by one: images may differ in size, and weights of many windows are large
    for path in paths:
        batch, image = inferencer.preprocess([path])
        images += image
        found.append(attention_maps(inferencer.model, batch, args.query))
    save_attention(images, found, out, f'attention of {inferencer.name}', args.heads)
    print(f'written to {out}')


if __name__ == '__main__':
    _errors.run(main)
