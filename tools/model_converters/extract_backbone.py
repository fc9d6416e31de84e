"""Exports the backbone of a CMID checkpoint: extract_backbone.py CHECKPOINT OUT

The file goes into any mmpretrain, mmseg, mmdet, mmrotate or open-cd config with
init_cfg=dict(type='Pretrained', checkpoint=OUT, prefix='backbone.'). Its `meta` says
source, config, bands, normalisation and how raw values became 0..255.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint of a CMID pre-training')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--encoder', choices=['student', 'teacher'], default='student',
                        help='whose backbone (default: student, as published)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.utils.backbone_export import export_backbone
    exported = export_backbone(args.checkpoint, args.out, args.encoder)
    meta = exported['meta']
    print(f'{len(exported["state_dict"])} tensors of the {args.encoder} ({meta["bands"]} bands, '
          f'epoch {meta["epoch"]}) written to {args.out}')


if __name__ == '__main__':
    _errors.run(main)
