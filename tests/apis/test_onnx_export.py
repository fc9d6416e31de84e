"""ONNX files compared with the package's own inferencers; what is refused and not kept."""
import json
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from damaged_images import refused
from mmengine.config import Config
from mmpretrain.registry import MODELS
from rasters import MEAN, STD, landscape, save_segmentor, segmentation_config, write_raster
from small_configs import load, thin
from small_models import STUDENTS, build_cmid
from torch import nn

from cmid_mm.apis import FeatureInferencer, onnx_export, onnx_graph
from cmid_mm.apis.onnx_graph import AdaptiveMean
from cmid_mm.datasets.transforms.loading import LoadRSImage
from cmid_mm.utils.errors import CMIDError

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
onnxruntime = pytest.importorskip('onnxruntime')
LOADER = [dict(type='LoadRSImage', bands=3)]


def pretraining(tmp_path, backbone, bands=3, **meta):
    """Config and checkpoint of a pre-training."""
    backbone = dict(backbone, in_channels=bands)
    model = build_cmid(backbone, bands=bands)
    with torch.no_grad():
        for value in model.teacher.parameters():
            value *= 1.01
    path = str(tmp_path / 'epoch_3.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3) | meta), path)
    pipeline = [dict(LOADER[0], bands=bands)]
    return Config(dict(
        default_scope='mmpretrain', model=dict(type='CMID', backbone=backbone, image_size=64),
        train_dataloader=dict(dataset=dict(pipeline=pipeline)))), path


def classification(tmp_path, **head):
    head = dict(type='LinearClsHead', num_classes=5, in_channels=512) | head
    model = dict(
        type='ImageClassifier', backbone=STUDENTS['resnet'], head=head,
        neck=dict(type='GlobalAveragePooling'),
        data_preprocessor=dict(type='ClsDataPreprocessor', mean=MEAN, std=STD))
    config = Config(dict(default_scope='mmpretrain', model=model, test_dataloader=dict(
        dataset=dict(pipeline=[*LOADER, dict(type='CenterCrop', crop_size=64)]))))
    built = MODELS.build(deepcopy(config.model))
    path = str(tmp_path / 'classifier.pth')
    torch.save(dict(state_dict=built.state_dict(), meta=dict(dataset_meta=dict(
        classes=['a', 'b']))), path)
    return config, path


def run(path, image):
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {'image': np.float32(image)})))


def metadata(path):
    session = onnxruntime.InferenceSession(str(path))
    return {key: json.loads(value) for key, value in
            session.get_modelmeta().custom_metadata_map.items()}


def channels_first(images):
    return np.stack(images).transpose(0, 3, 1, 2)


def predicted(ours, images):
    """Probabilities by an inferencer of maps for images (H, W, bands) of its files."""
    from cmid_mm.apis.map_inferencer import probabilities
    if ours.bgr:
        images = [np.flip(image.reshape(*image.shape[:2], ours.dates, -1), -1)
                  .reshape(image.shape).copy() for image in images]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('cmid_mm.apis.map_inferencer.best_precision', lambda: ('float32', ''))
        return np.stack([probabilities(sample) for sample in ours.forward(images)])


# ------------------------------------------------------------------------------- backbones


@pytest.mark.parametrize('name, sizes', [
    ('resnet', [(64, 64), (75, 130)]), ('convnext', [(64, 96)]), ('vit', [(64, 64), (96, 48)]),
    ('swin', [(64, 64)])])
