"""Every detection config takes a step and a test; bad annotation files end in one line."""
import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from box_trees import coco_of, coco_tree, thin
from downstream_steps import small, train_and_test
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

pytest.importorskip('mmdet')

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'detection'
LEAVES = sorted(FOLDER.glob('*.py'))
SWIN_TO_DIOR = 'faster-rcnn_swin-base_fpn_1xb2-adamw-12e_dior'
FOLDER_CONFIG = FOLDER / 'faster-rcnn_r50_fpn_1xb2-sgd-12e_folder.py'
SCENES = FOLDER / 'faster-rcnn_r18_fpn_1xb8-adamw-10e_scenes.py'


@pytest.fixture(autouse=True)
def mmdet_scope(mmpretrain_scope):
    init_default_scope('mmdet')


def on_a_small_set(path, root):
    """A config on three small images, with a thin backbone."""
    cfg = thin(small(Config.fromfile(path)))
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        classes = cfg.train_dataloader.dataset.metainfo.classes
        coco_tree(root, loader.dataset, classes)
    return cfg


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_takes_a_step_and_a_test(path, tmp_path):
    cfg = on_a_small_set(path, tmp_path)
    losses, metrics, runner = train_and_test(cfg, tmp_path / 'work')
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'} <= set(losses)
    assert 0 <= metrics['coco/bbox_mAP_50'] <= 1
    # the image without boxes trains nobody, and is scored all the same
    assert len(runner.train_dataloader.dataset) == 2
    assert len(runner.test_dataloader.dataset) == 3
    assert runner.model.roi_head.bbox_head.num_classes == len(
        cfg.train_dataloader.dataset.metainfo.classes)


@pytest.mark.parametrize('name, backbone, channels', [
    ('resnet50', 23_508_032, [256, 512, 1024, 2048]),
    # Swin-B without head, and the norms of the inner stages
    ('swin-base', 86_743_224 + 2 * (128 + 256 + 512), [128, 256, 512, 1024])])
def test_recipes_build_in_full_size(name, backbone, channels):
    cfg = Config.fromfile(next(FOLDER.glob(f'{name}_*_dota.py')))
    model = MODELS.build(cfg.model)
    assert sum(value.numel() for value in model.backbone.parameters()) == backbone
    assert model.neck.in_channels == channels


def test_recipes_have_the_papers_numbers():
    for path in LEAVES:
        if not path.stem.endswith(('dota', 'dior')):
            continue
        cfg = Config.fromfile(path)
        assert cfg.train_cfg.max_epochs == 12 and cfg.train_dataloader.batch_size == 2
        warmup, steps = cfg.param_scheduler
        assert warmup.end == 500 and warmup.start_factor == pytest.approx(1 / 3)
        assert steps.milestones == [8, 11] and steps.gamma == 0.1
        assert cfg.optim_wrapper.clip_grad.max_norm == 35
        optimizer, backbone = cfg.optim_wrapper.optimizer, cfg.model.backbone
        if 'resnet50' in path.stem:
            assert optimizer == dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=1e-4)
            assert backbone.frozen_stages == 1 and backbone.norm_eval
        else:
            assert optimizer == dict(type='AdamW', lr=1e-4, weight_decay=0.05)
            assert backbone.drop_path_rate == 0.3
        assert cfg.model.roi_head.bbox_head.num_classes == len(
            cfg.train_dataloader.dataset.metainfo.classes)


def test_swins_norms_and_tables_are_not_decayed():
    from mmengine.optim import build_optim_wrapper
    cfg = Config.fromfile(FOLDER / f'{SWIN_TO_DIOR}.py')
    model = MODELS.build(thin(cfg).model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(value): name for name, value in model.named_parameters()}
    free = {names[id(group['params'][0])] for group in wrapper.param_groups
            if group['weight_decay'] == 0}
    tables = {name for name in names.values() if 'relative_position_bias_table' in name}
    norms = {name for name in names.values() if 'norm' in name}
    assert len(tables) == 4 and free == tables | norms


@pytest.mark.parametrize('name', ['resnet50', 'swin-base'])
def test_an_exported_backbone_fills_the_detectors(name, tmp_path):
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


def dataset_of(content, root, **changes):
    """The folder config's training set, on a file of this content."""
    cfg = Config.fromfile(FOLDER_CONFIG).train_dataloader.dataset
    cfg.metainfo = dict(classes=('tree', 'car'))
    path = coco_tree(root, cfg, ('tree', 'car'))
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return DATASETS.build(dict(cfg, **changes))


@pytest.fixture
def content():
    names = [f'P000{i}__64__0___0.png' for i in range(3)]
    return coco_of(names, ('tree', 'car'))


def test_labels_follow_names_whatever_the_ids(content, tmp_path):
    dataset = dataset_of(content, tmp_path)
    assert [dataset[i]['data_samples'].gt_instances.labels.tolist() for i in range(2)] == [
        [0], [1]]
    one = dataset_of(content, tmp_path, metainfo=dict(classes=('car', )))
    assert len(one) == 1, 'the image with a tree only'
    assert one[0]['data_samples'].gt_instances.labels.tolist() == [0]


