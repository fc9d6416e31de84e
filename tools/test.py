"""Tests a checkpoint, of any scope: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse
import inspect
from copy import deepcopy
from pathlib import Path

from _errors import UserError, rank, run
from _launch import (
    add_common_options,
    build_runner,
    load_config,
    prepare_processes,
    require_checkpoint,
    require_parts,
    set_loader_defaults,
)

OUTPUT_FORMATS = {
    'pred': ('.pkl', '.pickle'),
    'metrics': ('.json', '.yaml', '.yml', '.pkl', '.pickle'),
}


def parse_args(arguments=None):
    """Command line; ``arguments`` stands in for ``sys.argv[1:]``."""
    parser = argparse.ArgumentParser(description='Test a checkpoint.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?',
                        help='checkpoint file or URL; without it, --probes tests the untrained '
                        'network, with batch-norm statistics of the images')
    parser.add_argument('--out', metavar='FILE', help='write the results to this file')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what --out writes: predictions (default, .pkl) or metrics (.json, .yaml)')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--show', action='store_true', help='show the predictions')
    parser.add_argument('--show-dir', metavar='FOLDER', help='write them as pictures')
    parser.add_argument(
        '--interval', type=int, default=1, help='show every n-th image (default 1)')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a window stays (default 2)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--probes',
        action='store_true',
        help='k-NN and linear probes of student and teacher (CMID)')
    parser.add_argument(
        '--calibrate',
        action='store_true',
        help='with --probes: batch-norm statistics of the probed images, for a checkpoint of '
        'images of another kind')
    add_common_options(parser)
    args = parser.parse_args(arguments)
    if args.checkpoint is None and not args.probes:
        parser.error('the checkpoint is missing; only --probes can do without')
    if args.calibrate and not args.probes:
        parser.error('--calibrate needs --probes')
    if args.probes and args.out and args.out_item != 'metrics':
        parser.error('--out with --probes needs --out-item metrics; '
                     'tools/inference/extract_features.py writes features')
    # the norms of random weights have no statistics of their own
    args.calibrate |= not args.checkpoint
    if args.out_item and not args.out:
        parser.error('--out-item needs --out')
    formats = OUTPUT_FORMATS[args.out_item or 'pred']
    if args.out and Path(args.out).suffix not in formats:
        parser.error(f'--out {args.out}: the file name must end in {" or ".join(formats)}')
    return args


def merge_args(cfg, args):
    """Brings the command line's switches into the config, in place."""
    require_parts(cfg, 'test')
    require_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.probes:
        use_probes(cfg, args.calibrate)
    if args.show or args.show_dir:
        show_predictions(cfg, args)
    if args.tta:
        use_augmentation(cfg)
    set_loader_defaults(cfg, not args.no_pin_memory)


def use_probes(cfg, calibrate):
    """Images and metrics of ProbeHook; ``test_calibrated`` takes its own from the config."""
    import cmid_mm  # noqa: F401
    from cmid_mm.evaluation.probes import probe_parts
    cfg.model.feature_of = 'both'
    parts = probe_parts(cfg)
    if not calibrate:
        cfg.test_dataloader, cfg.test_evaluator = parts


def start_untrained(runner):
    """Weights that a training begins with, and the statistics of the images that it measures."""
    from mmengine.dist import broadcast
    from mmpretrain.utils import get_ori_model

    from cmid_mm.engine.hooks import MeasureStatisticsHook
    model = get_ori_model(runner.model)
    model.init_weights()
    for value in model.state_dict().values():
        broadcast(value)
    for hook in runner.hooks:
        if isinstance(hook, MeasureStatisticsHook):
            hook.before_train(runner)


