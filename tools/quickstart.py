"""CMID pre-training of a small student, from images to a backbone: quickstart.py [FOLDER]

Without a folder it trains on generated scenes. The work dir then holds config.py
(`tools/train.py` repeats the training with it), checkpoints, backbone.pth,
reconstruction.png and summary.json. With --task the backbone is then trained for scene
classification, segmentation, detection or change detection on labelled generated scenes,
and compared with the same training from random weights.
"""
import argparse
import json
import sys
from pathlib import Path

import _errors

LOSSES = ('reconstruction', 'global', 'local')
TASK_NAMES = ('classification', 'segmentation', 'detection', 'change_detection')
# accuracies of frozen features on held-out images
PROBES = dict(knn='k-NN accuracy', linear='linear probe')
PICTURES = 6


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
    parser.add_argument('--bands', type=int,
                        help='bands of an image (default: those of most images)')
    parser.add_argument('--band-indices', type=int, nargs='+',
                        help='bands to take from each file, counted from 0')
    parser.add_argument('--value-range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='range that becomes 0..255 where images are not 8-bit '
                        '(default: the 0.1 and 99.9 percentiles of each band)')
    parser.add_argument('--task', default='pretrain', choices=['pretrain', *TASK_NAMES, 'all'],
                        help='what to do after the pre-training (default: nothing)')
    parser.add_argument('--task-minutes', type=float, default=1.3,
                        help='most time for one of the two trainings of a task (default: 1.3)')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(arguments)


def generate_images(args):
    """A folder of generated scenes."""
    from _quickstart_run import print_timed

    from cmid_mm.datasets.scenes import write_scenes
    folder = Path(args.work_dir) / 'scenes'
    print_timed(f'no folder given: training on generated scenes in {folder}')
    write_scenes(folder, num=1500, size=128, seed=args.seed, tasks=('classification', ),
                 show_progress=sys.stderr.isatty())
    return str(folder / 'classification')


def mean_losses(runner, first=False):
    """Mean of the three losses over the last (or first) tenth of the steps, at most 20."""
    means = {}
    for name in LOSSES:
        values = runner.message_hub.get_scalar(f'train/loss_{name}').data[0]
        count = max(1, min(20, len(values) // 10))
        means[name] = float((values[:count] if first else values[-count:]).mean())
    return means


def draw_reconstructions(cfg, checkpoint, path, title):
    """Save reconstructions of some images that are spread over the folder."""
    from mmpretrain.registry import DATASETS

    from cmid_mm.apis.reconstructor import Reconstructor
    from cmid_mm.visualization import RECONSTRUCTION_HEADS, save_grid
    source = cfg.train_dataloader.dataset
    if cfg.test_dataloader is not None:
        source = cfg.test_dataloader.dataset.datasets[1]
    dataset = DATASETS.build(dict(source, pipeline=[]))
    places = range(0, len(dataset), max(1, len(dataset) // PICTURES))
    files = [dataset.get_data_info(place)['img_path'] for place in list(places)[:PICTURES]]
    save_grid(Reconstructor(cfg, checkpoint)(files), path, RECONSTRUCTION_HEADS, title)


def run(args):
    """The whole job; returns the summary."""
    import torch
    from _quickstart_config import (
        find_rasters,
        fit_batch,
        fit_epochs,
        list_images,
        make_config,
        set_length,
    )
    from _quickstart_run import print_timed, train
    from mmengine.registry import init_default_scope

    import cmid_mm  # noqa: F401
    from cmid_mm.checkpoints.export import export_backbone
    from cmid_mm.datasets.inspection import folder_statistics
    from cmid_mm.datasets.raster_windows import list_samples
    init_default_scope('mmpretrain')
    tasks = dict(pretrain=[], all=list(TASK_NAMES)).get(args.task, [args.task])
    if tasks:
        from _quickstart_tasks import require_frameworks, run_tasks
        require_frameworks(tasks)
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    print_timed('CMID quickstart on ' + (torch.cuda.get_device_name() if torch.cuda.is_available()
                                        else f'a CPU, {torch.get_num_threads()} threads'))

    folder = (str(Path(args.images).expanduser()) if args.images
              else generate_images(args))
    rasters = find_rasters(folder)
    statistics = folder_statistics(
        folder, files=list_samples(folder, **rasters), max_images=500, bands=args.bands,
        band_indices=args.band_indices, value_range=args.value_range,
        show_progress=sys.stderr.isatty())['statistics']
    load = dict(bands=statistics['bands'], band_indices=args.band_indices,
                value_range=statistics['value_range'])
    dataset, classes = list_images(folder, work_dir, load, rasters)
    cfg = make_config(args, dataset, classes, statistics)
    images = fit_batch(cfg)
    print_timed(f'{images:,} images of {statistics["bands"]} bands to train on, '
               + (f'{len(classes)} classes for k-NN' if classes else 'no class folders'))
    # measured in any case, for the number of threads
    epochs = fit_epochs(cfg, images, 60 * args.minutes)
    epochs = args.epochs or epochs
    set_length(cfg, images, epochs)
    cfg.dump(str(work_dir / 'config.py'))
    print_timed(f'{epochs} epochs of {images // cfg.train_dataloader.batch_size} steps; '
               f'config: {work_dir / "config.py"}')

    seconds = float('inf') if args.epochs else 1.25 * 60 * args.minutes
    runner, results = train(cfg, print_timed, bool(classes), seconds)
    probes = {f'{name}_{time}': values.get(f'{name}/top1') for name in PROBES
              for time, values in dict(before=results.before, after=results.after).items()}
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    backbone, picture = work_dir / 'backbone.pth', work_dir / 'reconstruction.png'
    exported = export_backbone(checkpoint, backbone)
    draw_reconstructions(cfg, checkpoint, picture, f'after {runner.epoch} epochs')
    samples = runner.iter * cfg.train_dataloader.batch_size
    summary = dict(
        images=samples,
        images_per_second=samples / results.seconds_trained,
        threads=torch.get_num_threads(),
        losses_start=mean_losses(runner, first=True),
        losses_end=mean_losses(runner),
        **probes,
        checkpoint=checkpoint,
        backbone=str(backbone),
        picture=str(picture))
    write_summary(work_dir, summary)
    if tasks:
        summary['tasks'] = {}
        for task, row in run_tasks(tasks, str(backbone), exported['meta'], args):
            summary['tasks'][task] = row
            write_summary(work_dir, summary)
    return summary


def write_summary(work_dir, summary):
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')


def show(summary):
    """Print the summary for people."""
    print('\nimages trained on  {images:,}\nimages per second  {images_per_second:.1f}'.format(
        **summary))
    for name in LOSSES:
        print(f'{name:<15}    {summary["losses_start"][name]:.4f} -> '
              f'{summary["losses_end"][name]:.4f}')
    for name, title in PROBES.items():
        if summary[f'{name}_before'] is None:
            print(f'{title:<15}    not measured: folder names give no classes of five images')
        else:
            print(f'{title:<15}    {summary[f"{name}_before"]:.1f} % untrained -> '
                  f'{summary[f"{name}_after"]:.1f} %')
    for name in ('checkpoint', 'backbone', 'picture'):
        print(f'{name:<15}    {summary[name]}')
    if 'tasks' in summary:
        from _quickstart_tasks import show_tasks
        show_tasks(summary['tasks'])


def main():
    show(run(parse_args()))


if __name__ == '__main__':
    _errors.run(main)
