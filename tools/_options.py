"""Options that several tools have."""
import argparse

from _launch import config_settings, read_config, require_checkpoint


def tool_parser(doc):
    """A parser whose help is the tool's docstring as it is written."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def image_parser(doc, config=False):
    """:func:`tool_parser` with a folder of images, or a config, and how they are read."""
    parser = tool_parser(doc)
    parser.add_argument('folder', help='folder tree of JPEG, PNG, TIFF, BMP, WebP images'
                        + (', or a config file' if config else ''))
    parser.add_argument('--max-pixels', type=int, default=2**28,
                        help='images with more pixels are refused (default: 2^28)')
    parser.add_argument('--workers', type=int, help='processes (default: one per core)')
    return parser


def add_band_options(parser):
    """Adds the bands of the images and the range of their values."""
    parser.add_argument('--bands', type=int,
                        help='number of bands (default: that of most images)')
    parser.add_argument('--band-indices', type=int, nargs='+',
                        help='bands to take from each file, counted from 0')
    parser.add_argument('--value-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='range that becomes 0..255 where images are not 8-bit')


def add_raster_options(parser):
    """Adds the windows of large rasters and the names of bands that are files of their own."""
    parser.add_argument('--window', type=int, metavar='PIXELS',
                        help='take windows of this side from larger rasters')
    add_band_file_options(parser)


def add_band_file_options(parser):
    """Adds the names of bands that are files of their own."""
    parser.add_argument('--band-files', nargs='+', metavar='BAND',
                        help='bands of images with one file per band, as in the names of files')
    parser.add_argument('--band-pattern', default='*{band}.*', metavar='PATTERN',
                        help='where file names have the band (default: %(default)s)')
    parser.add_argument('--grid-band', metavar='BAND',
                        help='band whose grid the others get (default: the first)')


def bands_of(args):
    """Arguments of ``group_bands`` for :func:`add_band_file_options`; None without them."""
    if args.band_files is None:
        return None
    return dict(bands=args.band_files, pattern=args.band_pattern, grid_band=args.grid_band)


def listed_samples(args, files=None):
    """Names of images or windows for :func:`add_raster_options`; ``files`` without options."""
    from cmid_mm.datasets.raster_windows import list_samples
    if args.window is None and args.band_files is None:
        return files
    return list_samples(args.folder, files, args.window, args.band_files, args.band_pattern,
                        args.grid_band)


def add_model_options(parser, encoder=True):
    """Adds config, checkpoint, device and changes of the config, and the encoder of a CMID."""
    parser.add_argument('config', help="config of the training, e.g. its work dir's config.py")
    parser.add_argument('checkpoint', help='checkpoint of the training'
                        + (', or a backbone exported from it' if encoder else ''))
    if encoder:
        parser.add_argument('--encoder', choices=['student', 'teacher'],
                            help='encoder of a training checkpoint (default: student)')
    parser.add_argument('--device', help='cpu, cuda, ... (default: a GPU where there is one)')
    parser.add_argument('--cfg-options', **config_settings())


def load_config(args):
    """The config of :func:`add_model_options`; a missing file raises ``UserError``."""
    cfg = read_config(args.config, args.cfg_options)
    require_checkpoint(args.checkpoint)
    return cfg


def load_features(args, show_progress=False):
    """The ``FeatureInferencer`` of :func:`add_model_options`, of images of ``args.size``.

    Args:
        args (argparse.Namespace): ``size`` is the side in pixels; without it or with None,
            images have the size of the config's test pipeline.
        show_progress (bool): Whether there is a progress bar while images are read.
    """
    cfg = load_config(args)
    from cmid_mm.apis import FeatureInferencer
    return FeatureInferencer(cfg, args.checkpoint, args.encoder, getattr(args, 'size', None),
                             args.device, show_progress=show_progress)


def add_size_option(parser):
    parser.add_argument('--size', type=int, help='side of the images in pixels (default: as '
                        'in the test pipeline of the config)')