def test_images_arrive_as_rgb(content, tmp_path):
    """A red image stays red up to the preprocessor, which must not swap the channels."""
    import cv2
    import numpy as np
    dataset = dataset_of(content, tmp_path)
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 2] = 255
    assert cv2.imwrite(dataset.get_data_info(0)['img_path'], pixels)
    cfg = Config.fromfile(FOLDER_CONFIG)
    image = dataset[0]['inputs']
    assert image.flatten(1).float().mean(1).tolist() == [255, 0, 0]
    preprocessor = MODELS.build(dict(cfg.model.data_preprocessor))
    out = preprocessor(dict(inputs=[image], data_samples=[dataset[0]['data_samples']]))
    wanted = (255 - 86.182) / 34.655
    assert out['inputs'][0, 0].mean().item() == pytest.approx(wanted, abs=1e-4)


def test_degenerate_boxes_are_left_out(content, tmp_path):
    extra = [dict(content['annotations'][0], id=10 + i, bbox=box, area=area)
             for i, (box, area) in enumerate([
                 ([5, 5, 0, 9], 0), ([5, 5, 0.5, 9], 4.5), ([80, 5, 9, 9], 81)])]
    content['annotations'] += extra
    dataset = dataset_of(content, tmp_path)
    boxes = [dataset[i]['data_samples'].gt_instances.bboxes for i in range(2)]
    assert [len(box) for box in boxes] == [1, 1]


def harmed(change):
    def apply(content):
        change(content)
        return content
    return apply


@pytest.mark.parametrize('change, message', [
    (lambda _: '{"images": [', 'is no json file'),
    (lambda _: '[]', 'has no list "images"'),
    (lambda c: {key: value for key, value in c.items() if key != 'annotations'},
     'has no list "annotations"'),
    (harmed(lambda c: c.update(annotations=[])), 'holds no usable box'),
    (harmed(lambda c: c.update(images=[], annotations=[])), 'lists no images'),
    (harmed(lambda c: c['images'][1].update(file_name='gone.png')),
     r'lists 3 images, of which 1 do not exist, such as .*train/gone.png'),
    (harmed(lambda c: c['images'][1].update(file_name='../val/a.png')),
     r'file_name "../val/a.png" is no path inside .*allow_outside=True'),
    (harmed(lambda c: c['images'][1].update(file_name='/etc/a.png')), 'is no path inside'),
    (harmed(lambda c: c['images'][1].update(file_name=7)), 'file_name 7 is no path inside'),
    (harmed(lambda c: c['categories'][0].update(name='bush')),
     r"\['tree'\] are no categories"),
    (harmed(lambda c: c['categories'].reverse()), r"order .*classes=\('car', 'tree'\)"),
    (harmed(lambda c: c['annotations'][1].update(category_id=1)), 'annotation 1 has cat'),
    (harmed(lambda c: c['annotations'][1].update(image_id=44)), 'annotation 1 has image'),
    (harmed(lambda c: c['annotations'][1].update(id=0)), 'id.s. twice, such as 0'),
    (harmed(lambda c: c['annotations'][1].pop('area')), 'has no area'),
    (harmed(lambda c: c['annotations'][1].update(bbox=[1, 2, 3])), 'bbox of 3 numbers'),
])
def test_a_bad_file_is_refused_in_one_line(content, tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        dataset_of(change(content), tmp_path)
    assert '\n' not in str(caught.value) and 'train.json' in str(caught.value)


def test_images_elsewhere_may_be_allowed(content, tmp_path):
    (tmp_path / 'elsewhere.png').touch()
    for name in ('../elsewhere.png', str(tmp_path / 'elsewhere.png')):
        content['images'][0]['file_name'] = name
        dataset = dataset_of(content, tmp_path, allow_outside=True)
        assert dataset.get_data_info(0)['img_path'].endswith('elsewhere.png')


def test_a_file_that_is_absent_and_classes_that_are_absent(content, tmp_path):
    with pytest.raises(ValueError, match='none.json does not exist: set data_root'):
        dataset_of(content, tmp_path, ann_file='none.json')
    with pytest.raises(ValueError, match='names no classes'):
        dataset_of(content, tmp_path, metainfo=None)


def test_quadrilaterals_are_wanted_where_boxes_are_oriented(content, tmp_path):
    assert len(dataset_of(content, tmp_path, oriented=True)) == 2
    for polygons in ([], [[1, 2, 3, 4]], [[1, 1, 5, 5, 9, 9, 5, 5]], dict(counts=[1])):
        content['annotations'][1]['segmentation'] = polygons
        with pytest.raises(ValueError, match='annotation 1 .* has no quadrilateral'):
            dataset_of(content, tmp_path, oriented=True)
        assert len(dataset_of(content, tmp_path)) == 2


def test_every_detection_config_has_the_hook():
    for path in LEAVES:
        assert dict(type='mmpretrain.ClassCheckHook') in Config.fromfile(path).custom_hooks
