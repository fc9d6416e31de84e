import json
import os

import numpy as np
import pytest
import torch
from rasters import detection_config, save_detector, write_raster

pytest.importorskip('mmcv.ops')
pytest.importorskip('mmdet')

from cmid_mm.apis import DetectionInferencer  # noqa: E402
from cmid_mm.apis.detection_inferencer import boxes_of_tile  # noqa: E402
from cmid_mm.datasets.tiling import cut_axis  # noqa: E402


def field_of_objects(height, width, seed=0, largest=16):
    """A raster with rectangles of up to ``largest`` px, two kinds, and their boxes."""
    draw = np.random.default_rng(seed)
    pixels, boxes = np.zeros((height, width, 3), np.uint8), []
    for top in range(2, height - 20, 20):
        for left in range(2, width - 20, 20):
            if draw.random() < 0.3:
                continue
            box_height, box_width = draw.integers(4, largest + 1, 2)
            kind = int(draw.integers(2))
            pixels[top:top + box_height, left:left + box_width] = (200, 200 * kind, 0)
            boxes.append((left, top, left + box_width, top + box_height, kind))
    return pixels, boxes


def infer(tmp_path, raster, rotated=False, classes=('house', 'ship'), **kwargs):
    config = detection_config()
    config.model.rotated = rotated
    inferencer = DetectionInferencer(config, save_detector(tmp_path / 'detector.pth', classes),
                                     device='cpu', tile=96, overlap=32, show_progress=False)
    return inferencer(raster, tmp_path / 'out', min_score=0., **kwargs)['predictions'][0]


@pytest.mark.parametrize('shape', [(300, 410), (90, 500), (60, 60)])
def test_every_object_is_found_whole_and_once(tmp_path, shape):
    """Objects of up to half the overlap, wherever the tiles are cut; the file has the same."""
    pixels, boxes = field_of_objects(*shape)
    raster = write_raster(tmp_path / 'scene.tif', pixels)
    found = infer(tmp_path, raster)
    names = dict(house=0, ship=1)
    assert sorted(map(tuple, np.column_stack(
        [found['boxes'], [names[label] for label in found['labels']]]).tolist())) == sorted(boxes)
    assert list(found['scores']) == sorted(found['scores'], reverse=True)
    with open(found['boxes_file']) as file:
        features = [feature['properties'] for feature in json.load(file)['features']]
    assert [(entry['label'], *entry['pixels'][0], *entry['pixels'][2]) for entry in features] == [
        (label, *box) for label, box in zip(found['labels'], found['boxes'].tolist())]
    rotated = infer(tmp_path, raster, rotated=True)['boxes'][:, :4].tolist()
    assert sorted(rotated) == sorted(
        [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        for left, top, right, bottom, _ in boxes)


@pytest.mark.parametrize('classes', [('house', ), ()])
def test_classes_without_a_name_are_numbered(tmp_path, classes):
    pixels, boxes = field_of_objects(60, 60)
    found = infer(tmp_path, write_raster(tmp_path / 'scene.tif', pixels), classes=classes)
    names = [*classes, 'class 0', 'class 1'][:1] + ['class 1']
    assert sorted(found['labels']) == sorted(names[kind] for *_, kind in boxes)
    assert len(set(found['labels'])) == 2 and os.path.getsize(found['picture']) > 1000


def test_nothing_to_find(tmp_path):
    raster = write_raster(tmp_path / 'scene.tif', np.zeros((50, 60, 3), np.uint8))
    found = infer(tmp_path, raster)
    assert found['boxes'].shape == (0, 4) and found['labels'] == []
    raster = write_raster(tmp_path / 'empty.tif', np.zeros((50, 60, 3), np.uint8), nodata=0)
    assert infer(tmp_path, raster)['labels'] == []
    with open(tmp_path / 'out' / 'empty_objects.geojson') as file:
        assert json.load(file) == dict(type='FeatureCollection', features=[])


def test_a_box_counts_in_the_part_that_is_left_to_its_tile():
    from mmengine.structures import InstanceData
    row, = cut_axis(50, 96, 32)
    first, second = cut_axis(160, 96, 32)
    # the seam is from 72 to 88: the parts end at 88 and begin at 72
    assert (first.high, first.settled, second.low) == (88, 72, 72)
    boxes = torch.tensor([[0., 0, 10, 10], [60, 0, 80, 10], [80, 0, 94, 10], [86, 0, 96, 10]])
    found = InstanceData(bboxes=boxes, scores=torch.tensor([.9, .8, .7, .6]),
                         labels=torch.zeros(4, dtype=torch.long))
    kept, scores, _, seam = boxes_of_tile(found, row, first, 0.)
    assert scores.tolist() == pytest.approx([.9, .8, .7]) and seam.tolist() == [False, True, True]
    kept, scores, _, seam = boxes_of_tile(found, row, second, 0.65)
    # moved by 64 pixels; the first one's centre lies at 69, in the other's part
    assert kept[:, 0].tolist() == [124, 144] and seam.tolist() == [False, False]
