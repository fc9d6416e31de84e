"""Segmentation: the paper's numbers, the label sets, and a step of every kind of config."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dense_trees import light, write_images, write_masks
from downstream_steps import small, train_and_test
from mmengine.config import Config

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'segmentation'
CONFIGS = sorted(FOLDER.glob('*.py'))
ISPRS = [path for path in CONFIGS if path.stem.endswith(('potsdam', 'vaihingen'))]
# configs of one backbone have one model; the data of the others are read below
STEPS = [path for path in CONFIGS if not path.stem.endswith('vaihingen')]


def stem(path):
    return path.stem


def load(path):
    pytest.importorskip('mmseg')
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    return cfg


def point_to(cfg, root):
    """Data of the config under ``root``, written in the tree that the config names."""
    names = ('one', 'two')
    dataset = cfg.train_dataloader.dataset
    if 'ann_file' in dataset:
        for split in ('train', 'val'):
            (root / f'{split}.txt').write_text('one\ntwo\n')
    values = range(7) if 'MaskFolder' not in dataset.type else [
        *range(len(dataset.metainfo.classes)), 255]
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.dataset.data_root = str(root)
        prefix = loader.dataset.data_prefix
        write_images(root, [prefix.img_path], names, 64)
        write_masks(root, [prefix.seg_map_path], names, 64, values)
    return cfg


@pytest.mark.parametrize('path', STEPS, ids=stem)
def test_takes_a_step_and_scores(path, tmp_path):
    cfg = point_to(light(small(load(path))), tmp_path)
    losses, metrics, runner = train_and_test(cfg, tmp_path / 'work')
    assert set(losses) >= {'decode.loss_ce', 'aux.loss_ce', 'loss'}
    assert 0 <= metrics['mIoU'] <= 100 and 0 <= metrics['aAcc'] <= 100
    classes = len(cfg.train_dataloader.dataset.metainfo.classes)
    assert runner.model.decode_head.num_classes == classes
    assert runner.model.auxiliary_head.num_classes == classes


@pytest.mark.parametrize('path', ISPRS, ids=stem)
def test_five_classes_are_learned_and_scored(path, tmp_path):
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS
    cfg = point_to(small(load(path)), tmp_path)
    init_default_scope('mmseg')
    train, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset)
                   for part in ('train', 'test'))
    sample = test[0]
    label = sample['data_samples'].gt_sem_seg.data[0, 0]
    # the stripes are boundary, the five classes, clutter
    assert torch.unique_consecutive(label).tolist() == [255, 0, 1, 2, 3, 4, 255]
    assert sample['inputs'].shape == (3, 64, 64)
    image = cv2.imread(str(tmp_path / 'img_dir/val/one.png'))[..., ::-1]
    assert np.array_equal(sample['inputs'].numpy(), image.transpose(2, 0, 1)), 'RGB'
    learned = torch.cat([train[i % 2]['data_samples'].gt_sem_seg.data.unique()
                         for i in range(20)]).unique()
    assert learned.tolist() == [0, 1, 2, 3, 4, 255]


@pytest.mark.parametrize('path', ISPRS, ids=stem)
def test_settings_of_the_paper(path):
    cfg = load(path)
    head, auxiliary = cfg.model.decode_head, cfg.model.auxiliary_head
    assert (head.type, head.channels, head.pool_scales, head.dropout_ratio) == (
        'UPerHead', 512, (1, 2, 3, 6), 0.1)
    assert (auxiliary.type, auxiliary.in_index, auxiliary.channels, auxiliary.num_convs) == (
        'FCNHead', 2, 256, 1)
    assert (head.loss_decode.loss_weight, auxiliary.loss_decode.loss_weight) == (1.0, 0.4)
    assert head.num_classes == auxiliary.num_classes == 5
    assert cfg.train_dataloader.batch_size == 8
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (50, 5)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].scale == (512, 512)
    assert steps['RandomResize'].ratio_range == (0.5, 2.0)
    assert steps['RandomCrop'].crop_size == (512, 512)
    assert steps['RandomCrop'].cat_max_ratio == 0.75
    assert steps['RandomFlip'].prob == 0.5 and 'PhotoMetricDistortion' in steps
    assert cfg.model.test_cfg.mode == 'whole'
    optimizer = cfg.optim_wrapper.optimizer
    if 'resnet50' in path.stem:
        assert dict(optimizer) == dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4)
        assert cfg.model.backbone.strides == (1, 2, 2, 2)
        assert cfg.model.backbone.dilations == (1, 1, 1, 1)
    else:
        assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == (
            'AdamW', 6e-5, 0.01)
    if 'swin' in path.stem:
        assert cfg.model.backbone.drop_path_rate == 0.3


@pytest.mark.parametrize('path', ISPRS, ids=stem)
def test_both_sets_have_one_model_and_one_recipe(path):
    cfg = load(path)
    other = load(path.with_name(path.name.replace('vaihingen', 'potsdam')))
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert cfg[key] == other[key], key


def test_the_rate_warms_up_and_falls():
    """10 steps an epoch: a tenth of the rate first, the cosine's value after 100 steps."""
    cfg = load(FOLDER / 'upernet_r50_1xb8-amp-sgd-50e_potsdam.py')
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    schedulers = [build_scheduler(scheduler, optimizer) for scheduler in cfg.param_scheduler]
    rates = []
    for _ in range(500):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    cosine = 1e-6 + (0.01 - 1e-6) * (1 + np.cos(np.pi * np.arange(500) / 500)) / 2
    assert rates[0] == pytest.approx(0.001)
    assert rates[50] < rates[90] < rates[99]
    assert rates[100:] == pytest.approx(cosine[100:], rel=1e-2, abs=2e-6)


