"""Draws attention maps: attention_maps.py CONFIG CHECKPOINT FOLDER_OR_IMAGES

VisionTransformer: attention of the last layer, the mean of its heads and single heads.
Swin: attention that the cells of each stage receive within their windows. For other
backbones the tool feature_pca.py shows features.
"""
from _pictures import (
    add_model_options,
    add_picture_options,
    add_size_option,
    choose_images,
    load_features,
    run,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    add_picture_options(parser, 'attention.png', 6)
    add_size_option(parser)
    parser.add_argument('--query', choices=['cls', 'mean'], help='of a ViT: attention of the '
                        'class token, or the mean over all cells (default: the class token '
                        'where it is the output)')
    parser.add_argument('--heads', type=int, default=6,
                        help='of a ViT: show at most so many (default: 6)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    inferencer = load_features(args)
    from cmid_mm.visualization.attention import attention_maps, save_attention
    images, found = [], []
    # one by one: images may differ in size, and weights of many windows are large
    for path in choose_images(args):
        batch, image = inferencer.preprocess([path])
        images += image
        found.append(attention_maps(inferencer.model, batch, args.query))
    save_attention(images, found, args.out, f'attention of {inferencer.name}', args.heads)
    print(f'written to {args.out}')


if __name__ == '__main__':
    run(main)