def test_backbones_get_grey_levels_and_give_the_features_of_the_inferencer(
        name, sizes, tmp_path):
    config, path = pretraining(tmp_path, STUDENTS[name])
    done = onnx_export.export_onnx(config, path, str(tmp_path / 'x.onnx'), encoder='teacher')
    ours = FeatureInferencer(config, path, encoder='teacher', device='cpu')
    assert done['inputs']['image'][0] == 'batch'
    assert done['inputs']['image'][2:] == ([64, 64] if name == 'swin' else ['height', 'width'])
    assert bool(done['fixed']) == (name == 'swin')
    for batch in (1, 3):
        for size in sizes:
            images = [landscape(*size, seed=seed) for seed in range(batch)]
            maps = ours.forward(ours.normalise(images)).numpy()
            found = run(tmp_path / 'x.onnx', channels_first(images))
            np.testing.assert_allclose(found['map'], maps, atol=1e-4 * np.abs(maps).max())
            np.testing.assert_allclose(found['vector'], maps.mean((2, 3)),
                                       atol=1e-4 * np.abs(maps).max())
    student = FeatureInferencer(config, path, device='cpu')
    others = student.forward(student.normalise(images)).numpy()
    assert np.abs(others - maps).max() > 1e-3 * np.abs(maps).max()


@pytest.mark.parametrize('stated', [True, False])
def test_raw_values_are_mapped_in_the_graph(stated, tmp_path):
    """By the range of the checkpoint, or that of the config."""
    value_range = [[100., 3000.], [0., 5000.]]
    loading = dict(bands=2, band_indices=None, value_range=value_range if stated else None)
    config, path = pretraining(tmp_path, STUDENTS['resnet'], 2,
                               dataset_meta=dict(loading=loading))
    if not stated:
        config.train_dataloader.dataset.pipeline[0].value_range = value_range
    onnx_export.export_onnx(config, path, str(tmp_path / 'x.onnx'), raw=True)
    pixels = np.random.default_rng(0).integers(0, 6000, (64, 64, 2)).astype(np.float32)
    pixels[:4, :9] = np.nan
    raster = write_raster(tmp_path / 'raw.tif', pixels)
    image = LoadRSImage(bands=2, value_range=value_range).transform(dict(img_path=raster))['img']
    ours = FeatureInferencer(config, path, device='cpu')
    expected = ours.forward(ours.normalise([image])).numpy()
    found = run(tmp_path / 'x.onnx', channels_first([pixels]))['map']
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert metadata(tmp_path / 'x.onnx')['cmid_mm']['input'] == 'raw'


# ------------------------------------------------------------------------------ fine-tuned


def test_classifiers_give_probabilities(tmp_path):
    config, path = classification(tmp_path)
    out = tmp_path / 'x.onnx'
    onnx_export.export_onnx(config, path, str(out))
    images = [landscape(64, 80, seed=seed) for seed in range(2)]
    model = MODELS.build(config.model).eval()
    model.load_state_dict(torch.load(path)['state_dict'])
    samples = model.test_step(dict(inputs=torch.from_numpy(channels_first(images))))
    found = run(out, channels_first(images))['probabilities']
    np.testing.assert_allclose(found, np.stack([sample.pred_score.detach() for sample in samples]),
                               atol=1e-5)
    assert metadata(out)['class_names'] == {'0': 'a', '1': 'b', '2': 'class 2', '3': 'class 3',
                                            '4': 'class 4'}
    assert 'model_type' not in metadata(out)
    done = onnx_export.export_onnx(config, path, str(out), backbone=True)
    assert list(done['outputs']) == ['vector', 'map']


@pytest.mark.parametrize('pair, classes', [(False, 4), (True, 4), (False, 2)])
def test_maps_are_those_of_the_inferencers(pair, classes, tmp_path):
    pytest.importorskip('mmseg')
    from cmid_mm.apis import ChangeInferencer, SegmentationInferencer
    config = segmentation_config(pair, classes)
    if classes == 2:
        config.model.decode_head.update(out_channels=1, threshold=0.4)
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    out = tmp_path / 'x.onnx'
    done = onnx_export.export_onnx(config, path, str(out), size=64, resolution=50.)
    assert done['task'] == ('change' if pair else 'segmentation') and not done['fixed']
    kind = ChangeInferencer if pair else SegmentationInferencer
    ours = kind(config, path, device='cpu', show_progress=False)
    images = [np.concatenate([landscape(70, 50, seed=seed + date) for date in range(1 + pair)], 2)
              for seed in range(2)]
    found = run(out, channels_first(images))['probabilities']
    np.testing.assert_allclose(found, predicted(ours, images), atol=1e-5)
    assert found.shape == (2, 1 if classes == 2 else 4, 70, 50)


