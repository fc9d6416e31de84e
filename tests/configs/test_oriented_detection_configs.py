"""Every oriented detection config takes a step and a test, where mmrotate is installed."""
import multiprocessing.dummy
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from box_trees import coco_tree, text_tree, thin
from downstream_steps import small, train_and_test
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, init_default_scope

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'oriented_detection'
LEAVES = sorted(FOLDER.glob('*.py'))
SUBMISSION = sorted(FOLDER.glob('*_dota.py'))
TEXT_FOLDER = next(FOLDER.glob('*text-folder.py'))
QUADS = next(FOLDER.glob('*12e_folder.py'))
DOTA = ('plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
        'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
        'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter')


@pytest.fixture
def mmrotate(mmpretrain_scope, monkeypatch):
    module = pytest.importorskip('mmrotate', reason='mmrotate is not installed')
    init_default_scope('mmrotate')
    # the metric starts four processes, each of which imports everything
    monkeypatch.setattr('mmrotate.evaluation.functional.mean_ap.get_context',
                        lambda _: multiprocessing.dummy)
    return module


def loaders(cfg):
    return cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader


def classes_of(cfg):
    return cfg.train_dataloader.dataset.get('metainfo', dict(classes=DOTA))['classes']


def on_a_small_set(path, root):
    """A config on three small images, with a thin backbone."""
    cfg = thin(small(Config.fromfile(path)))
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1)
    for loader in loaders(cfg):
        tree = text_tree if loader.dataset.type == 'DOTADataset' else coco_tree
        tree(root, loader.dataset, classes_of(cfg))
    if cfg.test_evaluator.get('format_only'):
        cfg.test_evaluator.outfile_prefix = str(root / 'submission' / 'Task1')
    return cfg


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_takes_a_step_and_a_test(mmrotate, path, tmp_path):
    cfg = on_a_small_set(path, tmp_path)
    losses, metrics, runner = train_and_test(cfg, tmp_path / 'work')
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'} <= set(losses)
    # the image without boxes trains nobody, and is tested all the same
    assert len(runner.train_dataloader.dataset) == 2
    assert len(runner.test_dataloader.dataset) == 3
    if path not in SUBMISSION:
        name = 'dota/mAP' if cfg.test_evaluator.type == 'DOTAMetric' else 'r_coco/bbox_mAP'
        assert 0 <= metrics[name] <= 1
        return
    with zipfile.ZipFile(tmp_path / 'submission' / 'Task1' / 'Task1.zip') as file:
        assert file.namelist() == [f'Task1_{name}.txt' for name in DOTA]


@pytest.mark.parametrize('path', [QUADS, TEXT_FOLDER], ids=['coco', 'text'])
def test_a_tilted_quadrilateral_arrives_as_the_same_box(mmrotate, path, tmp_path):
    """A rectangle of 30 x 12, turned by 30 degrees, in the image of twice the size."""
    cfg = Config.fromfile(path).train_dataloader
    dataset = cfg.dataset
    tree = text_tree if path == TEXT_FOLDER else coco_tree
    tree(tmp_path, dataset, dataset.metainfo.classes)
    turn = np.deg2rad(30)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    quad = (32 + np.array([(-15, -6), (15, -6), (15, 6), (-15, 6)]) @ axes).ravel()
    info = DATASETS.build(dict(dataset, pipeline=[])).get_data_info(0)
    if path == QUADS:
        info['instances'][0]['mask'] = [quad.tolist()]
    else:
        info['instances'][0]['bbox'] = quad.tolist()
    # without the flip, whose outcome is random
    for step in (step for step in dataset.pipeline if 'Flip' not in step.type):
        if 'Resize' in step.type:
            step.scale = (128, 128)
        info = TRANSFORMS.build(step)(info)
    boxes = info['data_samples'].gt_instances.bboxes.regularize_boxes('le90')
    assert boxes[0].tolist() == pytest.approx([64, 64, 60, 24, turn], abs=1e-2)


