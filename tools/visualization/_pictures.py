"""Options, images and features of the tools that draw pictures.

Importing this module makes the modules of tools/ importable; tools import what they need of
them from here.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _errors import UserError, run  # noqa: E402, F401
from _launch import config_settings, read_config  # noqa: E402, F401
from _options import (  # noqa: E402, F401
    add_model_options,
    add_size_option,
    load_config,
    load_features,
    tool_parser,
)


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