@pytest.mark.parametrize('loader, bgr_to_rgb, six', [
    ('LoadImageFromFile', False, False), ('LoadImageFromFile', True, False),
    ('LoadRSImage', True, False), ('LoadRSImagePair', True, False),
    ('MultiImgLoadImageFromFile', False, False), ('MultiImgLoadImageFromFile', True, False),
    ('MultiImgLoadImageFromFile', True, True)])
def test_bands_and_dates_are_in_the_order_of_the_files(loader, bgr_to_rgb, six, tmp_path):
    """mmseg's loaders give BGR; mmseg's preprocessors convert three bands, open-cd's six."""
    pytest.importorskip('mmseg')
    from cmid_mm.apis import ChangeInferencer, SegmentationInferencer
    from cmid_mm.models.segmentors import BandsSegDataPreProcessor

    @MODELS.register_module(name='SixBands', force=True)
    class SixBands(BandsSegDataPreProcessor):
        def forward(self, data, training=False):
            if self.channel_conversion and len(data['inputs'][0]) == 6:
                data = data | dict(inputs=[image[[2, 1, 0, 5, 4, 3]] for image in data['inputs']])
            return super().forward(data, training)

    pair = loader in ('LoadRSImagePair', 'MultiImgLoadImageFromFile')
    config = segmentation_config(pair, loader=dict(type=loader))
    config.model.data_preprocessor.bgr_to_rgb = bgr_to_rgb
    if six:
        config.model.data_preprocessor.type = 'mmpretrain.SixBands'
    if pair:
        config.model.fusion = 'concat'
        config.model.decode_head.update(in_channels=12, channels=12)
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    out = tmp_path / 'x.onnx'
    onnx_export.export_onnx(config, path, str(out), size=64)
    image = landscape(64, 64, 3 * (1 + pair))
    kind = ChangeInferencer if pair else SegmentationInferencer
    expected = predicted(kind(config, path, device='cpu', show_progress=False), [image])
    np.testing.assert_allclose(run(out, channels_first([image]))['probabilities'], expected,
                               atol=1e-5)
    reverse = ('RS' not in loader) != (bgr_to_rgb and (six or not pair))
    stated = metadata(out)['cmid_mm']
    assert stated['mean'] == (MEAN[::-1] if reverse else MEAN) * (1 + pair)
    assert stated['std'] == (STD[::-1] if reverse else STD) * (1 + pair)


def test_backbones_of_mmseg_are_exported(tmp_path):
    """Its Swin calls window_reverse without the size of a window."""
    pytest.importorskip('mmseg')
    from cmid_mm.apis import SegmentationInferencer
    config = segmentation_config()
    config.model.backbone = dict(type='SwinTransformer', embed_dims=16, depths=(1, 2),
                                 num_heads=(1, 2), window_size=2, strides=(4, 2),
                                 out_indices=(0, 1))
    config.model.decode_head.update(in_channels=32, channels=32, in_index=1)
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    onnx_export.export_onnx(config, path, str(tmp_path / 'x.onnx'), size=72)
    image = landscape(72, 72)
    expected = predicted(SegmentationInferencer(config, path, device='cpu',
                                                show_progress=False), [image])
    found = run(tmp_path / 'x.onnx', channels_first([image]))['probabilities']
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_raw_values_of_pairs(tmp_path):
    pytest.importorskip('mmseg')
    loader = dict(type='mmpretrain.LoadRSImagePair', bands=3, value_range=(0, 1020))
    config = segmentation_config(True, loader=loader)
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    image = channels_first([landscape(64, 64, bands=6)])
    found = []
    for raw in (False, True):
        out = tmp_path / f'{raw}.onnx'
        onnx_export.export_onnx(config, path, str(out), size=64, raw=raw)
        found.append(run(out, image * (4. if raw else 1.))['probabilities'])
    np.testing.assert_allclose(*found, atol=1e-5)
    # 8-bit layers only
    assert 'model_type' in metadata(tmp_path / 'False.onnx')
    assert 'model_type' not in metadata(out)


