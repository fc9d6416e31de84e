"""CMID pre-training of a small student, from images to a backbone: quickstart.py [FOLDER]

Without a folder it learns from generated scenes. What it makes lies in the work dir:
config.py (`tools/train.py` repeats the training with it), checkpoints, backbone.pth,
reconstruction.png and summary.json.
"""
import argparse
import json
import logging
import math
import os
import sys
import time
import warnings
from collections import Counter
from datetime import timedelta
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

TOY = REPOSITORY / 'configs' / 'cmid' / 'cmid_resnet18_toy.py'
LOSSES = ('reconstruction', 'global', 'local')
# of more images an even choice is taken: a first try shall see each of them several times
MOST_IMAGES = 3000
MOST_EPOCHS = 200
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
    write_scenes(folder, num=1500, size=128, seed=args.seed, tasks=('classification', ))
    return str(folder / 'classification')


def list_images(folder, work_dir):
    """What to learn from, as arguments of ``ImageFolder``, and the names of the classes.

    Returns:
        tuple[dict, list[str]]: Without classes the list is empty. Of a big folder an even
        choice is written to a list file.
    """
    from cmid_mm.datasets.folder_scan import scan_folder
    files = scan_folder(folder)
    if len(files) < 2:
        raise ValueError(f'{folder} holds {len(files)} images: pre-training needs some '
                         'hundreds, the more the better')
    chosen = files[::math.ceil(len(files) / MOST_IMAGES)]
    counts = Counter(Path(file).parent.name for file in chosen)
    # every fifth image of a class asks, so each class needs five
    classes = sorted(counts) if len(counts) > 1 and min(counts.values()) >= 5 else []
    dataset = dict(type='ImageFolder', data_root=folder)
    if len(chosen) < len(files):
        number = {name: i for i, name in enumerate(classes)}
        lines = [f'{file} {number[Path(file).parent.name]}' if classes else file
                 for file in chosen]
        path = Path(work_dir).resolve() / 'images.txt'
        path.write_text('\n'.join(lines) + '\n')
        dataset['ann_file'] = str(path)
        say(f'{len(files):,} images: an even choice of {len(chosen):,} of them ({path.name})')
    elif classes:
        dataset['label_level'] = 'parent'
    if classes:
        dataset['with_label'] = True
    return dataset, classes


