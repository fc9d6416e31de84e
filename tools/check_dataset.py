"""Checks a data set of any task before training: check_dataset.py FOLDER | CONFIG

Reads all images in parallel and prints their number, formats, bands, number types and sizes;
which of them cannot be used, and why; and which deserve attention: equal files, images of one
colour, without a valid pixel, or smaller than a view. Ends with status 0 if all images can be
used, and with 1 if some cannot or an error prevented the check.

    python tools/check_dataset.py FOLDER --out report.json --good good.txt

With a config, it checks what this config trains, validates and tests on: images as its
pipeline reads them, masks (sizes, values, the share of every class), boxes, lists and pairs.

    python tools/check_dataset.py configs/segmentation/upernet_r50_1xb8-amp-sgd-50e_folder.py
"""
import json
import os
import shlex
import sys

import _errors
from _options import add_band_options, add_raster_options, image_parser, listed_samples

NAMES_SHOWN = 10


def parse_args(arguments=None):
    from _launch import config_settings
    parser = image_parser(__doc__, config=True)
    add_band_options(parser)
    add_raster_options(parser)
    parser.add_argument('--cfg-options', **config_settings())
    parser.add_argument('--list', default='', metavar='FILE',
                        help='check only the images of this list; like ann_file of a data set, '
                        'its path is relative to FOLDER')
    parser.add_argument('--allow-outside', action='store_true',
                        help='the list may name files outside FOLDER')
    parser.add_argument('--size', type=int, default=224,
                        help='side of a view in pixels; smaller images are counted '
                        '(default: %(default)s)')
    parser.add_argument('--out', metavar='FILE', help='JSON file for the whole report')
    parser.add_argument('--good', metavar='FILE',
                        help='list of the usable images, an ann_file for training')
    return parser.parse_args(arguments)


def table(report):
    """Lines of text for the terminal."""
    def several(counts):
        return ', '.join(f'{count:,} {name}' for name, count in counts)

    kinds = [(f'of {bands - alpha} band(s){" and alpha" if alpha else ""}, {dtype}', count)
             for bands, alpha, dtype, count in report['kinds']]
    lines = [f'{report["images"]:,} images in {report["root"]}, {report["usable"]:,} usable']
    if report['formats']:
        lines += [f'  formats: {several(report["formats"].items())}',
                  f'  kinds: {"; ".join(several([kind]) for kind in kinds)}']
    if report['width']:
        lines += ['  ' + ', '.join('{} {} to {} px (median {})'.format(
            side, *(report[side][i] for i in (0, 2, 1))) for side in ('width', 'height'))]
    if report['value_range_needed']:
        lines += ['  not 8-bit: training needs value_range, tools/dataset_statistics.py '
                  'proposes one']
    lines += names('unusable', [f'{file} {reason}' for file, reason in report['unusable']])
    more = sum(map(len, report['duplicates'])) - len(report['duplicates'])
    lines += names(f'equal files ({more:,} more than needed, '
                   f'{report["duplicate_bytes"] / 1e6:,.1f} MB)',
                   [' = '.join(group) for group in report['duplicates']])
    lines += names('of one colour', report['constant'])
    lines += names('with a band of NaN or nodata only', report['empty_bands'])
    lines += names(f'smaller than {report["min_side"]} px', report['small'])
    lines += names('with a name that no list can hold', report['unlistable'])
    return '\n'.join(lines)


def names(title, entries):
    """A heading with a count, and the first entries below it; nothing without entries."""
    from cmid_mm.utils.one_line import one_line
    if not entries:
        return []
    shown = [f'  {one_line(entry)}' for entry in entries[:NAMES_SHOWN]]
    rest = len(entries) - NAMES_SHOWN
    return [f'{title}: {len(entries):,}', *shown,
            *([f'  ... and {rest:,} more (--out has all)'] if rest > 0 else [])]


def check_config(args):
    """Check the data sets of a config; returns their reports and whether all can be used."""
    from _launch import LOADERS, read_config
    for option in ('list', 'good', 'bands', 'band_indices', 'value_range', 'window',
                   'band_files', 'grid_band'):
        if getattr(args, option):
            raise _errors.UserError(f'--{option.replace("_", "-")} is for folders: a config '
                                    'states how its images are read')
    cfg = read_config(args.folder, args.cfg_options)
    from mmengine.registry import DATASETS, DefaultScope

    from cmid_mm.datasets.inspection import parts_of
    settings, reports, usable = [], {}, True
    for name in LOADERS:
        setting = (cfg.get(name) or {}).get('dataset')
        if setting is None or setting in settings:
            continue
        settings.append(setting)
        print(f'{name}:')
        try:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
                dataset = DATASETS.build(setting)
                reports[name] = [check_part(part, args, name == 'train_dataloader')
                                 for part in parts_of(dataset)]
        except (OSError, ValueError) as error:
            print(f'  {error}')
            reports[name], usable = str(error), False
        else:
            usable &= all(report['usable'] for report in reports[name])
    return reports, usable


def check_part(dataset, args, training):
    """Print what there is to say about a data set; returns its report."""
    from cmid_mm.datasets.inspection import (
        describe_masks,
        inspect_dataset_images,
        inspect_masks,
        mask_loaders,
        refuse_masks,
    )
    from cmid_mm.utils.errors import CMIDError
    images = inspect_dataset_images(dataset, args.size, args.max_pixels, args.workers)
    report = dict(images=images, usable=not images['unusable'])
    print(table(images))
    if mask_loaders(dataset):
        report['masks'] = inspect_masks(dataset, workers=args.workers)
        print(f'  {describe_masks(report["masks"])}')
        try:
            refuse_masks(report['masks'], training)
        except CMIDError as error:
            report['usable'] = False
            print(f'  {error}')
    return report


def main():
    args = parse_args()
    # file names may contain characters that the terminal's encoding lacks
    sys.stdout.reconfigure(errors='backslashreplace')
    from cmid_mm.checkpoints.files import atomic_write, check_output
    if args.folder.endswith('.py'):
        report, usable = check_config(args)
        write_report(report, args.out)
        sys.exit(0 if usable else 1)
    from cmid_mm.datasets.folder_scan import IMAGE_EXTENSIONS
    from cmid_mm.datasets.inspection import inspect_images
    from cmid_mm.datasets.list_file import is_listable, read_list
    list_path = os.path.join(args.folder, args.list)
    for out in filter(None, (args.out, args.good)):
        check_output(out, list_path)
    files = None
    if args.list:
        files, _ = read_list(list_path, args.folder, IMAGE_EXTENSIONS, with_label=False,
                             allow_outside=args.allow_outside)
    report, good = inspect_images(
        args.folder, listed_samples(args, files), args.bands, args.band_indices,
        args.value_range, args.size, args.max_pixels, workers=args.workers)
    print(table(report))
    write_report(report, args.out)
    if args.good:
        with atomic_write(args.good) as path:
            path.write_text(''.join(f'{file}\n' for file in good if is_listable(file)),
                            encoding='utf-8', errors='surrogateescape')
        print(f'train on the usable images with --cfg-options '
              f'train_dataloader.dataset.data_root={shlex.quote(args.folder)} '
              f'train_dataloader.dataset.ann_file={shlex.quote(os.path.abspath(args.good))}')
    sys.exit(1 if report['unusable'] else 0)


def write_report(report, out):
    """Write a report as JSON where ``--out`` names a file."""
    from cmid_mm.checkpoints.files import atomic_write
    if out:
        with atomic_write(out) as path:
            path.write_text(json.dumps(report, indent=1) + '\n')
        print(f'report written to {out}')


if __name__ == '__main__':
    _errors.run(main)
