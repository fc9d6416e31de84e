"""Classes, change or objects in rasters of any size: predict_raster.py CONFIG CHECKPOINT RASTER

The config decides the task: segmentation writes a GeoTIFF of classes, change detection takes two
dates (two rasters, or two folders with equal names) and writes a GeoTIFF of change, detection
writes the boxes as GeoJSON. Results and a small picture of each go to --out-dir. Several rasters,
or a folder of them, are processed one after the other. A file of a folder that cannot be read is
left out; the exit status is then 1.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import (  # noqa: E402
    add_band_file_options,
    add_model_options,
    bands_of,
    load_config,
    tool_parser,
)


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser, encoder=False)
    parser.add_argument('rasters', nargs='+', metavar='RASTER',
                        help='GeoTIFF, JPEG 2000, PNG or JPEG files, or folders of them; of '
                        'change detection the earlier and the later one')
    parser.add_argument('--out-dir', default='predictions',
                        help='folder of the results (default: predictions)')
    parser.add_argument('--tile', type=int,
                        help="side of a tile in pixels (default: that of the training's crops)")
    parser.add_argument('--overlap', type=int,
                        help='least overlap of tiles in pixels; objects up to half of it long are '
                        'found whole (default: a quarter of a tile)')
    parser.add_argument('--batch-size', type=int, default=4, help='tiles at a time (default: 4)')
    parser.add_argument('--confidence', action='store_true',
                        help='maps: a second band with the probability of the class in percent')
    parser.add_argument('--min-score', type=float, default=0.3,
                        help='detection: least score of a box (default: 0.3)')
    parser.add_argument('--no-picture', action='store_true', help='no small picture')
    add_band_file_options(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    config = load_config(args)
    from cmid_mm.apis import ChangeInferencer, DetectionInferencer, SegmentationInferencer
    from cmid_mm.apis.pipelines import raster_loading, test_pipeline
    settings = dict(device=args.device, tile=args.tile, overlap=args.overlap,
                    batch_size=args.batch_size)
    if config.get('default_scope') in ('mmdet', 'mmrotate'):
        inferencer = DetectionInferencer(config, args.checkpoint, **settings)
        options = dict(min_score=args.min_score)
    else:
        dates = raster_loading(test_pipeline(config)[0])[2]
        if dates == 2 and len(args.rasters) != 2:
            raise _errors.UserError(
                f'{args.config} detects change between two dates, but {len(args.rasters)} '
                'raster(s) were given: give the earlier and the later one, or two folders')
        kind = ChangeInferencer if dates == 2 else SegmentationInferencer
        inferencer = kind(config, args.checkpoint, **settings)
        options = dict(confidence=args.confidence)
    found = inferencer(args.rasters, args.out_dir, bands_of(args),
                       picture=not args.no_picture, **options)
    if found['failed']:
        raise _errors.UserError(
            f'{len(found["failed"])} of {len(found["failed"]) + len(found["predictions"])} inputs '
            'were not predicted: ' + '; '.join(reason for _, reason in found['failed']))


if __name__ == '__main__':
    _errors.run(main)