@pytest.mark.parametrize('name', [
    'segmentation/upernet_r50_1xb8-amp-sgd-50e_potsdam.py',
    'segmentation/upernet_vit-base_1xb8-amp-adamw-50e_potsdam.py',
    'change_detection/siamese-upernet_swin-base_1xb8-adamw-200e_cdd.py'])
def test_recipes_of_maps_are_exported(name, tmp_path):
    """UPerNet pools to fixed numbers of cells, also where the size varies."""
    pytest.importorskip('mmseg')
    import cmid_mm.models.segmentors  # noqa: F401
    from cmid_mm.utils.config_scope import scope_of
    config = thin(load(name))
    with scope_of(config):
        model = MODELS.build(deepcopy(config.model))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    done = onnx_export.export_onnx(config, str(tmp_path / 'a.pth'), str(tmp_path / 'x.onnx'),
                                   size=64)
    assert bool(done['fixed']) == ('swin' in name)


@pytest.mark.parametrize('bins', [1, 2, 3, 6])
@pytest.mark.parametrize('shape', [(2, 2), (5, 9), (12, 6), (7, 31)])
def test_pooling_as_a_product_of_matrices(bins, shape):
    maps = torch.rand(2, 4, *shape, dtype=torch.float64)
    torch.testing.assert_close(AdaptiveMean(bins)(maps), nn.AdaptiveAvgPool2d(bins)(maps))


# -------------------------------------------------------------------------------- the file


def test_qgis_reads_the_metadata(tmp_path):
    """The plugin deepness reads JSON, divides 8-bit values by 255 and standardises them."""
    pytest.importorskip('mmseg')
    config = segmentation_config()
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    out = tmp_path / 'x.onnx'
    done = onnx_export.export_onnx(config, path, str(out), size=64, fixed_size=True,
                                   resolution=50.)
    assert done['inputs']['image'] == ['batch', 3, 64, 64]
    found = metadata(out)
    assert found['class_names'] == {str(i): f'kind {i}' for i in range(4)}
    assert {key: found[key] for key in (
        'model_type', 'tile_size', 'tiles_overlap', 'resolution', 'seg_thresh',
        'seg_small_segment')} == dict(
            model_type='Segmentor', tile_size=64, tiles_overlap=25, resolution=50., seg_thresh=0,
            seg_small_segment=0)
    pixels = channels_first([landscape(64, 64)])
    mean, std = (np.float32(found[f'standardization_{name}'])[:, None, None]
                 for name in ('mean', 'std'))
    standardised = (np.float32(pixels * 1. / 255.) - mean) / std
    np.testing.assert_allclose(run(out, standardised)['probabilities'],
                               run(out, pixels)['probabilities'], atol=1e-4)


PROGRAM = re.search(r'^```python\n(import json\n\nimport numpy as np\n.*?)^```',
                    (Path(__file__).parents[2] / 'docs' / 'export.md').read_text(), re.M | re.S)[1]


