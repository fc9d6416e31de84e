"""Every config parses, builds, takes a step and is tested; its name and the paper agree."""
import functools
import json
import math
import re
import zipfile
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from small_configs import (
    CONFIGS,
    DOTA,
    LOADERS,
    datasets_of,
    load,
    nodes,
    on_data,
    parse,
    small,
    thin,
    train_and_test,
)
from small_models import loader_batch

# those of detection inherit from mmdet's; a study lists variants of a config
LEAVES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob('*.py')
                if not {'_base_', 'studies'} & set(path.parts) and (
                    path.parent.name != 'detection' or find_spec('mmdet')))
PRETRAINING = [name for name in LEAVES if name.startswith('cmid/')]
DOWNSTREAM = [name for name in LEAVES if name not in PRETRAINING]
TRAINED = [name for name in DOWNSTREAM if 'knn' not in name]
SCOPES = dict(cmid='mmpretrain', classification='mmpretrain', segmentation='mmseg',
              detection='mmdet', oriented_detection='mmrotate', change_detection='mmseg',
              opencd='opencd')
# what belongs to a data set alone: configs that differ in nothing else share a step below
DATA_KEYS = ('data_root', 'ann_file', 'data_prefix', 'metainfo', 'num_classes', 'query_every')
RUN_KEYS = ('model', 'custom_hooks', 'optim_wrapper', 'param_scheduler', 'train_cfg',
            'val_evaluator', 'test_evaluator', *LOADERS)


def scope_of(name):
    return next(SCOPES[part] for part in reversed(Path(name).parts) if part in SCOPES)


def get(cfg, path):
    """The value at ``a.b.0.c``."""
    for key in path.split('.'):
        cfg = cfg[int(key)] if key.isdigit() else cfg[key]
    return cfg


def signature(name, keys=RUN_KEYS, ignored=DATA_KEYS):
    """All that a run of a config depends on, apart from its data."""
    def strip(node):
        if isinstance(node, dict):
            return {key: strip(value) for key, value in node.items() if key not in ignored}
        return [strip(item) for item in node] if isinstance(node, (list, tuple)) else node

    cfg = parse(name)
    return json.dumps([scope_of(name), strip({key: cfg.get(key) for key in keys})],
                      sort_keys=True, default=str)


def network(name):
    """The model of a config, apart from its classes and the statistics of its data."""
    return signature(name, ['model'], [*DATA_KEYS, 'data_preprocessor', 'init_cfg'])


def first_of_each(names, key):
    """One config of those with an equal key."""
    return list({key(name): name for name in reversed(names)}.values())[::-1]


def levels(path):
    """From how many configs, one after the other, a config inherits."""
    base = re.search(r'^_base_ = (\[.*?\]|\S+)', path.read_text(), re.M | re.S)
    files = re.findall(r"'(.+?)'", base[1]) if base else []
    return max((1 + levels((path.parent / file).resolve()) for file in files
                if '::' not in file), default=0)


# ---------------------------------------------------------------- conventions


@pytest.mark.parametrize('name', LEAVES)
def test_conventions(name):
    assert (CONFIGS / name).read_text().startswith('# '), 'a config opens with what it does'
    assert levels(CONFIGS / name) <= 3
    cfg = parse(name)
    assert cfg.default_scope == scope_of(name)
    assert 'cmid_mm' in cfg.custom_imports['imports']
    assert not cfg.custom_imports['allow_failed_imports']
    assert cfg.runner_type == 'CMIDRunner'


@pytest.mark.parametrize('name', [name for name in LEAVES if re.search(r'\dxb\d', name)])
def test_the_name_gives_batch_optimiser_and_epochs(name):
    cfg = parse(name)
    processes, batch, amp, optimiser, epochs = re.search(
        r'_(\d)xb(\d+)(-amp)?-(\w+)(?:-coslr)?-(\d+)e_', name).groups()
    assert cfg.train_dataloader.batch_size == int(batch)
    assert cfg.optim_wrapper.optimizer.type.lower().endswith(optimiser)
    assert cfg.train_cfg.max_epochs == int(epochs)
    assert not amp or cfg.optim_wrapper.type.endswith('AutoPrecisionOptimWrapper')
    if 'scenes' not in name:
        assert cfg.auto_scale_lr.base_batch_size == int(processes) * int(batch)


