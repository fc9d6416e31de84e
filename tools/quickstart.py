"""CMID pre-training of a small student, from images to a backbone: quickstart.py [FOLDER]

Without a folder it learns from generated scenes. What it makes lies in the work dir:
config.py (`tools/train.py` repeats the training with it), checkpoints, backbone.pth,
reconstruction.png and summary.json. With --task it goes on: the backbone is trained for
scene classification, segmentation, detection or change detection on labelled generated
scenes, and compared with the same training from random weights.
"""
import argparse
import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import _errors
from _quickstart_config import epochs_in, fit_batch, list_images, make_config, set_length
from _quickstart_run import silent_runner
from _quickstart_tasks import TASKS, require_frameworks, run_tasks, show_tasks

LOSSES = ('reconstruction', 'global', 'local')
SECONDS_BETWEEN_LINES = 15


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', nargs='?',
                        help='folder tree of images; where the folder that holds an image '
                        'names its class, k-NN accuracy is measured')
    parser.add_argument('--work-dir', default='work_dirs/quickstart')
    parser.add_argument('--minutes', type=float, default=6.0,
                        help='time for the training itself (default: 6)')
    parser.add_argument('--epochs', type=int, help='epochs, in place of a time')
    parser.add_argument('--bands', type=int, help='bands of an image (default: what most have)')
    parser.add_argument('--band-indices', type=int, nargs='+',
                        help='bands to take from each file, counted from 0')
    parser.add_argument('--value-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='range that becomes 0..255 where images are not 8-bit '
                        '(default: the 0.1 and 99.9 percentiles of each band)')
    parser.add_argument('--task', default='pretrain', choices=['pretrain', *TASKS, 'all'],
                        help='what to do after the pre-training (default: nothing)')
    parser.add_argument('--task-minutes', type=float, default=1.3,
                        help='most time for one of the two trainings of a task (default: 1.3)')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(arguments)


def say(line):
    print(f'[{timedelta(seconds=round(time.perf_counter() - START))}] {line}', flush=True)


START = time.perf_counter()


def scenes_folder(args):
    """A folder of generated scenes, made at the first call."""
    from cmid_mm.datasets.scenes import write_scenes
    folder = Path(args.work_dir) / 'scenes'
    say(f'no folder given: learning from generated scenes in {folder}')
    write_scenes(folder, num=1500, size=128, seed=args.seed, tasks=('classification', ),
                 show_progress=sys.stderr.isatty())
    return str(folder / 'classification')


def make_hook(cfg, classes, seconds):
    """The hook that shows progress, keeps to the time and measures k-NN accuracy.

    Args:
        cfg (Config): Of the run.
        classes (list[str]): Names of the classes, empty where there are none.
        seconds (float): The epoch in which they pass is the last.
    """
    from mmengine.hooks import Hook

    class Progress(Hook):
        priority = 'LOWEST'

        def __init__(self):
            self.accuracy = []
            self.seconds = 0.

        def before_train(self, runner):
            self.measure(runner)
            self.started = self.last = time.perf_counter()

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            now = time.perf_counter()
            done = runner.iter + 1
            if now - self.last > SECONDS_BETWEEN_LINES or done == runner.max_iters:
                self.last = now
                rate = done * cfg.train_dataloader.batch_size / (now - self.started)
                left = (now - self.started) / done * (runner.max_iters - done)
                losses = recent_losses(runner)
                say(f'epoch {runner.epoch + 1}/{runner.max_epochs}, step {done}/'
                    f'{runner.max_iters}: '
                    + ', '.join(f'{name} {losses[name]:.4f}' for name in LOSSES)
                    + f'; {rate:.1f} images/s, {timedelta(seconds=round(left))} left')

        def after_train_epoch(self, runner):
            late = time.perf_counter() - self.started > seconds
            if late and runner.epoch + 1 < runner.max_epochs:
                say(f'the machine became slower than it was measured: ending after epoch '
                    f'{runner.epoch + 1}')
                runner.train_loop.stop_training = True

        def after_train(self, runner):
            self.seconds = time.perf_counter() - self.started
            self.measure(runner)

        def measure(self, runner):
            if classes:
                value = runner.test_loop.run()['knn/top1']
                self.accuracy.append(value)
                say(f'k-NN accuracy on held-out images: {value:.1f} %')

    return Progress()


