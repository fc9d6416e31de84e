"""Draws the pictures of a pre-training: visualize.py PICTURE CONFIG ...

`visualize.py PICTURE --help` shows the options of a picture.
"""
import argparse
from pathlib import Path

import _errors
from _errors import UserError
from _launch import config_settings, read_config
from _options import add_model_options, add_size_option, load_config, load_features, tool_parser


def views(args):
    """The views and masks that a config makes.

    A row for each image: the image with both crops outlined, both views (the second with its
    photometric change), and both masked views with masked cells outlined. It needs no
    checkpoint and trains nothing.
    """
    cfg = read_config(args.config, args.cfg_options)
    if min(args.pictures, args.rows) < 1:
        raise UserError('--pictures and --rows must be 1 at least')
    from cmid_mm.visualization import save_grid
    from cmid_mm.visualization.views import VIEW_HEADS, ViewBrowser
    browser = ViewBrowser(cfg)
    samples = evenly(range(len(browser)), args.pictures * args.rows)
    args.out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(samples), args.rows):
        path = args.out / f'views_{first // args.rows + 1:03}.png'
        rows = browser.rows(samples[first:first + args.rows], args.seed, args.epoch, args.matches)
        save_grid(rows, path, VIEW_HEADS, f'{Path(args.config).stem}, epoch {args.epoch}')
        print(f'written to {path}')


def views_options(parser):
    parser.add_argument('config', help='config of a pre-training, e.g. of configs/cmid/')
    parser.add_argument('--out', type=Path, default=Path('views'),
                        help='folder for the pictures (default: views)')
    parser.add_argument('--pictures', type=int, default=1,
                        help='number of pictures (default: 1)')
    parser.add_argument('--rows', type=int, default=5, help='images a picture (default: 5)')
    parser.add_argument('--matches', action='store_true',
                        help='mark matched cells in both views, in one colour')
    parser.add_argument('--seed', type=int, default=0, help='of the run (default: 0)')
    parser.add_argument('--epoch', type=int, default=0, help='of the run (default: 0)')
    parser.add_argument('--cfg-options', **config_settings())


def reconstruction(args):
    """Reconstructions of masked images.

    A row for each image: the image, the masked image and the student's reconstruction. It
    needs a checkpoint of the pre-training, because a backbone alone has no decoder.
    """
    cfg = load_config(args)
    from cmid_mm.apis.reconstructor import Reconstructor
    from cmid_mm.visualization import RECONSTRUCTION_HEADS, save_grid
    reconstructor = Reconstructor(cfg, args.checkpoint, args.device)
    rows = reconstructor(choose_images(args), args.seed)
    save_grid(rows, args.out, RECONSTRUCTION_HEADS,
              f'reconstruction of {Path(args.checkpoint).name}')


def reconstruction_options(parser):
    add_model_options(parser, encoder=False)
    add_picture_options(parser, 'reconstruction.png', 6)
    parser.add_argument('--seed', type=int, default=0, help='of the masks (default: 0)')


def embedding(args):
    """An embedding of scene features.

    Images of a folder at the places of their scene features in the plane, by t-SNE (pip
    install scikit-learn), UMAP (pip install umap-learn) or the first two principal components.
    Where folders are classes, the frames have their colours.
    """
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


def embedding_options(parser):
    add_model_options(parser)
    add_picture_options(parser, 'embedding.png', 400, nargs=None)
    parser.add_argument('--method', choices=['tsne', 'umap', 'pca'], default='tsne',
                        help='default: tsne')
    parser.add_argument('--seed', type=int, default=0, help='of the method (default: 0)')
    parser.add_argument('--thumbnail', type=int, default=44,
                        help='longer side in pixels of the picture (default: 44)')


def features(args):
    """Feature maps in colours.

    The first three principal components of the feature maps of all images are red, green and
    blue: cells of one colour have similar features, across images too. Images are enlarged to
    --size pixels, which makes the maps finer; --stage takes an earlier, finer map (1 to 4; of a
    ViT a layer).
    """
    inferencer = load_features(args)
    from cmid_mm.visualization.feature_pca import pca_colours, save_pca
    maps, images = dense_features(inferencer, choose_images(args), args.stage)
    save_pca(images, pca_colours(maps), args.out,
             f'{" x ".join(map(str, maps[0].shape[1:]))} features of {inferencer.name}')


def features_options(parser):
    add_model_options(parser)
    add_picture_options(parser, 'features.png', 12)
    add_dense_options(parser)


def matches(args):
    """Matched cells of two images.

    For two images of one place, for example of two dates: lines join cells of the feature maps
    that are each other's nearest neighbours, those with the largest cosine. The tool counts the
    matches at the same position in both images.
    """
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


