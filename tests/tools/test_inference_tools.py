"""The tools of tools/inference on small files, as they are called from a shell."""
import json
import runpy
import sys

import cv2
import numpy as np
import pytest
import rasterio
import torch
from mmpretrain.registry import MODELS
from test_pretraining_run import REPOSITORY
from tiny_run import tiny_config, write_images

sys.path.insert(0, str(REPOSITORY / 'tests' / 'apis'))
from rasters import (  # noqa: E402
    detection_config,
    landscape,
    save_detector,
    save_segmentor,
    segmentation_config,
    write_raster,
)

TOOLS = REPOSITORY / 'tools' / 'inference'


def call(name, *arguments):
    runpy.run_path(str(TOOLS / f'{name}.py'))['main']([str(word) for word in arguments])


def end_of(name, *arguments):
    """The line that a user sees of a tool that fails."""
    import _errors
    with pytest.raises(SystemExit) as end:
        _errors.run(lambda: call(name, *arguments))
    return end.value.code


@pytest.fixture
def student(tmp_path, monkeypatch):
    """Config and checkpoint of a tiny pre-training, in the current folder, and images."""
    monkeypatch.chdir(tmp_path)
    config = tiny_config(tmp_path)
    config.test_dataloader = dict(dataset=dict(pipeline=[
        dict(type='LoadRSImage', bands=3), dict(type='ResizeEdge', scale=64),
        dict(type='CenterCrop', crop_size=64)]))
    config.model.data_preprocessor.update(mean=[100.] * 3, std=[50.] * 3)
    config.dump('config.py')
    model = MODELS.build(config.model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1)), 'epoch_1.pth')
    return 'config.py', 'epoch_1.pth'


@pytest.fixture
def segmentor(tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    config = segmentation_config()
    save_segmentor(config, 'segmentor.pth')
    config.dump('segmentation.py')
    return 'segmentation.py', 'segmentor.pth'


def test_features(student, capsys):
    call('extract_features', *student, 'images', '--dense', '--encoder', 'teacher')
    with np.load('features.npz') as file:
        assert file['vectors'].shape == (16, 128) and file['maps'].shape == (16, 128, 2, 2)
        np.testing.assert_allclose(file['maps'].mean((2, 3)), file['vectors'], rtol=1e-5)
        assert file['paths'][0] == 'images/00.png'
    assert '16 images, vectors 16 x 128, maps 16 x 128 x 2 x 2' in capsys.readouterr().out


def test_retrieval(student, capsys, tmp_path):
    write_images(tmp_path / 'more' / 'field')
    copy = cv2.imread('images/03.png')
    cv2.imwrite('again.png', copy)
    call('retrieve_scenes', *student, 'again.png', '--collection', 'images', '--save', 'index.npz')
    first = capsys.readouterr().out
    assert '1.000  images/03.png' in first.splitlines()[-8] + first.splitlines()[-7]
    call('retrieve_scenes', *student, 'again.png', '--index', 'index.npz', '--count', 2)
    assert capsys.readouterr().out.count('  images/') == 2
    assert cv2.imread('retrieval.png').shape[1] > 400
    assert 'no such index' in end_of('retrieve_scenes', *student, 'again.png', '--index', 'x.npz')


def test_a_map_of_a_raster(segmentor, tmp_path):
    write_raster('scene.tif', landscape(120, 150))
    call('predict_raster', *segmentor, 'scene.tif', '--out-dir', 'maps', '--tile', 64,
         '--confidence', '--device', 'cpu')
    with rasterio.open('maps/scene_classes.tif') as file:
        assert file.count == 2 and set(np.unique(file.read(1))) <= {0, 1, 2, 3}
        assert file.read(2).max() <= 100 and file.read(2).min() >= 25
    assert cv2.imread('maps/scene_classes.png').shape[1] > 400


def test_objects_of_a_raster(tmp_path, monkeypatch):
    pytest.importorskip('mmcv.ops')
    pytest.importorskip('mmdet')
    monkeypatch.chdir(tmp_path)
    detection_config().dump('detection.py')
    save_detector('detector.pth')
    pixels = np.zeros((90, 200, 3), np.uint8)
    pixels[30:42, 100:110] = 250
    write_raster('scene.tif', pixels)
    call('predict_raster', 'detection.py', 'detector.pth', 'scene.tif', '--out-dir', '.',
         '--tile', 64, '--overlap', 32, '--min-score', 0.1, '--device', 'cpu')
    with open('scene_objects.geojson') as file:
        feature, = json.load(file)['features']
    assert feature['properties'] == dict(
        label='ship', score=0.12, pixels=[[100, 30], [110, 30], [110, 42], [100, 42]])


def test_errors_are_one_line(segmentor, student, tmp_path):
    config, checkpoint = segmentor
    assert 'no such raster: none.tif' in end_of('predict_raster', *segmentor, 'none.tif')
    assert 'no such checkpoint' in end_of('predict_raster', config, 'none.pth', 'none.tif')
    assert 'did you mean segmentation.py' in end_of('predict_raster', 'segmentatio.py',
                                                    checkpoint, 'none.tif')
    segmentation_config(pair=True).dump('change.py')
    assert '1 raster(s) were given' in end_of('predict_raster', 'change.py', checkpoint, 'a.tif')
    assert 'no config of a pre-training' in end_of('extract_features', config, checkpoint, 'images')
    (tmp_path / 'empty').mkdir()
    assert 'holds no image' in end_of('extract_features', *student, 'empty')
    assert 'missing (backbone' in end_of('predict_raster', config, student[1], 'none.tif')
