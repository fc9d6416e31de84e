"""Any config on a tiny data set, with a thin model, for one step and one test."""
import functools
import gc
import json
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS, DefaultScope, init_default_scope

from cmid_mm.models.selfsup.recipe import choose_recipe, fill_auto

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
SIZE = 64
# keys of pipelines, preprocessors and test settings that hold lengths in pixels
LENGTHS = ('scale', 'crop_size', 'size', 'stride')
# keys of models that hold numbers of channels, classes of prototypes or entries of a queue
WIDTHS = ('in_channels', 'input_features', 'embed_dim', 'embed_dims', 'out_channels',
          'feat_channels', 'fc_out_channels', 'channels', 'hidden_channels',
          'bottleneck_channels', 'num_prototypes', 'queue_size')
# the backbones with an eighth of the channels, and fewer layers where that changes no keys
THIN = dict(
    ResNet=dict(stem_channels=8, base_channels=8),
    SwinTransformer=dict(
        arch=dict(embed_dims=16, depths=[1] * 4, num_heads=[1, 2, 4, 8]), pad_small_map=True),
    VisionTransformer=dict(
        arch=dict(embed_dims=96, num_layers=12, num_heads=3, feedforward_channels=96)),
    ConvNeXt=dict(arch=dict(depths=[1] * 4, channels=[12, 24, 48, 96])))
# quadrilateral, in pixels, of every object; the bright square in the images
QUAD = [20, 10, 50, 10, 50, 30, 20, 30]
DOTA = ('plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
        'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
        'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter')


@functools.cache
def parse(name):
    """A config by its path below ``configs``, not to be changed."""
    return Config.fromfile(CONFIGS / name, import_custom_modules=False)


def load(name):
    """A config of one's own, without initial weights, with sizes for a few images."""
    cfg = deepcopy(parse(name))
    cfg.model.backbone.init_cfg = None
    fill_auto(cfg, choose_recipe(images=100, epochs=2, batch=4))
    return cfg


def nodes(node):
    """Every dict of a config."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from nodes(value)


def rescale(node, keys, factor, smallest=128):
    """Multiply the integers under some keys, from ``smallest`` on."""
    def scaled(value):
        if isinstance(value, (list, tuple)):
            return type(value)(scaled(item) for item in value)
        is_length = isinstance(value, int) and not isinstance(value, bool)
        return round(value * factor) if is_length and value >= smallest else value

    for part in nodes(node):
        part.update({key: scaled(part[key]) for key in keys if key in part})


def thin(cfg):
    """Give the model an eighth of its channels and few proposals, in place.

    An untrained detector finds every class in every proposal, and the suppression of
    oriented boxes takes time by the square of their number.
    """
    backbone = cfg.model.backbone
    if backbone.get('depth') != 18:
        arch = backbone.get('arch')
        backbone.update(deepcopy(THIN[backbone.type.rpartition('.')[2]]))
        if isinstance(arch, dict):
            # without the last stage, for BIT
            for key in ('depths', 'num_heads'):
                backbone.arch[key] = backbone.arch[key][:len(arch[key])]
        rescale([value for key, value in cfg.model.items() if key != 'backbone'], WIDTHS, 1 / 8)
    for part in nodes(cfg.model):
        if 'nms_pre' in part:
            part.update(nms_pre=50, max_per_img=20)
        if 'score_thr' in part:
            # many classes of equal probability are below it
            part.score_thr = 0.
    return cfg


def small(cfg):
    """Let pipelines, preprocessor and test windows make images of 64 pixels, in place."""
    parts = [cfg.get(name) for name in LOADERS] + [
        cfg.model.get('data_preprocessor'), cfg.model.get('test_cfg')]
    lengths = [length for part in nodes(parts) for key in LENGTHS
               for length in np.ravel(part.get(key, 0)) if isinstance(length, np.integer)]
    rescale(parts, LENGTHS, SIZE / max(max(lengths), SIZE))
    return cfg


# ---------------------------------------------------------------- data sets of two images


def write_image(path, seed, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 90, (size, size, 3), dtype=np.uint8)
    pixels[10:30, 20:50] = 220
    assert cv2.imwrite(str(path), pixels)


def write_mask(path, values, size=SIZE):
    """A mask of vertical stripes, one value beside the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = np.asarray(values, np.uint8)[np.arange(size) * len(values) // size]
    assert cv2.imwrite(str(path), np.tile(stripes, (size, 1)))


def class_folders(root, dataset, counts=(1, 1)):
    """Images in two class folders, in a list with their class where the config has one."""
    lines = []
    for label, (name, count) in enumerate(zip(('field', 'wood'), counts)):
        for i in range(count):
            write_image(root / dataset.get('data_prefix', '') / name / f'{i}.png', 9 * label + i)
            lines.append(f'{name}/{i}.png {label}\n')
    if dataset.get('ann_file'):
        (root / dataset.ann_file).parent.mkdir(exist_ok=True)
        (root / dataset.ann_file).write_text(''.join(lines))


def masked_images(root, dataset):
    """Images, or pairs of them, with masks."""
    folders = dict(dataset.data_prefix)
    masks = folders.pop('seg_map_path')
    if len(folders) > 1:
        values = [0, 255]
    elif 'MaskFolder' in dataset.type:
        values = [*range(len(dataset.metainfo.classes)), 255]
    else:
        values = range(7)
    for i, name in enumerate(('one', 'two')):
        for j, folder in enumerate(folders.values()):
            write_image(root / folder / (name + dataset.get('img_suffix', '.png')), 9 * j + i)
        write_mask(root / masks / f'{name}.png', values)
    if dataset.get('ann_file'):
        (root / dataset.ann_file).write_text('one\ntwo\n')


def box_names(folder, number=3):
    names = [f'P000{i}__{SIZE}__0___0.png' for i in range(number)]
    for i, name in enumerate(names):
        write_image(folder / name, i)
    return names


def coco_of(names, classes):
    """A COCO file: one box in every image but the last, category ids from 7."""
    x, y, right, *_, bottom, _, _ = QUAD
    return dict(
        images=[dict(id=i, file_name=name, height=SIZE, width=SIZE)
                for i, name in enumerate(names)],
        annotations=[dict(id=i, image_id=i, category_id=7 + i % len(classes),
                          bbox=[x, y, right - x, QUAD[5] - y], area=600, iscrowd=0,
                          segmentation=[QUAD]) for i in range(len(names) - 1)],
        categories=[dict(id=7 + i, name=name) for i, name in enumerate(classes)])


def coco_files(root, dataset):
    """Images and the COCO file of a data set; returns its path."""
    names = box_names(root / dataset.data_prefix.img)
    path = root / dataset.ann_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco_of(names, dataset.metainfo.classes)))
    return path