@pytest.mark.parametrize('path', [QUADS, TEXT_FOLDER], ids=['coco', 'text'])
def test_the_metric_sees_place_and_angle(mmrotate, path, tmp_path):
    """Boxes of 30 x 20, 6 pixels aside: 480 of 720 shared; turned too: 380 of 820."""
    from mmrotate.registry import METRICS
    cfg = Config.fromfile(path)
    dataset = cfg.val_dataloader.dataset
    tree = text_tree if path == TEXT_FOLDER else coco_tree
    tree(tmp_path, dataset, dataset.metainfo.classes)
    dataset = DATASETS.build(dataset)
    scores = []
    for turn, shift in ((0, 0), (0, 6), (np.pi / 2, 6)):
        metric = METRICS.build(cfg.val_evaluator)
        metric.dataset_meta = dataset.metainfo
        for i in range(len(dataset)):
            sample = dataset[i]['data_samples']
            truth = sample.gt_instances
            boxes = truth.bboxes.tensor.clone()
            boxes += torch.tensor([shift, 0, 0, 0, turn])
            entry = dict(
                sample.to_dict(), gt_instances=dict(bboxes=truth.bboxes.tensor,
                                                    labels=truth.labels),
                ignored_instances=dict(bboxes=boxes[:0], labels=truth.labels[:0]),
                pred_instances=dict(bboxes=boxes, labels=truth.labels,
                                    scores=torch.ones(len(boxes))))
            metric.process({}, [entry])
        results = metric.evaluate(len(dataset))
        scores.append(results.get('dota/AP50', results.get('r_coco/bbox_mAP_50')))
    assert scores == pytest.approx([1, 1, 0], abs=1e-3)


def test_model_is_that_of_the_paper():
    for path in LEAVES:
        cfg = Config.fromfile(path)
        if 'dota' not in path.stem:
            continue
        model = cfg.model
        assert model.rpn_head.anchor_generator.scales == [8]
        assert model.rpn_head.anchor_generator.strides == [4, 8, 16, 32, 64]
        assert model.rpn_head.bbox_coder.angle_version == 'le90'
        assert model.rpn_head.loss_bbox.beta == pytest.approx(1 / 9)
        assert model.roi_head.bbox_head.num_classes == 15
        assert model.roi_head.bbox_head.loss_bbox.beta == 1
        for part in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
            assert (part.nms_pre, part.max_per_img, part.nms.iou_threshold) == (2000, 2000, .8)
        last = model.test_cfg.rcnn
        assert last.nms == dict(type='nms_rotated', iou_threshold=0.1)
        assert last.score_thr == 0.05 and last.max_per_img == 2000
        flip = next(step for step in cfg.train_dataloader.dataset.pipeline
                    if 'Flip' in step.type)
        assert flip.prob == 0.75 and len(flip.direction) == 3
        warmup, steps = cfg.param_scheduler
        assert (warmup.end, steps.milestones) == (500, [8, 11])
        assert cfg.train_dataloader.batch_size == 2 and cfg.train_cfg.max_epochs == 12
        assert cfg.optim_wrapper.clip_grad.max_norm == 35
        if 'resnet50' in path.stem:
            assert cfg.optim_wrapper.optimizer == dict(
                type='SGD', lr=0.005, momentum=0.9, weight_decay=1e-4)
            assert model.backbone.frozen_stages == 1 and model.backbone.norm_eval
        else:
            assert cfg.optim_wrapper.optimizer == dict(
                type='AdamW', lr=1e-4, weight_decay=0.05)
            assert model.backbone.drop_path_rate == 0.3


def test_the_submission_trains_on_everything_that_has_labels():
    for path in SUBMISSION:
        cfg = Config.fromfile(path)
        assert cfg.train_dataloader.dataset.ann_file == 'trainval/annfiles/'
        assert 'ann_file' not in cfg.test_dataloader.dataset
        assert cfg.test_dataloader.dataset.data_prefix.img_path == 'test/images/'
        assert cfg.test_evaluator.format_only and cfg.test_evaluator.merge_patches
        own = Config.fromfile(path.with_name(path.name.replace('_dota', '_dota-val')))
        assert own.train_dataloader.dataset.ann_file == 'train/annfiles/'
        assert own.test_dataloader.dataset.ann_file == 'val/annfiles/'
        assert own.model == cfg.model and own.optim_wrapper == cfg.optim_wrapper


@pytest.mark.parametrize('name', ['resnet50', 'swin-base'])
def test_an_exported_backbone_fills_the_detectors(mmrotate, name, tmp_path):
    cfg = thin(Config.fromfile(next(FOLDER.glob(f'{name}_*_dota.py'))))
    source = deepcopy(cfg.model.backbone)
    source.update(out_indices=(3, ), _scope_='mmpretrain',
                  type=source.type.rpartition('.')[2])
    trained = MODELS.build(source)
    with torch.no_grad():
        for value in trained.parameters():
            value.normal_(std=0.01)
    state = {f'backbone.{key}': value for key, value in trained.state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(encoder='student')), tmp_path / 'b.pth')
    cfg.model.backbone.init_cfg = dict(
        type='CMIDPretrained', checkpoint=str(tmp_path / 'b.pth'))
    model = MODELS.build(cfg.model)
    model.init_weights()
    found = model.backbone.state_dict()
    for key, value in trained.state_dict().items():
        assert torch.equal(found[key], value), key
    assert {key.split('.')[0] for key in set(found) - set(trained.state_dict())} <= {
        'norm0', 'norm1', 'norm2'}