@pytest.mark.parametrize('name', DOWNSTREAM)
def test_conventions_of_a_task(name):
    """Places of checkpoint and normalisation; every image is scored, in the heads' classes."""
    cfg = parse(name)
    if name in TRAINED:
        init_cfg = cfg.model.backbone.init_cfg
        assert init_cfg.type == 'CMIDPretrained' and init_cfg.checkpoint.endswith('.pth')
    elsewhere = [node for node in nodes(cfg.model) if node is not cfg.model.backbone
                 and isinstance(node.get('init_cfg'), dict)
                 and 'Pretrained' in str(node['init_cfg'].get('type'))]
    assert not elsewhere, 'only the backbone has weights to start from'
    preprocessor = cfg.model.data_preprocessor
    assert len(preprocessor.mean) == len(preprocessor.std)
    assert cfg.get('data_preprocessor') is None
    assert not any('Normalize' in str(node.get('type'))
                   for loader in LOADERS for node in nodes(cfg.get(loader)))
    assert not any(node.get('type') == 'ResNetV1c' for node in nodes(cfg.model))
    for part in ('val', 'test') if name in TRAINED else ('test', ):
        loader = cfg[f'{part}_dataloader']
        assert cfg.get(f'{part}_evaluator') and cfg.get(f'{part}_cfg') is not None
        assert not loader.get('drop_last') and 'indices' not in loader.dataset
    heads = [node.num_classes for node in nodes(cfg.model) if 'num_classes' in node]
    for dataset in datasets_of(cfg) if heads else ():
        classes = dataset.get('metainfo', {}).get('classes')
        assert not classes or {len(classes)} == set(heads)


def test_every_task_has_its_recipes():
    wanted = {f'{key.split("-")[0]}/{backbone}_{protocol}_{key}.py'
              for backbone in ('resnet50', 'swin-base', 'vit-base')
              for protocol in ('finetune_1xb16-amp-adan-200e', 'linear_1xb64-sgd-90e', 'knn')
              for key in ('ucm-80', 'aid-20', 'aid-50', 'nwpu-10', 'nwpu-20')}
    assert {f'classification/{name}' for name in wanted} <= set(LEAVES)
    for task in list(SCOPES)[1:-1]:
        own = [name for name in DOWNSTREAM if name.startswith(f'{task}/')]
        for part in ('r(esnet)?50_', 'swin-base_', 'folder', 'scenes'):
            assert any(re.search(part, name) for name in own), (task, part)


# ---------------------------------------------------------------- the paper's numbers

SGD = dict(type='SGD', momentum=0.9, weight_decay=1e-4)
WARMUP = {'param_scheduler.0.end': 500, 'param_scheduler.0.start_factor': 1 / 3,
          'param_scheduler.1.milestones': [8, 11], 'param_scheduler.1.gamma': 0.1,
          'optim_wrapper.clip_grad.max_norm': 35}