def recent_losses(runner, first=False):
    """Mean of the three losses over the last (or first) tenth of the steps so far."""
    means = {}
    for name in LOSSES:
        values = runner.message_hub.get_scalar(f'train/loss_{name}').data[0]
        count = max(1, min(20, len(values) // 10))
        means[name] = float((values[:count] if first else values[-count:]).mean())
    return means


def make_picture(runner, cfg, path):
    """Save reconstructions of some images that were spread over the folder."""
    import torch
    from mmpretrain.registry import DATASETS

    from cmid_mm.utils.keyed_random import SampleIndex
    from cmid_mm.visualization import reconstruction_panels, save_reconstructions
    source = cfg.train_dataloader.dataset
    if cfg.test_dataloader is not None:
        source = dict(cfg.test_dataloader.dataset.datasets[1], pipeline=cfg.train_pipeline)
    dataset = DATASETS.build(source)
    # the first view has the image's own colours
    places = range(0, len(dataset), max(1, len(dataset) // 6))
    items = [dataset[SampleIndex(place, 0, 0)] for place in list(places)[:6]]
    device = next(runner.model.parameters()).device
    rows = reconstruction_panels(
        runner.model, torch.stack([item['inputs'][0] for item in items]).to(device),
        torch.stack([item['view_keys'][0] for item in items]).to(device))
    save_reconstructions(rows, path, f'after {runner.epoch} epochs')


def run(args):
    """The whole job; returns the summary."""
    import torch
    from mmengine.registry import init_default_scope

    import cmid_mm  # noqa: F401
    from cmid_mm.datasets.image_statistics import folder_statistics
    from cmid_mm.checkpoints.backbone import export_backbone
    init_default_scope('mmpretrain')
    tasks = dict(pretrain=[], all=list(TASKS)).get(args.task, [args.task])
    require_frameworks(tasks)
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    device = (torch.cuda.get_device_name() if torch.cuda.is_available() else
              f'{torch.get_num_threads()} CPU threads')
    say(f'CMID quickstart on {device}')

    folder = str(Path(args.images).expanduser()) if args.images else scenes_folder(args)
    statistics = folder_statistics(
        folder, max_images=500, bands=args.bands, band_indices=args.band_indices,
        value_range=args.value_range, show_progress=sys.stderr.isatty())
    load = dict(bands=statistics['bands'], band_indices=args.band_indices,
                value_range=statistics['value_range'])
    dataset, classes = list_images(folder, work_dir, say, load)
    cfg = make_config(args, dataset, classes, statistics)
    images = fit_batch(cfg)
    say(f'{images:,} images of {statistics["bands"]} bands to learn from'
        + (f', {len(classes)} classes to ask about' if classes else ', no class folders'))
    epochs = args.epochs or epochs_in(cfg, images, 60 * args.minutes, say)
    set_length(cfg, epochs)
    cfg.dump(str(work_dir / 'config.py'))
    say(f'{epochs} epochs of {images // cfg.train_dataloader.batch_size} steps; '
        f'config: {work_dir / "config.py"}')

    runner = silent_runner(cfg)
    progress = make_hook(
        cfg, classes, float('inf') if args.epochs else 1.25 * 60 * args.minutes)
    runner.register_hook(progress)
    runner.train()

    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    backbone, picture = work_dir / 'backbone.pth', work_dir / 'reconstruction.png'
    exported = export_backbone(checkpoint, backbone)
    make_picture(runner, cfg, picture)
    seen = runner.iter * cfg.train_dataloader.batch_size
    before, after = progress.accuracy or (None, None)
    summary = dict(
        images=seen,
        images_per_second=seen / progress.seconds,
        losses_start=recent_losses(runner, first=True),
        losses_end=recent_losses(runner),
        knn_before=before,
        knn_after=after,
        checkpoint=checkpoint,
        backbone=str(backbone),
        picture=str(picture))
    write_summary(work_dir, summary)
    if tasks:
        summary['tasks'] = {}
        for task, row in run_tasks(tasks, str(backbone), exported['meta'], args, say):
            summary['tasks'][task] = row
            write_summary(work_dir, summary)
    return summary


def write_summary(work_dir, summary):
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')


def show(summary):
    """Print the summary for people."""
    print('\nimages seen        {images:,}\nimages per second  {images_per_second:.1f}'.format(
        **summary))
    for name in LOSSES:
        print(f'{name:<15}    {summary["losses_start"][name]:.4f} -> '
              f'{summary["losses_end"][name]:.4f}')
    if summary['knn_before'] is None:
        print('k-NN accuracy      not measured: folder names give no classes of five images')
    else:
        print('k-NN accuracy      {knn_before:.1f} % -> {knn_after:.1f} %'.format(**summary))
    for name in ('checkpoint', 'backbone', 'picture'):
        print(f'{name:<15}    {summary[name]}')
    if 'tasks' in summary:
        show_tasks(summary['tasks'])


def main():
    show(run(parse_args()))


if __name__ == '__main__':
    _errors.run(main)