@pytest.mark.parametrize('raw', [False, True])
@pytest.mark.parametrize('classes', [2, 4])
def test_the_program_of_the_docs_gives_the_map_of_the_inferencer(
        classes, raw, tmp_path, monkeypatch):
    """Also for a head with a sigmoid, and three of the bands of a file."""
    pytest.importorskip('mmseg')
    from cmid_mm.apis import SegmentationInferencer
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('cmid_mm.apis.map_inferencer.best_precision', lambda: ('float32', ''))
    config = segmentation_config(classes=classes, loader=dict(
        type='mmpretrain.LoadRSImage', bands=3, band_indices=(3, 0, 2), value_range=(0, 1020)))
    if classes == 2:
        config.model.decode_head.update(out_channels=1, threshold=0.3)
    path = save_segmentor(config, tmp_path / 'segmentor.pth')
    onnx_export.export_onnx(config, path, 'segmentor.onnx', size=64, raw=raw)
    pixels = landscape(150, 200, 5)
    write_raster('scene.tif', pixels * np.uint16(4) if raw else pixels)
    SegmentationInferencer(config, path, device='cpu', tile=128, overlap=32,
                           show_progress=False)('scene.tif', 'maps', picture=False)
    exec(PROGRAM, {})
    with rasterio.open('maps/scene_classes.tif') as ours, rasterio.open('classes.tif') as theirs:
        expected, found = ours.read(1), theirs.read(1)
    assert len(np.unique(expected)) == classes
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('task, wrong', [
    ('backbone', 'mean'), ('backbone', 'windows'), ('classification', 'order'),
    ('segmentation', 'mean'), ('segmentation', 'order'), ('change', 'mean'), ('change', 'order')])
def test_the_module_is_compared_with_the_model(task, wrong, tmp_path, monkeypatch):
    torch.manual_seed(0)
    if task in ('segmentation', 'change'):
        pytest.importorskip('mmseg')
        config = segmentation_config(task == 'change')
        if task == 'change':
            config.model.fusion = 'concat'
            config.model.decode_head.update(in_channels=12, channels=12)
        path = save_segmentor(config, tmp_path / 'a.pth')
    elif task == 'backbone':
        config, path = pretraining(tmp_path, STUDENTS['swin'])
    else:
        config, path = classification(tmp_path)
    built = onnx_export.ExportedModel
    monkeypatch.setattr(onnx_export, 'ExportedModel', lambda model, task, mean, std, *rest: built(
        model, task, mean + 5 * (wrong == 'mean'), std, rest[0], wrong == 'order', rest[2]))
    if wrong == 'windows':
        join = onnx_graph.join_windows
        monkeypatch.setattr(onnx_graph, 'join_windows', lambda *args: join(*args).flip(1))
    refused(lambda: onnx_export.export_onnx(config, path, str(tmp_path / 'x.onnx'), size=64),
            CMIDError, 'as it would be exported differs', path.rpartition('/')[2])
    assert not list(tmp_path.glob('x.onnx*'))


def test_half_files_are_smaller_and_close(tmp_path):
    config, path = pretraining(tmp_path, STUDENTS['resnet'])
    sizes, found = [], []
    image = channels_first([landscape(64, 64)])
    for half in (False, True):
        out = tmp_path / f'{half}.onnx'
        onnx_export.export_onnx(config, path, str(out), half=half)
        sizes.append(out.stat().st_size)
        found.append(run(out, image)['map'])
    assert sizes[1] < 0.55 * sizes[0]
    assert all(maps.dtype == np.float32 for maps in found)
    difference = np.abs(found[1] - found[0]).max() / np.abs(found[0]).max()
    assert 0 < difference < 0.01


def test_a_file_that_differs_by_half_is_not_tried_with_a_fixed_size(tmp_path, monkeypatch):
    config, path = pretraining(tmp_path, STUDENTS['resnet'])
    out = tmp_path / 'x.onnx'
    # it would fit only a fixed size
    differences = iter([0.] + 4 * [1.] + 4 * [0.])
    monkeypatch.setattr(onnx_export, '_difference', lambda *_: next(differences))
    refused(lambda: onnx_export.export_onnx(config, path, str(out), half=True), CMIDError,
            'omit --half', 'epoch_3.pth')
    assert not list(tmp_path.glob('x.onnx*'))