def test_calibrated(runner):
    """Probes with batch-norm statistics of their images, those of scenes and of places apart.

    Args:
        runner (Runner): Of a checkpoint, or with random weights.

    Returns:
        dict[str, float]: Metrics of all probes.
    """
    from mmengine.logging import print_log
    from mmpretrain.utils import get_ori_model

    from cmid_mm.evaluation.batch_norm import calibrated_batch_norm
    from cmid_mm.evaluation.probes import leave_out_broken, probes_by_kind
    model, metrics = get_ori_model(runner.model), {}
    # the parts of Runner.test, which would load the weights after the calibration
    for loader, evaluator in probes_by_kind(runner.cfg):
        runner._test_loop = runner.build_test_loop(dict(
            type='TestLoop', dataloader=loader, evaluator=evaluator,
            fp16=(runner.cfg.get('test_cfg') or {}).get('fp16', False)))
        leave_out_broken(runner.test_dataloader.dataset)
        runner.call_hook('before_run')
        runner.load_or_resume()
        with calibrated_batch_norm(model, runner.test_dataloader.dataset) as norms:
            print_log(f'{norms} batch norms have statistics of the probed images', 'current')
            metrics.update(runner.test_loop.run())
        runner.call_hook('after_run')
    return metrics


def show_predictions(cfg, args):
    """Switches the config's visualization hook on, whichever scope it is from.

    mmpretrain's hook is switched by ``enable`` and has ``out_dir``, mmdet's by ``draw``
    and has ``test_out_dir``; mmseg's has no folder and leaves it to the visualizer.

    Raises:
        UserError: The config has no such hook, or nothing of that name is registered.
    """
    from mmengine.registry import HOOKS
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError('--show and --show-dir need default_hooks.visualization in the '
                        'config, for example dict(type="VisualizationHook")')
    scope = cfg.get('default_scope') or 'mmengine'
    kind = hook.type
    if isinstance(kind, str):
        with HOOKS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    if kind is None:
        raise UserError(f'default_hooks.visualization: the scope {scope} has no hook '
                        f'{hook.type}')
    accepted = inspect.signature(kind).parameters
    settings = {
        'enable': True,
        'draw': True,
        'show': args.show,
        'wait_time': args.wait_time,
        'interval': args.interval,
        'out_dir': args.show_dir,
        'test_out_dir': args.show_dir,
    }
    hook.update({key: value for key, value in settings.items() if key in accepted})
    if args.show_dir and not {'out_dir', 'test_out_dir'} & set(accepted):
        cfg.merge_from_dict({'visualizer.save_dir': args.show_dir})


def use_augmentation(cfg):
    """Test-time augmentation: the config's own, in mmpretrain else the mean over a flip.

    Raises:
        UserError: Neither is there.
    """
    from mmengine.config import ConfigDict
    dataset = cfg.test_dataloader.dataset
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        if cfg.get('default_scope') != 'mmpretrain' or 'pipeline' not in dataset:
            raise UserError('--tta needs tta_model and tta_pipeline in the config')
        *steps, pack = deepcopy(dataset.pipeline)
        flips = [dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)]
        flip_both = dict(type='TestTimeAug', transforms=[flips, [pack]])
        cfg.setdefault('tta_model', dict(type='AverageClsScoreTTA'))
        cfg.setdefault('tta_pipeline', [*steps, flip_both])
    cfg.model = ConfigDict(cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def test(runner, args):
    """Metrics of a checkpoint or, for probes, of random weights; writes predictions on demand."""
    from mmengine.evaluator import DumpResults
    if not args.checkpoint:
        start_untrained(runner)
    if args.calibrate:
        return test_calibrated(runner)
    if args.probes:
        from cmid_mm.evaluation.probes import leave_out_broken
        leave_out_broken(runner.test_dataloader.dataset)
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(args.out))
    return runner.test()


def main():
    args = parse_args()
    from mmengine import dump
    cfg = load_config(args)
    merge_args(cfg, args)
    prepare_processes(cfg)
    runner = build_runner(cfg)
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    metrics = test(runner, args)
    if args.out and args.out_item == 'metrics' and rank() == 0:
        dump(metrics, args.out)


if __name__ == '__main__':
    run(main)
