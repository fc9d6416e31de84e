"""Options of the tools that read the images of a folder."""
import argparse


def image_parser(description):
    """A parser with FOLDER and the options that all of these tools have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', help='folder tree of JPEG, PNG, TIFF, BMP, WebP images')
    parser.add_argument('--bands', type=int,
                        help='number of bands (default: that of most images)')
    parser.add_argument('--band-indices', type=int, nargs='+',
                        help='bands to take from each file, counted from 0')
    parser.add_argument('--max-pixels', type=int, default=2**28,
                        help='images with more pixels are refused (default: 2^28)')
    parser.add_argument('--workers', type=int, help='processes (default: one per core)')
    return parser