SETTINGS = {
    'cmid/*': {
        'train_dataloader.drop_last': True, 'auto_scale_lr.rule': 'linear',
        'auto_scale_lr.enable': True},
    'cmid/cmid_*00e_[mp]*': {'auto_scale_lr.base_batch_size': 256},
    'cmid/cmid_swin_pretrain*': {
        'model.backbone.type': 'SwinTransformer', 'model.backbone.arch': 'base',
        'train_cfg.max_epochs': 200, 'optim_wrapper.optimizer.lr': 4e-3,
        'train_dataloader.batch_size': 32,
        'train_dataloader.dataset.data_root': 'data/millionaid/test'},
    'classification/*/*_finetune_*': {
        'optim_wrapper.optimizer': dict(
            type='Adan', lr=0.003125, betas=(0.98, 0.92, 0.99), weight_decay=0.02),
        'train_cfg.val_interval': 1, 'param_scheduler.0.warmup': 5,
        'param_scheduler.0.warmup_factor': 0.01, 'param_scheduler.0.eta_min': 1e-6,
        'model.head.loss': dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        'model.train_cfg.augments': [
            dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)],
        'default_hooks.checkpoint.save_best': 'auto'},
    'classification/*/swin-base_finetune_*': {'model.backbone.drop_path_rate': 0.5},
    'classification/*/*_linear_*': {
        'model.train_cfg': None, 'model.head.loss': dict(type='CrossEntropyLoss')},
    'classification/*/swin-base_linear_*': {'model.backbone.drop_path_rate': 0},
    'segmentation/*_vaihingen.py': {'train_dataloader.dataset.type': 'ISPRSDataset'},
    'segmentation/*50e_[pv]*': {
        'train_cfg.val_interval': 5, 'model.test_cfg.mode': 'whole',
        'model.decode_head.type': 'UPerHead', 'model.decode_head.channels': 512,
        'model.decode_head.pool_scales': (1, 2, 3, 6), 'model.decode_head.num_classes': 5,
        'model.decode_head.dropout_ratio': 0.1,
        'model.decode_head.loss_decode.loss_weight': 1.0,
        'model.auxiliary_head.type': 'FCNHead', 'model.auxiliary_head.channels': 256,
        'model.auxiliary_head.in_index': 2, 'model.auxiliary_head.num_convs': 1,
        'model.auxiliary_head.loss_decode.loss_weight': 0.4,
        'train_pipeline.2': dict(type='RandomResize', scale=(512, 512),
                                 ratio_range=(0.5, 2.0), keep_ratio=True),
        'train_pipeline.3': dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
        'train_pipeline.4': dict(type='RandomFlip', prob=0.5),
        'train_pipeline.5': dict(type='PhotoMetricDistortion')},
    'segmentation/*_r50_*': {
        'optim_wrapper.optimizer': dict(SGD, lr=0.01),
        'model.backbone.strides': (1, 2, 2, 2), 'model.backbone.dilations': (1, 1, 1, 1)},
    'segmentation/*-base_*': {
        'optim_wrapper.optimizer': dict(
            type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01)},
    'segmentation/*_swin-base_*': {'model.backbone.drop_path_rate': 0.3},
    'change_detection/*200e_*': {
        'param_scheduler': [dict(type='PolyLR', power=1.0, eta_min=0.0, begin=0, end=202,
                                 by_epoch=True)],
        'val_evaluator.type': 'mmpretrain.ChangeMetric',
        'test_evaluator.type': 'mmpretrain.ChangeMetric'},
    'change_detection/*200e_*[cd]d.py': {
        'train_pipeline.2.rotate_prob': 0.0, 'train_pipeline.2.flip_prob': 0.75},
    'change_detection/*_r50_*': {
        'optim_wrapper.optimizer': dict(
            type='SGD', lr=0.002, momentum=0.99, weight_decay=5e-4)},
    'change_detection/*-base_*': {
        'optim_wrapper.optimizer': dict(
            type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01)},
    'change_detection/opencd/bit_*200e_*': {
        'model.decode_head.type': 'BITHead', 'model.decode_head.channels': 32,
        'model.decode_head.token_len': 4, 'model.decode_head.enc_depth': 1,
        'model.decode_head.dec_depth': 8, 'model.decode_head.num_heads': 8,
        'model.decode_head.pre_upsample': 2, 'model.decode_head.upsample_size': 8},
    'change_detection/opencd/bit_r50_*': {'model.backbone.num_stages': 3},
    'change_detection/opencd/bit_swin-base_*': {'model.backbone.arch.depths': [2, 2, 18]},
    '*detection/*12e_d*': WARMUP,
    '*detection/*_r50_fpn_*': {
        'optim_wrapper.optimizer': dict(SGD, lr=0.005),
        'model.backbone.frozen_stages': 1, 'model.backbone.norm_eval': True},
    '*detection/*_swin-base_fpn_*': {
        'optim_wrapper.optimizer': dict(type='AdamW', lr=1e-4, weight_decay=0.05),
        'model.backbone.drop_path_rate': 0.3},
    'detection/*': {'custom_hooks.0.type': 'mmpretrain.PreflightHook'},
    'oriented_detection/*_dota*': {
        'model.rpn_head.anchor_generator.scales': [8],
        'model.rpn_head.anchor_generator.strides': [4, 8, 16, 32, 64],
        'model.rpn_head.bbox_coder.angle_version': 'le90',
        'model.rpn_head.loss_bbox.beta': 1 / 9,
        'model.roi_head.bbox_head.num_classes': 15,
        'model.roi_head.bbox_head.loss_bbox.beta': 1,
        'model.train_cfg.rpn_proposal.nms_pre': 2000,
        'model.train_cfg.rpn_proposal.nms.iou_threshold': 0.8,
        'model.test_cfg.rpn.max_per_img': 2000, 'model.test_cfg.rpn.nms.iou_threshold': 0.8,
        'model.test_cfg.rcnn.nms': dict(type='nms_rotated', iou_threshold=0.1),
        'model.test_cfg.rcnn.score_thr': 0.05, 'model.test_cfg.rcnn.max_per_img': 2000,
        'train_pipeline.4.prob': 0.75,
        'train_pipeline.4.direction': ['horizontal', 'vertical', 'diagonal']},
    'oriented_detection/*_dota.py': {
        'train_dataloader.dataset.ann_file': 'trainval/annfiles/',
        'test_dataloader.dataset.data_prefix.img_path': 'test/images/',
        'test_evaluator.format_only': True, 'test_evaluator.merge_patches': True},
    'oriented_detection/*_dota-val.py': {
        'train_dataloader.dataset.ann_file': 'train/annfiles/',
        'test_dataloader.dataset.ann_file': 'val/annfiles/'},
}


