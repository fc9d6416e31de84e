"""Saves features of images: extract_features.py CONFIG CHECKPOINT IMAGES

IMAGES is a folder tree, a packed data set or files. What is written depends on --out:

    FILE.npz       `paths` and `vectors` (a float32 row for each image) and, with --dense, `maps`
                   (images, channels, rows, columns); numpy.load reads it
    FOLDER/        for each raster, of any size, a GeoTIFF of its dense features, a pixel a cell
    FILE.geojson   a vector for each window of --window pixels, with its footprint
    FILE.parquet   the same as GeoParquet (pip install geopandas pyarrow)

    python tools/inference/extract_features.py CONFIG CHECKPOINT scene.tif --out features/ \\
        --components 16 --dtype int8
"""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import (  # noqa: E402
    add_band_file_options,
    add_model_options,
    add_size_option,
    bands_of,
    load_features,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    parser.add_argument('images', nargs='+', help='folder trees or files')
    parser.add_argument('--out', default='features.npz', help='default: features.npz')
    parser.add_argument('--dtype', choices=['float16', 'int8'], default='float16',
                        help='of a GeoTIFF; int8 has scale and offset of each band '
                        '(default: float16)')
    parser.add_argument('--channels', type=int, nargs='+',
                        help='channels of a GeoTIFF, counted from 0 (default: all)')
    parser.add_argument('--components', type=int, metavar='N',
                        help='principal components of a GeoTIFF, in place of channels')
    parser.add_argument('--tile', type=int, help='side of a tile of a raster in pixels (default: '
                        'the size of the views in pre-training, at least 224)')
    parser.add_argument('--overlap', type=int, help='pixels that two tiles have in common at '
                        'least (default: half a tile)')
    parser.add_argument('--window', type=int, default=256,
                        help='side in pixels of the windows of vectors (default: %(default)s)')
    parser.add_argument('--dense', action='store_true',
                        help='save the feature maps too (all of them in memory)')
    parser.add_argument('--batch-size', type=int, default=32)
    add_band_file_options(parser)
    add_size_option(parser)
    return parser.parse_args(arguments)


def extract_rasters(inferencer, args):
    """Write features of rasters of any size; one that cannot be read does not stop others."""
    from cmid_mm.apis.feature_raster import FeatureRasters, save_vectors
    from cmid_mm.apis.raster_inputs import list_rasters
    from cmid_mm.datasets.file_limits import ImageError
    from cmid_mm.datasets.raster_paths import plain_name
    rasters = FeatureRasters(inferencer, args.tile, args.overlap, args.batch_size)
    paths, vectors, failed = [path for path, in list_rasters(args.images, bands_of(args))], [], 0
    names = [Path(plain_name(path)).name for path in paths]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise _errors.UserError(f'{len(paths)} rasters would write {min(twice)}_features.tif more '
                                'than once: give them names that differ, or one at a time')
    for path in paths:
        try:
            if Path(args.out).suffix in ('.geojson', '.parquet'):
                vectors.append((path, *rasters.vectors(path, args.window)))
                continue
            out = Path(args.out, f'{Path(plain_name(path)).name}_features.tif')
            found = rasters.write(path, str(out), args.dtype, args.channels, args.components)
        except ImageError as error:
            if len(paths) == 1:
                raise
            failed += 1
            print(f'left out: {error}')
            continue
        print('{features}: {shape[0]} bands of {shape[1]} x {shape[2]} cells of {stride} px '
              '({seconds:.1f} s)'.format(**found))
    if vectors:
        save_vectors(vectors, args.out)
        print(f'{args.out}: {sum(len(windows) for _, _, windows in vectors):,} windows')
    if failed == len(paths):
        raise _errors.UserError(f'none of {failed} rasters could be read')


def main(arguments=None):
    args = parse_args(arguments)
    from cmid_mm.checkpoints.files import atomic_write
    inferencer = load_features(args, show_progress=True)
    if not args.out.endswith('.npz'):
        extract_rasters(inferencer, args)
        return
    found = inferencer(args.images, args.batch_size, args.dense)
    arrays = dict(paths=np.array(found['paths']), vectors=found['vectors'])
    if args.dense:
        shapes = {features.shape for features in found['maps']}
        if len(shapes) > 1:
            raise _errors.UserError(
                f'the maps have {len(shapes)} sizes and make no array: give one size with '
                '--size, or by ResizeEdge and CenterCrop in the test pipeline of the config')
        arrays['maps'] = np.stack(found['maps'])
    with atomic_write(args.out) as path, path.open('wb') as file:
        np.savez(file, **arrays)
    for _, reason in found['failed']:
        print(f'left out: {reason}')
    sizes = ', '.join(f'{name} {" x ".join(map(str, array.shape))}'
                      for name, array in arrays.items() if name != 'paths')
    print(f'{args.out}: {len(found["paths"]):,} images, {sizes}')


if __name__ == '__main__':
    _errors.run(main)
