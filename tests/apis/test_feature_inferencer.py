import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from rasters import landscape
from small_models import cmid_config

from cmid_mm.apis import FeatureInferencer, SceneIndex
from cmid_mm.apis.images import reading_steps
from cmid_mm.checkpoints.export import export_backbone
from cmid_mm.datasets.file_limits import ImageError

THIN = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
MEAN, STD = [90., 100., 110.], [40., 50., 60.]


@pytest.fixture
def model(tmp_path):
    """Config and training checkpoint of a CMID whose encoders differ."""
    config = cmid_config(THIN, data_preprocessor=dict(mean=MEAN, std=STD))
    torch.manual_seed(1)
    built = MODELS.build(config)
    for value in built.state_dict().values():
        if value.is_floating_point() and value.ndim:
            # of both signs and a moderate scale, so that features are neither zero nor huge
            value.copy_(torch.randn(value.shape) / value[0].numel()**0.5 if value.ndim > 1
                        else torch.rand(value.shape) + 0.5)
    for owner, values in (('mean', MEAN), ('std', STD)):
        getattr(built.data_preprocessor, owner).copy_(torch.tensor(values))
    path = str(tmp_path / 'epoch_3.pth')
    torch.save(dict(state_dict=built.state_dict(), meta=dict(epoch=3)), path)
    pipeline = [dict(type='LoadRSImage', bands=3), dict(type='ResizeEdge', scale=64),
                dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')]
    return Config(dict(default_scope='mmpretrain', model=config, test_dataloader=dict(
        dataset=dict(datasets=[dict(pipeline=pipeline)])))), path, built.eval()


@pytest.fixture
def inferencer(model):
    return FeatureInferencer(*model[:2], device='cpu', show_progress=False)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    for number in range(5):
        (folder / f'class{number % 2}').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'class{number % 2}' / f'{number}.png'),
                    landscape(70 + number, 90, seed=number)[..., ::-1])
    return folder


@pytest.mark.parametrize('encoder', ['student', 'teacher'])
def test_features_are_those_of_the_encoder(model, images, encoder):
    config, path, built = model
    inferencer = FeatureInferencer(config, path, encoder, device='cpu', show_progress=False)
    found = inferencer(str(images), batch_size=2, dense=True)
    assert [name.rpartition('/')[2] for name in found['paths']] == [
        '0.png', '2.png', '4.png', '1.png', '3.png']
    batch = torch.from_numpy(np.stack(found['images'])).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    backbone = built.backbone if encoder == 'student' else built.teacher['backbone']
    with torch.no_grad():
        maps = backbone((batch - mean) / std)[-1]
    assert 0.01 < maps.std() < 100
    np.testing.assert_allclose(np.stack(found['maps']), maps.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found['vectors'], maps.mean((2, 3)).numpy(), rtol=1e-4, atol=1e-5)


def test_an_exported_file_gives_the_same(model, images, tmp_path):
    config, path, _ = model
    export_backbone(path, str(tmp_path / 'backbone.pth'), 'teacher')
    # the normalisation of the checkpoint counts, not that of the config
    config.model.data_preprocessor = dict(mean=[1.] * 3, std=[2.] * 3)
    found = [FeatureInferencer(config, *which, device='cpu', show_progress=False)(str(images))
             for which in [(path, 'teacher'), (str(tmp_path / 'backbone.pth'), )]]
    np.testing.assert_array_equal(*(each['vectors'] for each in found))


def test_progress_ends_its_line(model, images, capsys):
    config, path, _ = model
    FeatureInferencer(config, path, device='cpu')(str(images))
    assert capsys.readouterr().err.endswith('ETA:     0s\n')


def test_images_of_several_sizes(model, images):
    """Each has the features that it has alone."""
    config, path, _ = model
    del config.test_dataloader.dataset.datasets[0].pipeline[1:3]
    inferencer = FeatureInferencer(config, path, device='cpu', show_progress=False)
    together = inferencer(str(images), dense=True)
    alone = [inferencer(name)['vectors'][0] for name in together['paths']]
    assert len({image.shape for image in together['images']}) == 5
    np.testing.assert_allclose(together['vectors'], alone, rtol=1e-4)


