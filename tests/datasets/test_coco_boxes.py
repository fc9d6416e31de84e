"""Boxes of a COCO file: what is read, and which files are refused in one line."""
import json

import pytest
from damaged_images import refused
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS
from PIL import Image
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
    path = root / cfg.ann_file
    if not path.exists():
        coco_files(root, cfg)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
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


@pytest.mark.parametrize('orientation, lists, message', [
    (6, (40, 64), 'has 64 x 40 pixels, but .* lists 40 x 64: its orientation tag turns it'),
    (6, (64, 40), None), (1, (64, 40), None), (3, (40, 64), 'another version of the image')])
def test_photographs_that_a_tag_turns(content, tmp_path, monkeypatch, orientation, lists, message):
    dataset_of(content, tmp_path)
    lines = []
    monkeypatch.setattr('cmid_mm.datasets.coco_boxes.print_log',
                        lambda line, *args: lines.append(line))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / 'train' / content['images'][0]['file_name']
    Image.new('RGB', (64, 40)).save(file, 'JPEG', exif=exif)
    content['images'][0].update(zip(('width', 'height'), lists))
    if message:
        refused(lambda: dataset_of(content, tmp_path), CMIDError, message, file)
    else:
        dataset_of(content, tmp_path)
        assert ('1 images have an orientation tag' in ''.join(lines)) is (orientation != 1)


def changed(part, number, **values):
    """Change one entry of a list of the file."""
    return lambda content: content[part][number].update(values)


@pytest.mark.parametrize('change, message', [
    (lambda c: c.pop('annotations'), '"annotations"'),
    (lambda c: c['annotations'].clear(), 'no usable box'),
    (lambda c: c.update(images=[], annotations=[]), 'no images'),
    (changed('images', 1, file_name='gone.png'), r'1 .*train/gone.png'),
    (changed('images', 1, file_name='../val/a.png'), r'"../val/a.png" .*allow_outside=True'),
    (changed('images', 1, file_name='/etc/a.png'), '/etc/a.png'),
    (changed('images', 1, file_name=7), 'file_name 7'),
    (changed('categories', 0, name='bush'), 'tree'),
    (lambda c: c['categories'].reverse(), r"classes=\('car', 'tree'\)"),
    (changed('annotations', 1, category_id=1), 'annotation 1 .*cat'),
    (changed('annotations', 1, image_id=44), 'annotation 1 .*image'),
    (changed('annotations', 1, id=0), 'id.*0'),
    (lambda c: c['annotations'][1].pop('area'), 'area'),
    *[(changed('annotations', 1, bbox=box), 'annotation 1 has bbox=.*four numbers') for box in (
        [1, 2, 3], None, ['1', '2', '3', '4'], [1, 2, 3, None], [1, 2, 3, float('nan')])],
    *[(changed('annotations', 1, area=area), 'annotation 1 has area=') for area in (
        None, '12', True)],
    *[(changed('images', 2, width=width), 'image 2 has width=') for width in (None, -1, '64')],
    *[(changed(part, 1, **{key: value}), f'"{part}" has {key}=') for part, key, value in (
        ('images', 'id', [1]), ('annotations', 'image_id', None),
        ('annotations', 'category_id', {}))],
    (changed('images', 1, width=65), 'P0001.* has 64 x 64 pixels, but .* lists 65 x 64'),
    (lambda c: [a.update(iscrowd=1) for a in c['annotations']], '2 with iscrowd or ignore'),
    *[(changed('annotations', 1, segmentation=polygons), 'annotation 1 ') for polygons in (
        [], [[1, 2, 3, 4]], [[1, 1, 5, 5, 9, 9, 5, 5]], dict(counts=[1]))]])
def test_a_bad_file_is_refused_in_one_line(content, tmp_path, change, message):
    change(content)
    oriented = message == 'annotation 1 '
    refused(lambda: dataset_of(content, tmp_path, oriented=oriented), CMIDError, message,
            'train.json')
    if oriented:
        assert len(dataset_of(content, tmp_path)) == 2


@pytest.mark.parametrize('content, changes, message', [
    ('{"images": [', {}, 'JSON'), ('[]', {}, '"images"'), ('', {}, 'JSON'),
    ('', dict(ann_file='none.json'), 'none.json')])
def test_what_is_no_coco_file(content, changes, tmp_path, message):
    refused(lambda: dataset_of(content, tmp_path, **changes), CMIDError, message)


def test_oriented_boxes_and_absent_classes(content, tmp_path):
    assert len(dataset_of(content, tmp_path, oriented=True)) == 2
    with pytest.raises(CMIDError, match='classes'):
        dataset_of(content, tmp_path, metainfo=None)


def test_images_elsewhere_may_be_allowed(content, tmp_path):
    Image.new('RGB', (64, 64)).save(tmp_path / 'elsewhere.png')
    for name in ('../elsewhere.png', str(tmp_path / 'elsewhere.png')):
        content['images'][0]['file_name'] = name
        dataset = dataset_of(content, tmp_path, allow_outside=True)
        assert dataset.get_data_info(0)['img_path'].endswith('elsewhere.png')