def matches_options(parser):
    add_model_options(parser)
    parser.add_argument('first', help='image')
    parser.add_argument('second', help='image of the same place')
    add_picture_options(parser, 'matches.png')
    parser.add_argument('--matches', type=int, default=40,
                        help='at most so many, those with the largest cosine (default: 40)')
    add_dense_options(parser)


def attention(args):
    """Attention maps.

    VisionTransformer: attention of the last layer, the mean of its heads and single heads.
    Swin: attention that the cells of each stage receive within their windows. For other
    backbones the picture `features` shows features.
    """
    inferencer = load_features(args)
    from cmid_mm.visualization.attention import attention_maps, save_attention
    images, found = [], []
    # one by one: images may differ in size, and weights of many windows are large
    for path in choose_images(args):
        batch, image = inferencer.preprocess([path])
        images += image
        found.append(attention_maps(inferencer.model, batch, args.query))
    save_attention(images, found, args.out, f'attention of {inferencer.name}', args.heads)


def attention_options(parser):
    add_model_options(parser)
    add_picture_options(parser, 'attention.png', 6)
    add_size_option(parser)
    parser.add_argument('--query', choices=['cls', 'mean'], help='of a ViT: attention of the '
                        'class token, or the mean over all cells (default: the class token '
                        'where it is the output)')
    parser.add_argument('--heads', type=int, default=6,
                        help='of a ViT: show at most so many (default: 6)')


def add_picture_options(parser, out, images=None, nargs='+'):
    """Adds the images (unless ``images``, their largest number, is None) and the file."""
    if images:
        parser.add_argument('inputs', nargs=nargs, help='images, or folder trees of them')
        parser.add_argument('--max-images', type=int, default=images,
                            help=f'largest number of images, evenly chosen (default: {images})')
    parser.add_argument('--out', default=out, type=picture_path,
                        help=f'picture to write (default: {out})')


def picture_path(out):
    """Path of a picture, whose folder is created."""
    path = Path(out)
    if path.suffix.lower() not in ('.png', '.jpg', '.jpeg', '.pdf', '.svg'):
        raise UserError(f'--out {out}: give a file that ends in .png or .jpg')
    path.parent.mkdir(parents=True, exist_ok=True)
    return out


def add_dense_options(parser):
    """Adds size of the images and stage of the feature maps."""
    parser.add_argument('--size', type=int, default=448,
                        help='side of the images in pixels (default: 448)')
    parser.add_argument('--stage', type=int, help='map after this stage, from 1 (default: '
                        "the backbone's last map)")


def evenly(items, most):
    """At most ``most`` items, spread over all: neighbours are often of one kind."""
    number = min(most, len(items))
    return [items[place * len(items) // number] for place in range(number)]


def choose_images(args):
    """Paths of the images; evenly chosen where there are more than ``--max-images``."""
    from cmid_mm.apis.images import list_inputs
    if args.max_images < 1:
        raise UserError(f'--max-images must be 1 at least, not {args.max_images}')
    files = list_inputs(args.inputs)
    if len(files) > args.max_images:
        print(f'{args.max_images:,} of {len(files):,} images, evenly chosen (--max-images)')
    return evenly(files, args.max_images)


def dense_features(inferencer, paths, stage=None):
    """Feature maps (C, h, w) and images of files.

    Raises:
        UserError: A file cannot be read.
    """
    if stage is None:
        result = inferencer(paths, batch_size=4, dense=True)
    else:
        from cmid_mm.models.selfsup.stage_maps import stage_maps
        with stage_maps(inferencer.model, stage) as found:
            result = inferencer(paths, batch_size=4, dense=True)
        result['maps'] = [one.float().cpu().numpy() for maps in found for one in maps]
    if result['failed']:
        raise UserError(result['failed'][0][1])
    return result['maps'], result['images']


PICTURES = (
    (views, views_options), (reconstruction, reconstruction_options),
    (embedding, embedding_options), (features, features_options), (matches, matches_options),
    (attention, attention_options))


def main(arguments=None):
    parser = tool_parser(__doc__)
    commands = parser.add_subparsers(metavar='PICTURE', required=True)
    for draw, add_options in PICTURES:
        command = commands.add_parser(
            draw.__name__, help=draw.__doc__.split('\n')[0], description=draw.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        add_options(command)
        command.set_defaults(draw=draw)
    args = parser.parse_args(arguments)
    args.draw(args)
    if args.draw is not views:
        print(f'written to {args.out}')


if __name__ == '__main__':
    _errors.run(main)
