"""Options, model and images of the tools for inference and visualization."""
from pathlib import Path

from _errors import UserError
from _launch import read_config, require_checkpoint


def add_cfg_options(parser):
    """Adds ``--cfg-options`` to an ``argparse.ArgumentParser``."""
    from mmengine.config import DictAction
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='change settings of the config')


def add_model_options(parser, encoder=True):
    """Adds config, checkpoint, encoder, device and changes of the config."""
    parser.add_argument('config', help="config of the training, e.g. its work dir's config.py")
    parser.add_argument('checkpoint', help='checkpoint of the training'
                        + (', or a backbone exported from it' if encoder else ''))
    if encoder:
        parser.add_argument('--encoder', choices=['student', 'teacher'],
                            help='encoder of a training checkpoint (default: student)')
    parser.add_argument('--device', help='cpu, cuda, ... (default: a GPU where there is one)')
    add_cfg_options(parser)


def add_picture_options(parser, out, images):
    """Adds file and number of images of the picture."""
    parser.add_argument('--out', default=out, help=f'picture to write (default: {out})')
    parser.add_argument('--max-images', type=int, default=images,
                        help=f'largest number of images, evenly chosen (default: {images})')


def load_config(args):
    """Read the config; a missing file raises ``UserError``."""
    cfg = read_config(args.config, args.cfg_options)
    require_checkpoint(args.checkpoint)
    return cfg


def load_features(args, size=None, show_progress=False):
    """The ``FeatureInferencer`` of the options.

    Args:
        args (argparse.Namespace): With :func:`add_model_options`.
        size (int, optional): Side of the images in pixels, in place of the config's.
        show_progress (bool): Whether there is a bar while images are read.
    """
    cfg = load_config(args)
    from cmid_mm.apis import FeatureInferencer
    return FeatureInferencer(cfg, args.checkpoint, args.encoder, size, args.device,
                             show_progress=show_progress)


def choose_images(inputs, most):
    """Paths of folders and files, evenly chosen where there are more than ``most``."""
    from cmid_mm.apis.images import list_inputs
    if most < 1:
        raise UserError(f'--max-images must be 1 at least, not {most}')
    files = list_inputs(inputs)
    if len(files) <= most:
        return files
    chosen = [files[place * len(files) // most] for place in range(most)]
    print(f'{most:,} of {len(files):,} images, evenly chosen (--max-images)')
    return chosen


def print_unreadable(failed):
    """Prints how many images could not be read, with the first reason."""
    if failed:
        print(f'{len(failed):,} images could not be read, for example: {failed[0][1]}')


def prepare_output(path):
    """Creates the folder of a picture; returns the path as text.

    Raises:
        UserError: The file does not have the ending of a picture.
    """
    path = Path(path)
    if path.suffix.lower() not in ('.png', '.jpg', '.jpeg', '.pdf', '.svg'):
        raise UserError(f'--out {path}: give a file that ends in .png or .jpg')
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def add_dense_options(parser):
    """Adds size of the images and stage of the feature maps."""
    parser.add_argument('--size', type=int, default=448,
                        help='side of the images in pixels (default: 448)')
    parser.add_argument('--stage', type=int, help='map after this stage, from 1 (default: '
                        "the backbone's last map)")


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
