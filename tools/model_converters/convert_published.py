"""Converts checkpoints of the published CMID code and back: convert_published.py IN OUT

A pre-training file becomes a checkpoint for `tools/train.py CONFIG --cfg-options
load_from=OUT`, `tools/test.py CONFIG OUT` and extract_backbone.py, with CONFIG one of
configs/cmid of the same backbone. A "Backbone Only" file becomes an exported backbone for
init_cfg=dict(type='CMIDPretrained', checkpoint=OUT). --to published goes back, bit by bit.

Files are read as untrusted ones: code in them is never executed.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', metavar='IN', help='file to convert')
    parser.add_argument('out', metavar='OUT', help='file to write')
    parser.add_argument('--to', choices=['cmid_mm', 'published'], default='cmid_mm',
                        help='whose form OUT has (default: cmid_mm)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.checkpoints.published import convert_published_file
    done = convert_published_file(args.checkpoint, args.out, args.to)
    published = done['found' if args.to == 'cmid_mm' else 'written']
    what, state = 'backbone', published
    if 'model' in published:
        what, state = 'pre-training', published['model']
    print(f'{len(state)} tensors of a {what} written to {args.out} in the form of {args.to}')
    if done['not_converted']:
        print(f'not converted: {", ".join(done["not_converted"])}')


if __name__ == '__main__':
    _errors.run(main)