def build_scheduler(settings, optimizer, epoch_length=10):
    """As mmengine's Runner does, in steps where the config says so."""
    from mmengine.registry import PARAM_SCHEDULERS
    settings = dict(settings)
    scheduler = PARAM_SCHEDULERS.get(settings.pop('type'))
    if settings.pop('convert_to_iter_based', False):
        return scheduler.build_iter_from_epoch(
            optimizer=optimizer, epoch_length=epoch_length, **settings)
    return scheduler(optimizer, **settings)


def test_norms_and_tables_do_not_decay():
    cfg = load(FOLDER / 'upernet_swin-base_1xb8-adamw-50e_potsdam.py')
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS
    init_default_scope('mmseg')
    model = MODELS.build(cfg.model.backbone)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    decay = {id(group['params'][0]): group['weight_decay'] for group in wrapper.param_groups}
    decays = {name: decay[id(value)] for name, value in model.named_parameters()}
    assert decays['stages.2.blocks.3.attn.w_msa.qkv.weight'] == 0.01
    assert decays['patch_embed.projection.weight'] == 0.01
    still = [name for name, value in decays.items() if not value]
    assert set(still) >= {'norm3.weight', 'patch_embed.norm.bias',
                          'stages.0.blocks.0.norm1.weight',
                          'stages.2.blocks.3.attn.w_msa.relative_position_bias_table'}
    assert all('norm' in name or 'table' in name for name in still)


def test_a_wrong_number_in_a_mask_ends_the_training_with_its_name(tmp_path):
    path = FOLDER / 'upernet_r18_1xb16-adamw-10e_scenes.py'
    cfg = point_to(light(small(load(path))), tmp_path)
    write_masks(tmp_path, ['masks/train'], ['two'], 64, [0, 1, 9])
    with pytest.raises(ValueError, match=r'masks/train/two.png holds 9 in \d+ of 4096'):
        train_and_test(cfg, tmp_path / 'work')


def test_scenes_have_the_generator_s_classes():
    from cmid_mm.datasets.scenes import SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
    cfg = load(FOLDER / 'upernet_r18_1xb16-adamw-10e_scenes.py')
    for part in ('train', 'val', 'test'):
        metainfo = cfg[f'{part}_dataloader'].dataset.metainfo
        assert tuple(metainfo.classes) == SEGMENTATION_CLASSES
        assert tuple(map(tuple, metainfo.palette)) == SEGMENTATION_PALETTE
