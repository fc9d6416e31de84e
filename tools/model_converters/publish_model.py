"""Prepares a checkpoint for publication: publish_model.py IN OUT

Keeps the weights and their `meta`; drops optimiser, schedules, logged values and the paths of
this machine. OUT.pth is written as OUT_YYYYMMDD-xxxxxxxx.pth: today's date
and the first eight digits of the file's SHA-256, by which downloads are checked. The same
checkpoint always gives the same digits.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', metavar='IN', help='checkpoint of any task, or an '
                        'exported backbone')
    parser.add_argument('out', metavar='OUT', help='name to write, without date and digits')
    parser.add_argument('--keep', choices=['all', 'backbone'], default='all',
                        help='the whole model (teacher, heads and queue included), or of a '
                        'CMID pre-training the backbone alone (default: all)')
    parser.add_argument('--encoder', choices=['student', 'teacher'],
                        help='with --keep backbone: whose (default: student)')
    args = parser.parse_args(arguments)
    if args.encoder and args.keep != 'backbone':
        parser.error('--encoder needs --keep backbone')
    return args


def main(arguments=None):
    args = parse_args(arguments)
    import cmid_mm  # noqa: F401  (prepares safe loading)
    from cmid_mm.checkpoints.publish import publish
    done = publish(args.checkpoint, args.out, args.keep, args.encoder)
    before, after = (Path(path).stat().st_size / 2**20
                     for path in (args.checkpoint, done['path']))
    print(f'{done["tensors"]} tensors written to {done["path"]} '
          f'({before:.1f} -> {after:.1f} MiB, sha256 {done["sha256"]})')
    if done['dropped']:
        print(f'dropped: {", ".join(done["dropped"])}')


if __name__ == '__main__':
    _errors.run(main)