@pytest.mark.parametrize('pattern', SETTINGS)
def test_settings_of_the_paper(pattern):
    names = [name for name in LEAVES if fnmatch(name, pattern)]
    assert names or pattern.startswith('detection') and not find_spec('mmdet')
    for name in names:
        for path, value in SETTINGS[pattern].items():
            assert get(parse(name), path) == value, (name, path)


@pytest.mark.parametrize('name, other', [
    (name, re.sub('aid-[25]0|nwpu-[12]0|aid/|nwpu/', lambda found: (
        'ucm/' if '/' in found[0] else 'ucm-80'), name))
    for name in DOWNSTREAM if re.search('(aid|nwpu)/', name)] + [
    (name, re.sub('vaihingen', 'potsdam', re.sub('levir-cd', 'cdd', name)))
    for name in DOWNSTREAM if 'vaihingen' in name or 'levir-cd' in name])
def test_recipes_of_one_kind_differ_in_their_data_only(name, other):
    def kind(name):
        # open-cd reads its data sets with classes and endings of their own
        found = json.loads(signature(name).replace('SVCD_Dataset', 'LEVIR_CD_Dataset').replace(
            'ISPRSDataset', 'PotsdamDataset'))
        for node in nodes(found):
            node.pop('img_suffix', None), node.pop('seg_map_suffix', None)
        return found

    assert kind(name) == kind(other)


@pytest.mark.parametrize('name', [name for name in DOWNSTREAM if re.search(
    r'classification/\w+/', name)])
def test_lists_are_those_of_the_name(name):
    key, share = Path(name).stem.rpartition('_')[2].split('-')
    found = [dataset.ann_file for dataset in datasets_of(parse(name))]
    train, test = f'splits/train_{share}.txt', f'splits/test_{share}.txt'
    assert found == ([train, test] * 2 if 'knn' in name else [train, test, test])
    assert {dataset.data_root for dataset in datasets_of(parse(name))} == {f'data/{key}'}
    if 'knn' in name:
        parts = parse(name).test_dataloader.dataset.datasets
        assert [part.split for part in parts] == ['gallery', 'query']


