"""Config of the quickstart: settings that depend on the images and the machine."""
import copy
import os
import re
import sys
from collections import Counter
from pathlib import Path

from _errors import UserError
from _quickstart_run import choose_threads, print_timed, seconds_per_step

TOY = Path(__file__).resolve().parents[1] / 'configs' / 'cmid' / 'cmid_resnet18_toy.py'
# a first try should use each image several times
MAX_IMAGES = 3000
MAX_EPOCHS = 200
# a band in the name of a file of Sentinel-2 or Landsat: B04, B8A, B05_20m
BAND = re.compile(r'(?<![A-Za-z0-9])((B\d{1,2}A?)(?:_\d0m)?)\.')
# sides of windows in pixels: the first is about that of the images in public sets of scenes, the
# others are for few rasters
WINDOWS = 256, 128
FEW_IMAGES = 500
# shorter side in pixels of rasters that are cut however many there are
LARGE = 1024
# where there are too few images to measure a step
MIN_EPOCHS = 20


def find_rasters(folder):
    """Settings of ``ImageFolder`` for large rasters and for bands that are files of their own.

    Args:
        folder (str): The images.

    Returns:
        dict: ``window``, ``band_files`` and ``grid_band``, as far as needed.
    """
    from cmid_mm.datasets.band_files import group_bands
    from cmid_mm.datasets.file_limits import ImageError
    from cmid_mm.datasets.folder_scan import scan_folder
    from cmid_mm.datasets.image_reading import read_header
    from cmid_mm.datasets.parallel_reading import spread_places
    from cmid_mm.datasets.raster_paths import files_of
    from cmid_mm.utils.errors import CMIDError
    files, found = scan_folder(folder), {}
    matches = [match for match in map(BAND.search, files) if match]
    # of a band in several resolutions the finest
    finest = {}
    for match in matches:
        finest[match[2]] = min(finest.get(match[2], match[1]), match[1])
    counts = Counter(match[1] for match in matches if finest[match[2]] == match[1])
    bands = sorted(band for band, count in counts.items() if count == max(counts.values()))
    if len(bands) > 1:
        try:
            # the finest band gives the grid
            paths = files_of(group_bands(files, bands)[0])
            widths = [read_header(str(Path(folder, path)), 2**40).width for path in paths]
            found.update(band_files=bands, grid_band=bands[widths.index(max(widths))])
            files = group_bands(files, bands, grid_band=found['grid_band'])
            print_timed(f'images with one file per band: {" ".join(bands)}, on the grid of '
                        f'{found["grid_band"]}')
        except CMIDError as error:
            print_timed(f'not taken as images with one file per band: {error}')
    sides = []
    for place in spread_places(len(files), 50) if files else []:
        try:
            sides.append(min(read_header(str(Path(folder, files[place])), 2**40)[:2]))
        except ImageError:
            continue
    side = sorted(sides)[len(sides) // 2] if sides else 0
    # enough photographs stay whole: their classes are those of whole scenes
    count = len(files) if side < LARGE else 0
    for window in WINDOWS:
        if side >= 2 * window and count < FEW_IMAGES:
            found['window'] = window
            count = len(files) * (side // window)**2
    if 'window' in found:
        print_timed(f'{len(files):,} rasters, most with a shorter side of {side} px or more: '
                    f'windows of {found["window"]} px are the images')
    return found


def list_images(folder, work_dir, load=None, rasters=None):
    """Images to train on, as arguments of ``ImageFolder``, and the names of the classes.

    From a large folder an even selection is used. The images are written to a list file if some
    of the folder are left out.

    Args:
        folder (str): The images.
        work_dir (Path): Folder of the list file.
        load (dict, optional): Arguments of ``LoadRSImage``; images that it cannot use are
            left out. Defaults to None: only names are read.
        rasters (dict, optional): Result of :func:`find_rasters`.

    Returns:
        tuple[dict, list[str]]: Arguments and class names; without classes the list is empty.

    Raises:
        UserError: Fewer than two images can be used.
    """
    from cmid_mm.datasets.list_file import is_listable
    from cmid_mm.datasets.parallel_reading import spread_places
    from cmid_mm.datasets.raster_paths import split_window
    from cmid_mm.datasets.raster_windows import list_samples
    rasters = rasters or {}
    files = list_samples(folder, **rasters)
    if len(files) < 2:
        raise UserError(f'{folder} holds {len(files)} images: pre-training needs some '
                        'hundreds, the more the better')
    # the windows of a raster stay together: in the training, or in the queries of the probes
    windows = 'window' in rasters
    chosen = files if windows else [files[i] for i in spread_places(len(files), MAX_IMAGES)]
    if len(chosen) < len(files):
        print_timed(f'{len(files):,} images: an even selection of {len(chosen):,} is used')
    if load is not None and not windows:
        chosen = leave_out_broken(folder, chosen, load)
    counts = Counter(Path(file).parent.name for file in {split_window(file)[0]
                                                         for file in chosen})
    # images outside of the class folders have no class; every fifth image of a class is a
    # query, so each class needs five
    named = len(counts) > 1 and '' not in counts
    classes = sorted(counts) if named and min(counts.values()) >= 5 else []
    dataset = dict(type='ImageFolder', data_root=folder, **rasters)
    if len(chosen) < len(files):
        number = {name: i for i, name in enumerate(classes)}
        lines = [f'{file} {number[Path(file).parent.name]}' if classes else file
                 for file in chosen if is_listable(file)]
        path = Path(work_dir).resolve() / 'images.txt'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8', errors='surrogateescape')
        dataset['ann_file'] = str(path)
    elif classes:
        dataset['label_level'] = 'parent'
    if classes:
        dataset['with_label'] = True
    return dataset, classes


def leave_out_broken(folder, files, load):
    """Files that can be used; an accuracy requires all of its images."""
    from cmid_mm.datasets.inspection import inspect_images
    from cmid_mm.utils.one_line import one_line
    report, good = inspect_images(folder, files, **load, max_measured=0,
                                  show_progress=sys.stderr.isatty())
    if report['unusable']:
        file, reason = report['unusable'][0]
        print_timed(one_line(f'{len(files) - len(good):,} of {len(files):,} images cannot be used '
                            f'and are left out, for example {file}: {reason}; '
                            'tools/check_dataset.py lists all'))
    if len(good) < 2:
        raise UserError(f'{folder} holds {len(good)} images that can be used: pre-training '
                        'needs some hundreds; tools/check_dataset.py lists the reasons')
    return good


def make_config(args, dataset, classes, statistics):
    """The toy config with the settings that depend on the images."""
    import torch
    from mmengine.config import Config
    cfg = Config.fromfile(TOY)
    bands = statistics['bands']
    load = dict(type='LoadRSImage', bands=bands, band_indices=args.band_indices,
                value_range=statistics['value_range'])
    cfg.model.backbone.in_channels = bands
    cfg.model.data_preprocessor.update(
        mean=statistics['mean'], std=statistics['std'], bands=bands)
    # on few cores a worker and the threads of the step would compete
    cores = os.cpu_count() or 1
    number = min(8, cores // 2) if cores > 4 else 0
    workers = dict(num_workers=number, persistent_workers=number > 0,
                   pin_memory=torch.cuda.is_available())
    # queries of k-NN are images that the student is not trained on
    learned = dict(dataset, split='gallery') if classes else dataset
    cfg.train_pipeline[0].update(load)
    # images that break later, or in a repetition of the training, do not end it either
    cfg.train_dataloader.update(workers, dataset=dict(
        learned, replace_broken=True, pipeline=cfg.train_pipeline))
    cfg.test_pipeline[0] = load
    if classes:
        parts = [dict(dataset, split=split, pipeline=cfg.test_pipeline)
                 for split in ('gallery', 'query')]
        cfg.test_dataloader.update(workers, dataset=dict(type='ConcatDataset', datasets=parts))
        cfg.test_evaluator = [dict(type='WeightedKNN', k=20), dict(type='LinearProbe')]
    else:
        cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.pop('labelled_folder')
    cfg.work_dir = args.work_dir
    cfg.randomness = dict(seed=args.seed)
    return cfg


def fit_batch(cfg):
    """Shrink the batch where there are fewer images; return the number of images."""
    from mmpretrain.registry import DATASETS
    images = len(DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[])))
    cfg.train_dataloader.batch_size = min(cfg.train_dataloader.batch_size, images)
    return images


def set_length(cfg, images, epochs):
    """Set the epochs and what depends on the images and on them."""
    from cmid_mm.models.selfsup.recipe import choose_recipe, fill_auto
    cfg.train_cfg.max_epochs = epochs
    fill_auto(cfg, choose_recipe(images, epochs, cfg.train_dataloader.batch_size))
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1


def fit_epochs(cfg, images, seconds):
    """Set the epochs that fit into a time, with the fastest number of threads."""
    trial = copy.deepcopy(cfg)
    set_length(trial, images, MIN_EPOCHS)
    found, _ = seconds_per_step(trial, choose_threads())
    if not found:
        return MIN_EPOCHS
    threads = min(found, key=found.get)
    measured = ', '.join(f'{value:.2f} with {threads_of(n)}' for n, value in found.items())
    print_timed(f'seconds per step of {cfg.train_dataloader.batch_size} images: {measured}; '
               f'training with {threads_of(threads)}')
    # a margin for checkpoints and for other work on the machine
    steps = images // cfg.train_dataloader.batch_size
    epochs = int(seconds / (1.1 * found[threads] * steps))
    return min(max(epochs, 1), MAX_EPOCHS)


def threads_of(number):
    return f'{number} thread{"s" if number > 1 else ""}'