def make_config(args, dataset, classes, statistics):
    """The toy config with everything that depends on the images."""
    from mmengine.config import Config
    cfg = Config.fromfile(TOY)
    bands = statistics['bands']
    load = dict(type='LoadRSImage', bands=bands, value_range=statistics['value_range'])
    cfg.model.backbone.in_channels = bands
    cfg.model.data_preprocessor.mean = statistics['mean']
    cfg.model.data_preprocessor.std = statistics['std']
    workers = dict(num_workers=min(8, max(1, (os.cpu_count() or 2) // 2)), pin_memory=False)
    # k-NN asks about images that the student has never seen
    learned = dict(dataset, split='bank') if classes else dataset
    cfg.train_pipeline[0] = load
    cfg.train_dataloader.update(
        workers, dataset=dict(learned, pipeline=cfg.train_pipeline))
    if classes:
        cfg.test_pipeline[0] = load
        parts = [dict(dataset, split=split, pipeline=cfg.test_pipeline)
                 for split in ('bank', 'query')]
        cfg.test_dataloader.update(workers, dataset=dict(type='ConcatDataset', datasets=parts))
    else:
        cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.pop('labelled_folder')
    cfg.work_dir = args.work_dir
    cfg.randomness = dict(seed=args.seed)
    return cfg


def fit_batch(cfg):
    """Shrink the batch where there are fewer images; say how many there are to learn from."""
    from mmpretrain.registry import DATASETS
    images = len(DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[])))
    cfg.train_dataloader.batch_size = min(cfg.train_dataloader.batch_size, images)
    return images


def set_length(cfg, epochs):
    """Epochs and the timetables that follow them."""
    cfg.train_cfg.max_epochs = epochs
    cfg.param_scheduler[0].warmup = max(1, epochs // 10)
    for hook in cfg.custom_hooks:
        if hook.type == 'CMIDTeacherTemperatureHook':
            hook.warmup_epochs = max(1, epochs // 4)
    cfg.default_hooks.checkpoint.update(interval=max(1, epochs // 4), max_keep_ckpts=1)


def epochs_in(cfg, images, seconds):
    """Epochs that fit into a time, from a few steps of a model that is thrown away."""
    import torch
    from mmengine.device import get_device
    from mmengine.optim import build_optim_wrapper
    from mmpretrain.registry import MODELS
    model = MODELS.build(cfg.model).to(get_device()).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch, size = cfg.train_dataloader.batch_size, cfg.model.image_size
    bands = cfg.model.backbone.in_channels
    views = dict(
        inputs=torch.randint(0, 256, (batch, 2, bands, size, size), dtype=torch.uint8),
        view_boxes=torch.tensor([0., 0., size, size, 0.]).repeat(batch, 2, 1),
        view_keys=torch.arange(2 * batch).view(batch, 2))
    for step in range(5):
        if step == 2:
            started = time.perf_counter()
        # reading the loss waits for the device
        float(model.train_step(views, wrapper)['loss'])
    per_step = (time.perf_counter() - started) / 3
    # the loader takes a share of the same cores
    epochs = int(seconds / (1.15 * per_step * (images // batch)))
    say(f'{per_step:.2f} s a step of {batch} images')
    return min(max(epochs, 1), MOST_EPOCHS)


def make_hook(cfg, classes):
    """The hook that shows progress and measures k-NN accuracy before and after."""
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


def quiet_runner(cfg):
    """Runner whose log goes to its file; the terminal shows warnings only."""
    from cmid_mm.engine.runners import CMIDRunner

    class QuietRunner(CMIDRunner):

        def build_logger(self, *args, **kwargs):
            logger = super().build_logger(*args, **kwargs)
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(logging.ERROR)
            return logger

    return QuietRunner.from_cfg(cfg)


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
    save_reconstructions(rows, path, f'after {runner.max_epochs} epochs')


def export(checkpoint, path):
    """Write the student's backbone to a file of its own."""
    import torch

    from cmid_mm.utils.backbone_export import extract_backbone, load_checkpoint_file
    torch.save(extract_backbone(load_checkpoint_file(checkpoint), source=checkpoint), path)


def run(args):
    """The whole job; returns the summary."""
    import torch
    from mmengine.registry import init_default_scope

    # of no concern here, and the first thing a newcomer would see
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformable')
    import cmid_mm  # noqa: F401
    from cmid_mm.datasets.image_statistics import folder_statistics
    init_default_scope('mmpretrain')
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    device = (torch.cuda.get_device_name() if torch.cuda.is_available() else
              f'{torch.get_num_threads()} CPU threads')
    say(f'CMID quickstart on {device}')

    folder = str(Path(args.images).expanduser()) if args.images else scenes_folder(args)
    dataset, classes = list_images(folder, work_dir)
    statistics = folder_statistics(
        folder, max_images=500, show_progress=sys.stderr.isatty())
    for _, reason in statistics['unusable'][:5]:
        say(f'unusable: {reason}')
    cfg = make_config(args, dataset, classes, statistics)
    images = fit_batch(cfg)
    say(f'{images:,} images of {statistics["bands"]} bands to learn from'
        + (f', {len(classes)} classes to ask about' if classes else ', no class folders'))
    epochs = args.epochs or epochs_in(cfg, images, 60 * args.minutes)
    set_length(cfg, epochs)
    cfg.dump(str(work_dir / 'config.py'))
    say(f'{epochs} epochs of {images // cfg.train_dataloader.batch_size} steps; '
        f'config: {work_dir / "config.py"}')

    runner = quiet_runner(cfg)
    progress = make_hook(cfg, classes)
    runner.register_hook(progress)
    runner.train()

    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    backbone, picture = work_dir / 'backbone.pth', work_dir / 'reconstruction.png'
    export(checkpoint, backbone)
    make_picture(runner, cfg, picture)
    seen = runner.max_iters * cfg.train_dataloader.batch_size
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
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    return summary


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


def main(arguments=None):
    args = parse_args(arguments)
    try:
        show(run(args))
    except (ValueError, FileNotFoundError) as error:
        if os.environ.get('CMID_TRACEBACK'):
            raise
        sys.exit(f'quickstart.py: error: {error}')


if __name__ == '__main__':
    main()
