"""Statistics of a folder of images, with a piece of config that uses them.

    python tools/dataset_statistics.py FOLDER [--out statistics.json]

Prints bands, sizes, range, mean and standard deviation of each band. Images that are
not 8-bit need a range of values; one is proposed.
"""
import argparse
import json
from pathlib import Path

import _errors


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', help='folder tree of JPEG, PNG, TIFF, BMP, WebP images')
    parser.add_argument('--max-images', type=int, default=2000,
                        help='read at most so many, evenly spaced (default: 2000)')
    parser.add_argument('--bands', type=int, help='bands wanted (default: what most have)')
    parser.add_argument('--band-indices', type=int, nargs='+',
                        help='bands to take from each file, counted from 0')
    parser.add_argument('--value-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='range that becomes 0..255 (default: proposed per band)')
    parser.add_argument('--max-pixels', type=int, default=2**28,
                        help='images with more pixels are refused (default: 2^28)')
    parser.add_argument('--workers', type=int, help='processes (default: one per core)')
    parser.add_argument('--out', help='JSON file for the result')
    return parser.parse_args(arguments)


def table(statistics):
    """Lines of text: the folder, its images, one row per band."""
    def spread(name):
        low, median, high = statistics[name]
        return f'{name} {low} to {high} px (median {median})'

    lines = [f'{statistics["images"]:,} images in {statistics["root"]}, '
             f'{statistics["read"]:,} read, {statistics["used"]:,} used']
    lines += [f'  {count:,} x {bands} band(s), {dtype}'
              for bands, dtype, count in statistics['kinds']]
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
    for _, reason in statistics['unusable'][:5]:
        lines.append(f'unusable: {reason}')
    if len(statistics['unusable']) > 5:
        lines.append(f'... and {len(statistics["unusable"]) - 5:,} more unusable images')
    return '\n'.join(lines)


def config_snippet(statistics, band_indices=None):
    """Lines of a config that read and normalise these images."""
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
        model.insert(0, f'backbone=dict(in_channels={statistics["bands"]}),')
    return '\n'.join(
        ['# in the pipelines', ', '.join(load) + '),', '# in the model', *model])


def main():
    args = parse_args()
    from cmid_mm.datasets.image_statistics import folder_statistics
    statistics = folder_statistics(
        args.folder, args.max_images, args.bands, args.band_indices, args.value_range,
        args.max_pixels, args.workers)
    print(table(statistics))
    print('\n' + config_snippet(statistics, args.band_indices))
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(statistics, indent=2))
        print(f'\nwritten to {args.out}')


if __name__ == '__main__':
    _errors.run(main)
