"""Boxes of a COCO file: what is read, and which files are refused in one line."""
import json

import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS
from small_configs import coco_files, coco_of, load

from cmid_mm.utils.errors import CMIDError

pytest.importorskip('mmdet')


@pytest.fixture(autouse=True)
def mmdet_scope(mmpretrain_scope):
    init_default_scope('mmdet')


@pytest.fixture
def content():
    """A tree in the first image, a car in the second, nothing in the third."""
    return coco_of([f'P000{i}__64__0___0.png' for i in range(3)], ('tree', 'car'))


def dataset_of(content, root, **changes):
    """The folder config's training set, on a file of this content."""
    cfg = load('detection/faster-rcnn_r50_fpn_1xb2-sgd-12e_folder.py').train_dataloader.dataset
    cfg.update(data_root=str(root), metainfo=dict(classes=('tree', 'car')))
    coco_files(root, cfg).write_text(
        content if isinstance(content, str) else json.dumps(content))
    return DATASETS.build(dict(cfg, **changes))


def test_labels_follow_names_whatever_the_ids(content, tmp_path):
    dataset = dataset_of(content, tmp_path)
    assert [dataset[i]['data_samples'].gt_instances.labels.tolist() for i in range(2)] == [
        [0], [1]]
    one = dataset_of(content, tmp_path, metainfo=dict(classes=('car', )))
    assert len(one) == 1, 'the image with a tree only'
    assert one[0]['data_samples'].gt_instances.labels.tolist() == [0]


def test_degenerate_boxes_are_left_out(content, tmp_path):
    content['annotations'] += [
        dict(content['annotations'][0], id=10 + i, bbox=box, area=area)
        for i, (box, area) in enumerate([
            ([5, 5, 0, 9], 0), ([5, 5, 0.5, 9], 4.5), ([80, 5, 9, 9], 81)])]
    dataset = dataset_of(content, tmp_path)
    assert [len(dataset[i]['data_samples'].gt_instances) for i in range(2)] == [1, 1]


def changed(change):
    def apply(content):
        change(content)
        return content
    return apply


@pytest.mark.parametrize('change, message', [
    (lambda _: '{"images": [', 'JSON'),
    (lambda _: '[]', '"images"'),
    (lambda c: {key: value for key, value in c.items() if key != 'annotations'},
     '"annotations"'),
    (changed(lambda c: c.update(annotations=[])), 'no usable box'),
    (changed(lambda c: c.update(images=[], annotations=[])), 'no images'),
    (changed(lambda c: c['images'][1].update(file_name='gone.png')), r'1 .*train/gone.png'),
    (changed(lambda c: c['images'][1].update(file_name='../val/a.png')),
     r'"../val/a.png" .*allow_outside=True'),
    (changed(lambda c: c['images'][1].update(file_name='/etc/a.png')), '/etc/a.png'),
    (changed(lambda c: c['images'][1].update(file_name=7)), 'file_name 7'),
    (changed(lambda c: c['categories'][0].update(name='bush')), 'tree'),
    (changed(lambda c: c['categories'].reverse()), r"classes=\('car', 'tree'\)"),
    (changed(lambda c: c['annotations'][1].update(category_id=1)), 'annotation 1 .*cat'),
    (changed(lambda c: c['annotations'][1].update(image_id=44)), 'annotation 1 .*image'),
    (changed(lambda c: c['annotations'][1].update(id=0)), 'id.*0'),
    (changed(lambda c: c['annotations'][1].pop('area')), 'area'),
    (changed(lambda c: c['annotations'][1].update(bbox=[1, 2, 3])), 'bbox'),
])
def test_a_bad_file_is_refused_in_one_line(content, tmp_path, change, message):
    with pytest.raises(CMIDError, match=message) as caught:
        dataset_of(change(content), tmp_path)
    assert '\n' not in str(caught.value) and 'train.json' in str(caught.value)


def test_images_elsewhere_may_be_allowed(content, tmp_path):
    (tmp_path / 'elsewhere.png').touch()
    for name in ('../elsewhere.png', str(tmp_path / 'elsewhere.png')):
        content['images'][0]['file_name'] = name
        dataset = dataset_of(content, tmp_path, allow_outside=True)
        assert dataset.get_data_info(0)['img_path'].endswith('elsewhere.png')


@pytest.mark.parametrize('change, message', [
    (dict(ann_file='none.json'), 'none.json'), (dict(metainfo=None), 'classes')])
def test_a_file_or_classes_that_are_missing(content, tmp_path, change, message):
    with pytest.raises(CMIDError, match=message):
        dataset_of(content, tmp_path, **change)


def test_oriented_boxes_need_quadrilaterals(content, tmp_path):
    assert len(dataset_of(content, tmp_path, oriented=True)) == 2
    for polygons in ([], [[1, 2, 3, 4]], [[1, 1, 5, 5, 9, 9, 5, 5]], dict(counts=[1])):
        content['annotations'][1]['segmentation'] = polygons
        with pytest.raises(CMIDError, match='annotation 1 '):
            dataset_of(content, tmp_path, oriented=True)
        assert len(dataset_of(content, tmp_path)) == 2
