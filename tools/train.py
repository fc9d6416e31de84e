"""Trains the model of a config, of any scope: ``python tools/train.py CONFIG``."""
import argparse

from _errors import UserError, run
from _launch import (
    add_common_options,
    build_runner,
    load_config,
    prepare_processes,
    require_checkpoint,
    require_parts,
    set_loader_defaults,
)

MIXED_PRECISION = ('AmpOptimWrapper', 'ApexOptimWrapper', 'AutoPrecisionOptimWrapper')


def parse_args(arguments=None):
    """Command line; ``arguments`` replace ``sys.argv[1:]``."""
    parser = argparse.ArgumentParser(description='Train the model of a config.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint; without a value, from the latest one in '
        'the work dir')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--no-validate', action='store_true', help='no evaluation during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='learning rate follows the effective batch')
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='workers of the data loaders end with each epoch')
    parser.add_argument(
        '--labels',
        type=float,
        metavar='SHARE',
        help='train on this share of the labelled images, 0.1 for example; randomness.seed '
        'decides which, and every class keeps its share where images have one class')
    add_common_options(parser)
    return parser.parse_args(arguments)


def merge_args(cfg, args):
    """Applies the options of the command line to the config, in place."""
    require_parts(cfg, 'train')
    if args.labels is not None:
        loader, seed = cfg.train_dataloader, cfg.get('randomness', {}).get('seed') or 0
        loader.dataset = keep_labels(loader.dataset, args.labels, seed)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        if 'probe' in cfg.get('default_hooks', {}):
            cfg.default_hooks.probe.interval = 0
    if args.amp:
        use_mixed_precision(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    require_checkpoint(cfg.get('load_from'))
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError('--auto-scale-lr: the config has no auto_scale_lr = '
                            'dict(base_batch_size=...)')
        cfg.auto_scale_lr.enable = True
    set_loader_defaults(cfg, not args.no_pin_memory, not args.no_persistent_workers)


def keep_labels(dataset, share, seed):
    """Puts the config of a data set, or of those within wrappers, into ``LabelFraction``."""
    if 'datasets' in dataset:
        dataset.datasets = [keep_labels(part, share, seed) for part in dataset.datasets]
    elif 'dataset' in dataset:
        dataset.dataset = keep_labels(dataset.dataset, share, seed)
    else:
        return dict(type='LabelFraction', dataset=dataset, share=share, seed=seed)
    return dataset


def use_mixed_precision(cfg):
    """Makes the optimiser wrapper choose the precision, unless the config chose one.

    Raises:
        UserError: The config has a wrapper of another kind.
    """
    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper')
    name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
    if name == 'OptimWrapper':
        # the prefix: configs of other scopes reach it too
        wrapper.type = 'mmpretrain.AutoPrecisionOptimWrapper'
        wrapper.precision = 'auto'
    elif name not in MIXED_PRECISION:
        raise UserError(f'--amp cannot replace the optim_wrapper {name}')
    elif wrapper.get('precision') == 'float32':
        wrapper.precision = 'auto'


def main():
    args = parse_args()
    cfg = load_config(args)
    merge_args(cfg, args)
    prepare_processes(cfg)
    build_runner(cfg).train()


if __name__ == '__main__':
    run(main)
