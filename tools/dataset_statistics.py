"""Prints statistics of a folder of images and a piece of config that uses them.

    python tools/dataset_statistics.py FOLDER [--out statistics.json]

Prints bands, sizes, and range, mean and standard deviation of each band. For images that are
not 8-bit it proposes a range of values.
"""
import json

import _errors
from _options import add_band_options, add_raster_options, image_parser, listed_samples


def parse_args(arguments=None):
    parser = image_parser(__doc__)
    add_band_options(parser)
    add_raster_options(parser)
    parser.add_argument('--max-images', type=int, default=2000,
                        help='read at most so many, evenly spaced (default: 2000)')
    parser.add_argument('--out', help='JSON file for the result')
    return parser.parse_args(arguments)


def table(report):
    """Lines of text: the folder, its images, one row per band."""
    def spread(name):
        low, median, high = report[name]
        return f'{name} {low} to {high} px (median {median})'

    statistics = report['statistics']
    lines = [f'{report["found"]:,} images in {report["root"]}, '
             f'{report["images"]:,} read, {report["measured"]:,} used']
    lines += [f'  {count:,} x {bands - alpha} band(s){" and alpha" if alpha else ""}, {dtype}'
              for bands, alpha, dtype, count in report['kinds']]
    lines += [f'  {spread("width")}, {spread("height")}', '']
    deep = statistics['percentiles'] is not None
    head = ['band', 'min', 'max', *(['0.1 %', '99.9 %'] if deep else []),
            'mean 0..255', 'std 0..255', 'mean 0..1', 'std 0..1']
    lines.append(''.join(f'{name:>13}' for name in head))
    for band in range(statistics['bands']):
        row = [statistics['min'][band], statistics['max'][band],
               *(statistics['percentiles'][band] if deep else []),
               *(statistics[name][band]
                 for name in ('mean', 'std', 'mean_fraction', 'std_fraction'))]
        lines.append(f'{band:>13}' + ''.join(f'{value:>13.6g}' for value in row))
    for file, reason in report['unusable'][:5]:
        lines.append(f'unusable: {file} {reason}')
    if len(report['unusable']) > 5:
        lines.append(f'... and {len(report["unusable"]) - 5:,} more unusable images')
    return '\n'.join(lines)


def config_snippet(statistics, band_indices=None):
    """Lines of a config that load and normalise these images."""
    def numbers(values):
        return '[' + ', '.join(f'{value:.2f}' for value in values) + ']'

    load = [f"dict(type='LoadRSImage', bands={statistics['bands']}"]
    if band_indices:
        load.append(f'band_indices={tuple(band_indices)}')
    if statistics['value_range'] is not None:
        pairs = statistics['value_range']
        if isinstance(pairs[0], list):
            pairs = [tuple(float(f'{value:.6g}') for value in pair) for pair in pairs]
        load.append(f'value_range={pairs}')
    model = ['data_preprocessor=dict(', f'    mean={numbers(statistics["mean"])},',
             f'    std={numbers(statistics["std"])}),']
    if statistics['bands'] != 3:
        model[0] += f'bands={statistics["bands"]},'
        model.insert(0, f'backbone=dict(in_channels={statistics["bands"]}),')
    return '\n'.join(
        ['# in the pipelines', ', '.join(load) + '),', '# in the model', *model])


def main():
    args = parse_args()
    from cmid_mm.checkpoints.files import atomic_write
    from cmid_mm.datasets.inspection import folder_statistics
    from cmid_mm.utils.one_line import one_line
    report = folder_statistics(
        args.folder, bands=args.bands, band_indices=args.band_indices,
        value_range=args.value_range, max_pixels=args.max_pixels, max_images=args.max_images,
        max_measured=args.max_images, workers=args.workers, files=listed_samples(args))
    print('\n'.join(map(one_line, table(report).split('\n'))))
    print('\n' + config_snippet(report['statistics'], args.band_indices))
    given = {name: getattr(args, name) for name in ('window', 'band_files', 'band_pattern',
                                                    'grid_band')}
    if given['window'] or given['band_files']:
        print('# in the data set\n' + ', '.join(
            f'{name}={value!r}' for name, value in given.items() if value) + ',')
    if args.out:
        with atomic_write(args.out) as path:
            path.write_text(json.dumps(report, indent=2))
        print(f'\nwritten to {args.out}')


if __name__ == '__main__':
    _errors.run(main)
