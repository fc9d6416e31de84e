"""Exports the backbone of a CMID checkpoint: extract_backbone.py CHECKPOINT OUT

The file goes into any mmpretrain, mmseg, mmdet, mmrotate or open-cd config with
init_cfg=dict(type='CMIDPretrained', checkpoint=OUT). Its `meta` has source, config, bands,
normalisation and how raw values became 0..255.

--format torchvision and --format timm write the names and layouts of those libraries'
models (ResNet, Swin, VisionTransformer, ConvNeXt; all but the classifier). An OUT that ends
in .safetensors becomes a safetensors file.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import tool_parser  # noqa: E402

FORMATS = ('mm', 'torchvision', 'timm', 'published')


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a CMID pre-training, or a '
                        'backbone exported from one')
    parser.add_argument('out', help='file to write, .pth or .safetensors')
    parser.add_argument('--encoder', choices=['student', 'teacher', 'best'],
                        help='whose backbone (default: student, as published); best: the one '
                        'with the better probes during the training')
    parser.add_argument('--format', choices=FORMATS, default='mm',
                        help='whose names and layouts (default: mm, for the mm packages)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.checkpoints.export import export_backbone
    exported = export_backbone(args.checkpoint, args.out, args.encoder, args.format)
    meta = exported['meta']
    print(f'{len(exported["state_dict"])} tensors of the {meta["encoder"]} '
          f'({meta["bands"]} bands, epoch {meta["epoch"]}) written to {args.out} '
          f'in the format of {args.format}')
    if meta.get('probes'):
        from cmid_mm.evaluation.probes import better_encoder
        for encoder, metrics in meta['probes'].items():
            print(f'probes of the {encoder}: ' + ', '.join(
                f'{name} {value:.1f}' for name, value in metrics.items()))
        print(f'better on average: the {better_encoder(meta["probes"])} (--encoder best)')
    if args.format != 'mm':
        print(f'normalise images by mean {rounded(meta["mean"])}, '
              f'std {rounded(meta["std"])} (in 0..255)')


def rounded(values):
    return [round(value, 3) for value in values]


if __name__ == '__main__':
    _errors.run(main)
