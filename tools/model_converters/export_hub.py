"""Writes a backbone as a folder for timm and a hub: export_hub.py CHECKPOINT OUT_FOLDER

The folder has model.safetensors with timm's names, config.json and a model card README.md, and
loads with timm.create_model('local-dir:OUT_FOLDER', pretrained=True, num_classes=0).
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a CMID pre-training, or a '
                        'backbone exported from one')
    parser.add_argument('out_dir', metavar='out_folder', help='folder to write')
    parser.add_argument('--licence', help='licence of the weights for the card, such as '
                        'apache-2.0; required')
    parser.add_argument('--encoder', choices=['student', 'teacher', 'best'],
                        help='whose backbone (default: student); best: the one with the better '
                        'probes during the training')
    return parser.parse_args(arguments)


def main(arguments=None):
    options = vars(parse_args(arguments))
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.checkpoints.hub import export_hub
    config = export_hub(**options)
    meta = config['cmid_mm']
    print(f'{config["architecture"]} of the {meta["encoder"]} ({meta["bands"]} bands, epoch '
          f'{meta["epoch"]}) written to {options["out_dir"]}: '
          f"timm.create_model('local-dir:{options['out_dir']}', pretrained=True, num_classes=0)")


if __name__ == '__main__':
    _errors.run(main)
