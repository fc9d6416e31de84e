"""Packs a folder of images into one file to train on: pack_dataset.py FOLDER OUT.lmdb

For folders whose many small files are slow to open, and for large images that are decoded
again in every epoch: the file is memory-mapped, its images may be shrunk or written without
compression, and each has a checksum. Images that cannot be used are named and left out. Ends
with status 0 if all are packed, and with 1 if some are left out or an error prevented the
packing; in that case OUT.lmdb is not written.

    python tools/pack_dataset.py FOLDER OUT.lmdb                          # the files as they are
    python tools/pack_dataset.py FOLDER OUT.lmdb --shortest-side 473      # large ones shrunk
    python tools/pack_dataset.py FOLDER OUT.lmdb --shortest-side 473 --raw    # and uncompressed
"""
import shlex
import sys
import time

import _errors
from _options import add_raster_options, image_parser, listed_samples

NAMES_SHOWN = 10


def parse_args(arguments=None):
    parser = image_parser(__doc__)
    parser.add_argument('out', metavar='OUT.lmdb', help='file to write')
    parser.add_argument('--shortest-side', type=int, metavar='PIXELS',
                        help='shrink images whose shorter side is longer; 473 for views of '
                        '224 px, as in configs/_base_/datasets (default: none)')
    add_raster_options(parser)
    parser.add_argument('--min-valid', type=float, default=0.5, metavar='SHARE',
                        help='leave out windows in which fewer pixels have data (default: 0.5)')
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--quality', type=int, default=95,
                      help='quality of the JPEGs of shrunk images (default: %(default)s)')
    form.add_argument('--raw', action='store_true',
                      help='write uncompressed images, which load faster but take much space')
    return parser.parse_args(arguments)


def table(report, args, seconds):
    """Lines of text for the terminal."""
    from cmid_mm.utils.one_line import one_line
    lines = [f'{report["packed"]:,} of {report["images"]:,} images packed in {args.out} '
             f'({seconds:,.0f} s): {report["packed_bytes"] / 1e6:,.1f} MB of images, '
             f'{report["bytes"] / 1e6:,.1f} MB in the folder']
    forms = dict(original='as they were', JPEG=f'as JPEG of quality {args.quality}',
                 uncompressed='uncompressed', window='as files of their own')
    lines += ['  ' + ', '.join([f'{count:,} {forms[form]}' for form, count
                                in report['forms'].items()]
                               + [f'{report["shrunk"]:,} of them shrunk'])]
    if report.get('empty'):
        lines += [f'  {report["empty"]:,} windows with too little data are left out']
    if report['not_shrunk']:
        lines += [f'  {report["not_shrunk"]:,} are too large but cannot be shrunk: not 8-bit '
                  'or of other than 1 or 3 bands (--raw shrinks most), or with alpha or nodata']
    if report['unusable']:
        lines += [f'left out: {len(report["unusable"]):,}']
        lines += [f'  {one_line(f"{file} {reason}")}'
                  for file, reason in report['unusable'][:NAMES_SHOWN]]
        rest = len(report['unusable']) - NAMES_SHOWN
        if rest > 0:
            lines += [f'  ... and {rest:,} more (tools/check_dataset.py has all)']
    lines += ['train on it with --cfg-options train_dataloader.dataset.data_root='
              + shlex.quote(args.out)
              + (' train_dataloader.dataset.band_files=None' if args.band_files else '')]
    return '\n'.join(lines)


def main():
    args = parse_args()
    from cmid_mm.datasets.packing import pack_folder
    start = time.monotonic()
    report = pack_folder(args.folder, args.out, args.shortest_side, args.quality, args.raw,
                         args.max_pixels, args.workers, files=listed_samples(args),
                         min_valid=args.min_valid)
    # file names may contain characters that the terminal's encoding lacks
    sys.stdout.reconfigure(errors='backslashreplace')
    print(table(report, args, time.monotonic() - start))
    sys.exit(1 if report['unusable'] else 0)


if __name__ == '__main__':
    _errors.run(main)