def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    config, path = pretraining(tmp_path, STUDENTS['resnet'])
    out = tmp_path / 'x.onnx'
    translate = onnx_export._translate

    def wrong(*args):
        graph = translate(*args)
        first = next(tensor for tensor in graph.graph.initializer if tensor.dims[1:2] == [3])
        values = onnx.numpy_helper.to_array(first)
        first.CopyFrom(onnx.numpy_helper.from_array(1.1 * values, first.name))
        return graph

    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, '_translate', wrong)
        refused(lambda: onnx_export.export_onnx(config, path, str(out)), CMIDError, 'differs',
                'epoch_3.pth')
    assert not list(tmp_path.glob('x.onnx*'))
    onnx_export.export_onnx(config, path, str(out), fixed_size=True)
    # no path of this machine, which the exporter writes into every node
    assert b'site-packages' not in out.read_bytes() and b'cmid_mm/' not in out.read_bytes()


def test_models_that_take_one_size_get_it(tmp_path):
    @MODELS.register_module(name='Places', force=True)
    class Places(nn.Conv2d):
        def __init__(self, init_cfg=None):
            super().__init__(3, 4, 1)
            self.places = nn.Parameter(torch.rand(64, 64))

        def forward(self, images):
            return [super().forward(images) + self.places]

    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=Places().state_dict(), meta=dict(mean=MEAN, std=STD)), path)
    config = Config(dict(default_scope='mmpretrain', model=dict(
        type='CMID', backbone=dict(type='Places'), image_size=64),
        train_dataloader=dict(dataset=dict(pipeline=LOADER))))
    done = onnx_export.export_onnx(config, str(path), str(tmp_path / 'x.onnx'))
    assert done['fixed'].startswith('with any size a.pth')
    assert done['inputs']['image'] == ['batch', 3, 64, 64]


def test_models_without_counterpart_are_refused(tmp_path):
    @MODELS.register_module(name='Spectral', force=True)
    class Spectral(nn.Conv2d):
        def __init__(self, init_cfg=None):
            super().__init__(3, 4, 3)

        def forward(self, images):
            return [torch.linalg.svd(super().forward(images))[0]]

    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=Spectral().state_dict(), meta=dict(mean=MEAN, std=STD)), path)
    config = Config(dict(default_scope='mmpretrain', model=dict(
        type='CMID', backbone=dict(type='Spectral'), image_size=64),
        train_dataloader=dict(dataset=dict(pipeline=LOADER))))
    refused(lambda: onnx_export.export_onnx(config, str(path), str(tmp_path / 'x.onnx')),
            CMIDError, 'cannot be exported to ONNX.*svd', 'a.pth')
    assert not list(tmp_path.glob('x.onnx*'))


def test_refusals(tmp_path, monkeypatch):
    out = str(tmp_path / 'x.onnx')
    config, path = pretraining(tmp_path, STUDENTS['resnet'])
    fine, classifier = classification(tmp_path)

    def refuse(match, *args, **kwargs):
        refused(lambda: onnx_export.export_onnx(*args, out, **kwargs), CMIDError, match)

    refuse('states no value_range', config, path, raw=True)
    swin, trained = pretraining(tmp_path, STUDENTS['swin'])
    refuse(r'epoch_3.pth .*32 px .*smaller than the window.*--size', swin, trained, size=32)
    config, path = pretraining(tmp_path, STUDENTS['resnet'])
    config.dump(tmp_path / 'config.py')
    content = (tmp_path / 'config.py').read_text()
    refused(lambda: onnx_export.export_onnx(str(tmp_path / 'config.py'), path,
                                            str(tmp_path / 'config.py')), CMIDError, 'the input')
    assert (tmp_path / 'config.py').read_text() == content
    # a backbone is no classifier
    refuse('backbone without the rest of the model', fine, path)
    refuse('--backbone', fine, classifier, encoder='teacher')
    features, _ = classification(tmp_path)
    features.model.head = dict(type='FeatureHead')
    refuse('FeatureHead.*--backbone', features, classifier)
    detector = Config(dict(default_scope='mmdet', model=dict(type='FasterRCNN', backbone={})))
    refuse('FasterRCNN', detector, classifier)
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    refuse('onnxruntime is not installed: pip install onnx', config, path)
    assert not list(tmp_path.glob('x.onnx*'))
