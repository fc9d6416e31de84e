"""Config of the quickstart: everything that depends on the images and on the machine."""
import math
import os
import sys
from collections import Counter
from pathlib import Path

from _errors import UserError
from _quickstart_run import seconds_per_step

TOY = Path(__file__).resolve().parents[1] / 'configs' / 'cmid' / 'cmid_resnet18_toy.py'
# of more images an even choice is taken: a first try shall see each of them several times
MOST_IMAGES = 3000
MOST_EPOCHS = 200
# where there are too few images to measure a step
FEWEST_EPOCHS = 20


def list_images(folder, work_dir, say, load=None):
    """What to learn from, as arguments of ``ImageFolder``, and the names of the classes.

    Args:
        folder (str): The images.
        work_dir (Path): Where a list goes.
        say (Callable): Prints a line.
        load (dict, optional): Arguments of ``LoadRSImage``; images that it cannot use are
            left out. None looks at names only.

    Returns:
        tuple[dict, list[str]]: Without classes the list is empty. Of a big folder an even
        choice is written to a list file, and where images are left out, the others are.
    """
    from cmid_mm.datasets.dataset_check import listable
    from cmid_mm.datasets.folder_scan import scan_folder
    files = scan_folder(folder)
    if len(files) < 2:
        raise UserError(f'{folder} holds {len(files)} images: pre-training needs some '
                        'hundreds, the more the better')
    chosen = files[::math.ceil(len(files) / MOST_IMAGES)]
    if len(chosen) < len(files):
        say(f'{len(files):,} images: an even choice of {len(chosen):,} of them')
    if load is not None:
        chosen = leave_out_broken(folder, chosen, load, say)
    counts = Counter(Path(file).parent.name for file in chosen)
    # images beside the class folders belong to no class, and every fifth image of a class
    # asks, so each class needs five
    named = len(counts) > 1 and '' not in counts
    classes = sorted(counts) if named and min(counts.values()) >= 5 else []
    dataset = dict(type='ImageFolder', data_root=folder)
    if len(chosen) < len(files):
        number = {name: i for i, name in enumerate(classes)}
        lines = [f'{file} {number[Path(file).parent.name]}' if classes else file
                 for file in chosen if listable(file)]
        path = Path(work_dir).resolve() / 'images.txt'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8', errors='surrogateescape')
        dataset['ann_file'] = str(path)
    elif classes:
        dataset['label_level'] = 'parent'
    if classes:
        dataset['with_label'] = True
    return dataset, classes


def leave_out_broken(folder, files, load, say):
    """The images that can be used; the accuracy of k-NN is that of a whole test set."""
    from cmid_mm.datasets.dataset_check import check_images
    from cmid_mm.utils.one_line import one_line
    report, good = check_images(folder, files, **load, show_progress=sys.stderr.isatty())
    if report['unusable']:
        file, reason = report['unusable'][0]
        say(one_line(f'{len(files) - len(good):,} of {len(files):,} images cannot be used and '
                     f'are left out, for example {file}: {reason}; tools/check_dataset.py '
                     'names all'))
    if len(good) < 2:
        raise UserError(f'{folder} holds {len(good)} images that can be used: pre-training '
                        'needs some hundreds; tools/check_dataset.py tells why')
    return good


def make_config(args, dataset, classes, statistics):
    """The toy config with everything that depends on the images."""
    import torch
    from mmengine.config import Config
    cfg = Config.fromfile(TOY)
    bands = statistics['bands']
    load = dict(type='LoadRSImage', bands=bands, band_indices=args.band_indices,
                value_range=statistics['value_range'])
    cfg.model.backbone.in_channels = bands
    cfg.model.data_preprocessor.update(
        mean=statistics['mean'], std=statistics['std'], bands=bands)
    # on few cores a worker and the threads of the step would wait for each other
    cores = os.cpu_count() or 1
    number = min(8, cores // 2) if cores > 4 else 0
    workers = dict(num_workers=number, persistent_workers=number > 0,
                   pin_memory=torch.cuda.is_available())
    # k-NN asks about images that the student has never seen
    learned = dict(dataset, split='bank') if classes else dataset
    cfg.train_pipeline[0].update(load)
    # what breaks later, or in a repetition of the training, does not end it either
    cfg.train_dataloader.update(workers, dataset=dict(
        learned, replace_broken=True, pipeline=cfg.train_pipeline))
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
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1


def epochs_in(cfg, images, seconds, say):
    """Epochs that fit into a time."""
    per_step, _ = seconds_per_step(cfg)
    if per_step is None:
        return FEWEST_EPOCHS
    say(f'{per_step:.2f} s a step of {cfg.train_dataloader.batch_size} images')
    # a margin for checkpoints and for a machine that has other work too
    epochs = int(seconds / (1.1 * per_step * (images // cfg.train_dataloader.batch_size)))
    return min(max(epochs, 1), MOST_EPOCHS)
