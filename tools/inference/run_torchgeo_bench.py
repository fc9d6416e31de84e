"""Probes a backbone with torchgeo-bench: run_torchgeo_bench.py CONFIG CHECKPOINT m-eurosat ...

Needs torchgeo-bench (pip install torchgeo-bench) and its data in ROOT/data. Rows are appended to
a CSV file in its format; with --reference those of other models are printed beside them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import _errors  # noqa: E402
from _options import add_model_options, load_config, tool_parser  # noqa: E402


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    add_model_options(parser)
    parser.add_argument('datasets', nargs='+', help='names of torchgeo-bench, such as m-eurosat')
    parser.add_argument('--root', default='.', help='folder that has the folder data of '
                        'torchgeo-bench (default: this one)')
    parser.add_argument('--out', default='torchgeo_bench.csv', help='default: torchgeo_bench.csv')
    parser.add_argument('--name', help='name of the rows (default: of the checkpoint)')
    parser.add_argument('--bands', choices=['rgb', 'all'], help='bands to load (default: rgb '
                        'where the checkpoint has these, else all); its own are taken from them')
    parser.add_argument('--band-names', nargs='+', help="names of the checkpoint's bands in its "
                        'order (default: as it states, or red green blue for files of three)')
    parser.add_argument('--value-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help="range in the data set's units that becomes 0..255 where it is not "
                        '8-bit (default: that of the checkpoint)')
    parser.add_argument('--normalization', choices=['model_native', 'bandspec_zscore'],
                        default='model_native', help='as in the pre-training (default), or by '
                        'mean and std of the data set')
    parser.add_argument('--download', action='store_true',
                        help='torchgeo-bench may download what is absent')
    parser.add_argument('--reference', help='results/all_results.csv of its repository')
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='settings of torchgeo-bench, such as eval.bootstrap=100')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    cfg = load_config(args)
    if args.reference and not Path(args.reference).is_file():
        raise _errors.UserError(f'no such file: {args.reference}')
    from cmid_mm.apis.torchgeo_bench import COLUMNS, beside, run_torchgeo_bench
    settings = {key: value for key, value in vars(args).items()
                if key not in ('config', 'cfg_options', 'reference')}
    rows = run_torchgeo_bench(cfg, **settings)
    table = beside(rows, args.reference) if args.reference else rows[COLUMNS]
    print(table.to_string(index=False))


if __name__ == '__main__':
    _errors.run(main)