def text_files(root, dataset):
    """Images and DOTA's text files."""
    names = box_names(root / dataset.data_prefix.img_path)
    classes = dataset.get('metainfo', dict(classes=DOTA))['classes']
    if dataset.get('ann_file'):
        (root / dataset.ann_file).mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(names):
            line = ' '.join(map(str, [*QUAD, classes[i % len(classes)], 0]))
            (root / dataset.ann_file / name).with_suffix('.txt').write_text(
                f'{line}\n' if i + 1 < len(names) else '')


def datasets_of(cfg):
    """The data sets of all loaders, those within a ConcatDataset too."""
    found = [cfg[name].dataset for name in LOADERS if cfg.get(name)]
    return [part for dataset in found for part in dataset.get('datasets', [dataset])]


def on_data(cfg, root, **options):
    """Write a data set in the tree that the config names, and use it, in place."""
    for dataset in datasets_of(cfg):
        name = dataset.type.rpartition('.')[2]
        write = dict(ImageFolder=class_folders, CheckedCocoDataset=coco_files,
                     CheckedDOTADataset=text_files).get(name, masked_images)
        write(Path(root), dataset, **options)
        dataset.data_root = str(root)
    return cfg


# ---------------------------------------------------------------- a run


class Watch(Hook):
    """Keeps what every step returned, and the weights that the training started from."""

    def __init__(self):
        self.losses, self.start = [], {}

    def before_train(self, runner):
        self.start = {name: value.detach().cpu().clone()
                      for name, value in runner.model.state_dict().items()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({key: value.detach().clone() for key, value in outputs.items()})


def build_runner(cfg, work_dir, batch_size=2):
    """A runner without workers and checkpoints."""
    # a runner and its hooks refer to each other, so the last one's model still exists
    gc.collect()
    cfg = Config(deepcopy(cfg._cfg_dict.to_dict()))
    for key, value in dict(work_dir=str(work_dir), launcher='none', auto_scale_lr=None,
                           experiment_name=f'{Path(work_dir).name}-{id(cfg)}').items():
        cfg[key] = value
    cfg.default_hooks.checkpoint = None
    for name in LOADERS:
        if cfg.get(name):
            # open-cd tests one pair at a time
            size = batch_size if name.startswith('train') else min(
                batch_size, cfg[name].batch_size)
            cfg[name].update(
                batch_size=size, num_workers=0, persistent_workers=False, pin_memory=False,
                sampler=dict(type='DefaultSampler', shuffle=False, _scope_='mmengine'))
    return RUNNERS.build(cfg)


def train_and_test(cfg, work_dir):
    """Train on batches of two images for one epoch, then test.

    Args:
        cfg (Config): With data that exist; ``model.backbone.init_cfg`` as wanted.
        work_dir (Path): For logs.

    Returns:
        tuple[dict, dict, Runner, dict]: Losses of the last step, metrics of the test, the
        runner, the state dict at the start of the training.
    """
    before = DefaultScope.get_current_instance()
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=2)
    # the schedule of the full run does not fit one step
    cfg.param_scheduler = None
    watch = Watch()
    runner = build_runner(cfg, work_dir)
    runner.register_hook(watch)
    runner.train()
    metrics = runner.test()
    init_default_scope(before.scope_name)
    assert watch.losses and all(
        torch.isfinite(value).all() for step in watch.losses for value in step.values())
    assert any(not torch.equal(value.detach().cpu(), watch.start[name])
               for name, value in runner.model.named_parameters() if value.requires_grad)
    return watch.losses[-1], metrics, runner, watch.start