def test_generated_scenes_have_the_classes_of_the_generator():
    from cmid_mm.datasets.scenes import SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
    for dataset in datasets_of(parse('segmentation/upernet_r18_1xb8-adamw-10e_scenes.py')):
        assert tuple(dataset.metainfo.classes) == SEGMENTATION_CLASSES
        assert tuple(map(tuple, dataset.metainfo.palette)) == SEGMENTATION_PALETTE


# ---------------------------------------------------------------- models, steps and tests

#: Parameters of the backbones, without the position table, whose size is that of the image.
PARAMETERS = dict(resnet50=23_508_032, swin=86_743_224, vit=85_647_360, convnext=27_820_128)


@pytest.fixture
def framework():
    """Imports what a config needs, or skips."""
    def enter(name):
        scope = scope_of(name)
        pytest.importorskip(scope)
        init_default_scope(scope)
        for module in parse(name).custom_imports['imports']:
            pytest.importorskip(module)
    return enter


@pytest.mark.parametrize('name', first_of_each(LEAVES, network))
def test_builds_in_full_size(name, framework, monkeypatch):
    framework(name)
    # rates of stochastic depth are numbers
    monkeypatch.setattr('torch.linspace', functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'):
        backbone = MODELS.build(load(name).model).backbone
    found = sum(value.numel() for key, value in backbone.named_parameters()
                if key != 'pos_embed')
    key = re.search('resnet50|_r50|swin|vit|convnext', name)
    if key and '/bit_' not in name:
        # with norms of the inner stages where several maps are read
        inner = 2 * (128 + 256 + 512) if key[0] == 'swin' and hasattr(backbone, 'norm0') else 0
        assert found == PARAMETERS[key[0].replace('_r50', 'resnet50')] + inner


@pytest.mark.parametrize('name', first_of_each(PRETRAINING, network))
def test_pretraining_takes_a_step(name):
    cfg = thin(load(name))
    # 20 pairs of cells
    cfg.model.image_size = max(96, 20 * cfg.model.data_preprocessor.mask_cell // 4)
    if cfg.model.backbone.type != 'ResNet':
        cfg.model.backbone.pop('drop_path_rate', None)
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    if cfg.model.data_preprocessor.mean is None:
        # what MeasureStatisticsHook does at the start of a training
        model.data_preprocessor.mean.fill_(100)
        model.data_preprocessor.std.fill_(50)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for group in wrapper.param_groups:
        # the peak of the full batch is no rate for two images
        group['lr'] = 1e-4
    before = model.decoder.project.weight.detach().clone()
    losses = model.train_step(loader_batch(2, cfg.model.image_size), wrapper)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in losses.values())
    assert not torch.equal(model.decoder.project.weight, before)


@pytest.mark.parametrize('name', first_of_each(PRETRAINING, lambda name: str(
    parse(name).train_pipeline)))
def test_data_and_probes_of_pretraining_build(name, tmp_path):
    from mmpretrain.registry import DATASETS, METRICS
    cfg = on_data(load(name), tmp_path, counts=(6, 6))
    views = next(step for step in cfg.train_pipeline if step.type == 'CMIDTwoViews')
    assert views.size == cfg.model.image_size
    assert cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 12
    test = DATASETS.build(cfg.test_dataloader.dataset)
    splits = [test[i]['data_samples'].split for i in range(len(test))]
    assert splits == ['gallery'] * 10 + ['query'] * 2
    # the toy recipe is probed on larger images than its views
    assert test[0]['inputs'].shape[-1] == (96 if 'toy' in name else cfg.model.image_size)
    METRICS.build(cfg.test_evaluator)
    prefixes = [METRICS.build(metric).prefix for metric in cfg.probe_evaluator]
    assert prefixes == ['student_knn', 'student_linear', 'teacher_knn', 'teacher_linear']


STUDENTS = dict(
    r18='cmid_resnet18_toy', r50='cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid',
    swin='cmid_swin_pretrain', vit='cmid_vit-base_8xb32-amp-adan-coslr-200e_millionaid')
DETECTION_LOSSES = {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'}
#: Losses of a step, by scope, and metrics of a test, by evaluator.
LOSSES = dict(mmpretrain={'loss'}, mmseg={'decode.loss_ce', 'aux.loss_ce'},
              mmdet=DETECTION_LOSSES, mmrotate=DETECTION_LOSSES, opencd={'decode.loss_ce'})
METRICS = dict(
    Accuracy={'accuracy/top1'}, IoUMetric={'mIoU', 'aAcc', 'mFscore'},
    ChangeMetric={f'change/{name}' for name in ('precision', 'recall', 'f1', 'iou')},
    CocoMetric={'coco/bbox_mAP_50'}, RotatedCocoMetric={'r_coco/bbox_mAP'},
    DOTAMetric={'dota/mAP'})


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Path and tensors of thin backbones, as pre-training exports them."""
    @functools.cache
    def export(student):
        cfg = thin(load(f'cmid/{STUDENTS[student]}.py'))
        backbone = MODELS.build(dict(cfg.model.backbone, _scope_='mmpretrain'))
        with torch.no_grad():
            # large enough for features of two images to differ by more than rounding
            for value in backbone.parameters():
                value.normal_(std=0.1)
        state = backbone.state_dict()
        path = tmp_path_factory.mktemp('exported') / f'{student}.pth'
        torch.save(dict(state_dict={f'backbone.{key}': value for key, value in state.items()},
                        meta=dict(encoder='student')), path)
        return str(path), state
    return export


def student_of(name):
    return re.search('r18|r50|swin|vit', name.replace('resnet', 'r'))[0]


@pytest.mark.parametrize('name', first_of_each(TRAINED, signature))
def test_starts_from_the_backbone_takes_a_step_and_is_tested(
        name, framework, exported, tmp_path, monkeypatch):
    framework(name)
    if scope_of(name) == 'mmrotate':
        import multiprocessing.dummy
        # the metric starts four processes, each of which imports everything
        monkeypatch.setattr('mmrotate.evaluation.functional.mean_ap.get_context',
                            lambda _: multiprocessing.dummy)
    cfg = on_data(small(thin(load(name))), tmp_path)
    path, state = exported(student_of(name))
    cfg.model.backbone.init_cfg = dict(type='CMIDPretrained', checkpoint=path)
    if name.startswith('classification/resnet18'):
        cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
    if cfg.test_evaluator.get('format_only'):
        cfg.test_evaluator.outfile_prefix = str(tmp_path / 'submission' / 'Task1')
    losses, metrics, runner, start = train_and_test(cfg, tmp_path / 'work')

    arrived = {key[9:]: value for key, value in start.items() if key.startswith('backbone.')}
    for key in set(arrived) & set(state):
        # tables of positions are resized
        assert 'pos_embed' in key or torch.equal(arrived[key], state[key]), key
    assert {key.split('.')[0] for key in set(arrived) - set(state)} <= {
        'norm0', 'norm1', 'norm2'}
    stages = {key for key in set(state) - set(arrived)}
    assert not stages or 'bit_' in name and all(
        re.match(r'layer[34]|stages\.[23]|norm3', key) for key in stages)

    assert set(losses) >= LOSSES[scope_of(name)]
    if cfg.test_evaluator.get('format_only'):
        with zipfile.ZipFile(tmp_path / 'submission' / 'Task1' / 'Task1.zip') as file:
            assert file.namelist() == [f'Task1_{name}.txt' for name in DOTA]
    else:
        for key in METRICS[cfg.test_evaluator.type.rpartition('.')[2]]:
            assert 0 <= metrics[key] <= 100
    if 'detection/' in name and 'change' not in name:
        # the image without boxes is not trained on, and tested all the same
        assert len(runner.train_dataloader.dataset) == 2
        assert len(runner.test_dataloader.dataset) == 3
    trainable = {key for key, value in runner.model.named_parameters() if value.requires_grad}
    if '_linear_' in name:
        assert trainable == {'head.fc.weight', 'head.fc.bias'}
        end = runner.model.state_dict()
        assert all(torch.equal(end[key], value) for key, value in start.items()
                   if key.startswith('backbone.')), 'frozen, running statistics too'
    elif name.startswith('classification'):
        assert trainable == {key for key, _ in runner.model.named_parameters()}


@pytest.mark.parametrize('name', first_of_each(
    [name for name in DOWNSTREAM if '-base_' in name and name in TRAINED
     and not name.startswith('classification')],
    lambda name: json.dumps([scope_of(name), parse(name).optim_wrapper.paramwise_cfg])))
def test_norms_and_tables_do_not_decay(name, framework):
    framework(name)
    cfg = thin(load(name))
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(value): key for key, value in model.named_parameters()}
    still = {names[id(group['params'][0])] for group in wrapper.param_groups
             if not group['weight_decay']}
    norms = {f'{key}.{part}' for key, module in model.named_modules()
             if type(module).__name__ in ('LayerNorm', 'BatchNorm2d')
             for part, _ in module.named_parameters(recurse=False)}
    tables = {key for key in names.values() if 'relative_position_bias_table' in key}
    assert still - norms - tables <= {'backbone.pos_embed', 'backbone.cls_token'}
    assert norms | tables <= still


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize('name, epochs, expected', [
    # a tenth of the rate first, the cosine's value after 100 steps of 10 an epoch
    ('segmentation/upernet_r50_1xb8-amp-sgd-50e_potsdam.py', 50,
     lambda step: 0.001 if step == 0 else None if step < 100 else
     1e-6 + (0.01 - 1e-6) * (1 + math.cos(math.pi * step / 500)) / 2),
    ('change_detection/siamese-upernet_r50_1xb8-sgd-200e_cdd.py', 200,
     lambda step: 0.002 * (1 - step // 10 / 201))])
def test_rates_follow_the_schedule(name, epochs, expected):
    from mmengine.registry import PARAM_SCHEDULERS
    cfg = parse(name)
    optimizer = torch.optim.SGD(
        [torch.zeros(1, requires_grad=True)], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(settings, default_args=dict(optimizer=optimizer, epoch_length=10))
        for settings in cfg.param_scheduler]
    for step in range(10 * epochs):
        wanted = expected(step)
        if wanted is not None:
            rate = optimizer.param_groups[0]['lr']
            assert rate == pytest.approx(wanted, rel=1e-2, abs=2e-6), step
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or step % 10 == 9:
                scheduler.step()


@pytest.mark.parametrize('name', first_of_each(
    [name for name in TRAINED if '_linear_' not in name],
    lambda name: json.dumps([scope_of(name), parse(name).optim_wrapper])))
def test_options_of_fine_tuning_suit_every_recipe(name, framework):
    framework(name)
    cfg = thin(load(name))
    cfg.merge_from_dict({
        'optim_wrapper.constructor': 'LayerDecayOptimWrapperConstructor',
        'optim_wrapper.paramwise_cfg.layer_decay': 0.5})
    wrapper = build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper)
    rates = {group['layer']: group['lr'] for group in wrapper.optimizer.param_groups}
    paramwise = cfg.optim_wrapper.paramwise_cfg
    head = paramwise.get('custom_keys', {}).get('head', {}).get('lr_mult', 1)
    backbone = paramwise.get('backbone_lr_mult', 1)
    peak = cfg.optim_wrapper.optimizer.lr
    # the stem may be frozen
    assert list(rates)[0] == 'head' and len(rates) >= 4
    assert list(rates.values()) == pytest.approx(
        [peak * head, *(peak * backbone * 0.5**i for i in range(1, len(rates)))])
    assert cfg.default_hooks.freeze_backbone.iters == 0