def test_broken_images_are_left_out_and_named(inferencer, images):
    broken = images / 'class0' / '0.png'
    broken.write_bytes(b'')
    found = inferencer(str(images))
    assert len(found['paths']) == len(found['vectors']) == 4
    assert [name for name, _ in found['failed']] == [str(broken)]
    assert 'is empty' in found['failed'][0][1]
    with pytest.raises(ImageError, match='is empty'):
        inferencer(str(broken))


def test_images_are_read_at_a_size():
    train = dict(dataset=dict(pipeline=[
        dict(type='LoadRSImage', bands=4, shortest_side=203), dict(type='PackViews')]))
    test = [dict(type='LoadRSImage', bands=2), dict(type='PackInputs')]
    config = Config(dict(model=dict(image_size=96), train_dataloader=train, test_dataloader=dict(
        dataset=dict(datasets=[dict(pipeline=test)]))))
    assert reading_steps(config) == test[:1]
    assert reading_steps(config, 448) == [
        test[0], dict(type='ResizeEdge', scale=448, edge='short'),
        dict(type='CenterCrop', crop_size=448)]
    # without a test, as the training reads, but every pixel, and in the training's size
    config.test_dataloader = None
    load, _, crop = reading_steps(config)
    assert load == dict(type='LoadRSImage', bands=4) and crop['crop_size'] == 96


@pytest.mark.parametrize('error, culprit, call', [
    (ValueError, 'holds no image', lambda inferencer, folder: inferencer(folder)),
    (FileNotFoundError, 'no such file or folder',
     lambda inferencer, folder: inferencer([f'{folder}/none.png'])),
    (FileNotFoundError, 'no such config', lambda *_: FeatureInferencer('none.py', 'epoch_3.pth')),
    (ValueError, 'no config of a pre-training', lambda *_: FeatureInferencer(
        Config(dict(default_scope='mmseg', model=dict(backbone=THIN))), 'epoch_3.pth')),
    (FileNotFoundError, 'no such index', lambda _, folder: SceneIndex.load(f'{folder}/none.npz')),
    (ValueError, r'5 features, the index 4.*epoch_3\.pth',
     lambda *_: SceneIndex(['a'], np.ones((1, 4)), 'epoch_3.pth').search(np.ones((1, 5))))])
def test_wrong_inputs(inferencer, tmp_path, error, culprit, call):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(error, match=culprit):
        call(inferencer, str(tmp_path / 'empty'))


def test_other_bands_than_those_of_the_checkpoint_are_refused(model, images):
    config, path, _ = model
    config.test_dataloader.dataset.datasets[0].pipeline[0].bands = 1
    inferencer = FeatureInferencer(config, path, device='cpu', show_progress=False)
    cv2.imwrite(str(images / 'grey.png'), landscape(70, 70, bands=1))
    with pytest.raises(ImageError, match='1 bands after the pipeline, the checkpoint was'):
        inferencer(str(images / 'grey.png'))


def test_similar_scenes_are_found(inferencer, images, tmp_path):
    index = SceneIndex.build(inferencer, str(images))
    index.save(str(tmp_path / 'index.npz'))
    loaded = SceneIndex.load(str(tmp_path / 'index.npz'))
    assert (loaded.paths, loaded.model) == (index.paths, index.model)
    (best, *_), = loaded.search(index.vectors[:1], 3)
    assert best == (index.paths[0], pytest.approx(1, abs=1e-5))
    (other, *_), = loaded.search(index.vectors[:1], 3, leave_out=index.paths[:1])
    assert other[0] != index.paths[0]


def test_the_order_of_an_index_is_that_of_the_cosine():
    vectors = np.array([[1, 0], [10, 1], [0, 3], [-5, 0]], np.float32)
    found, = SceneIndex('abcd', vectors).search(np.array([[2, 0]], np.float32), 9)
    assert [name for name, _ in found] == ['a', 'b', 'c', 'd']
    np.testing.assert_allclose([score for _, score in found],
                               [1, 10 / np.sqrt(101), 0, -1], atol=1e-6)


def test_other_archives_are_no_index(tmp_path):
    np.savez(tmp_path / 'other.npz', a=np.ones(2))
    np.savez(tmp_path / 'pickled.npz', paths=np.array([print], object), vectors=np.ones((1, 2)),
             model='')
    for name in ('other', 'pickled'):
        with pytest.raises(ValueError, match='is no index of scenes'):
            SceneIndex.load(str(tmp_path / f'{name}.npz'))
