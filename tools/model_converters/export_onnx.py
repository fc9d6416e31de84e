"""Exports a model to ONNX: export_onnx.py CONFIG CHECKPOINT OUT.onnx

CONFIG decides what is written: a pre-training (or --backbone of a classification) gives the
backbone with `vector` and `map`; classification, segmentation and change detection give
`probabilities`. The input `image` is float32 (batch, bands, height, width) with values of 0..255:
the normalisation is part of the graph. The file is compared with torch before it is kept.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _launch import config_settings  # noqa: E402
from _options import tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('config', help="config of the training, e.g. its work dir's config.py")
    parser.add_argument('checkpoint', help='checkpoint of the training, or a backbone exported '
                        'from one')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--backbone', action='store_true',
                        help='the backbone of a classification')
    parser.add_argument('--encoder', choices=['student', 'teacher'],
                        help='encoder of a training checkpoint (default: student)')
    parser.add_argument('--size', type=int, help='side of the images in pixels (default: that '
                        'of the training)')
    parser.add_argument('--fixed-size', action='store_true',
                        help='images of that size only, which QGIS needs')
    parser.add_argument('--half', action='store_true', help='float16 weights: half the file')
    parser.add_argument('--raw', action='store_true', help='the input are values of the files, '
                        'which value_range of the training maps to 0..255')
    parser.add_argument('--resolution', type=float, metavar='CM',
                        help='side of a pixel on the ground in cm, for QGIS')
    parser.add_argument('--cfg-options', **config_settings())
    return parser.parse_args(arguments)


def main(arguments=None):
    options = vars(parse_args(arguments))
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.apis.onnx_export import export_onnx
    done = export_onnx(**options)
    shapes = ', '.join(f'{name} {tuple(shape)}'
                       for name, shape in (done['inputs'] | done['outputs']).items())
    print(f'{done["task"]} of {done["source"]} written to {options["out"]} '
          f'({Path(options["out"]).stat().st_size / 2**20:.1f} MiB): {shapes}')
    if done['fixed']:
        print(f'the size of the images is fixed: {done["fixed"]}')
    print(f'greatest difference from torch {done["difference"]:.1g} of the greatest value')


if __name__ == '__main__':
    _errors.run(main)
