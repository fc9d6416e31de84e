"""Every picture from one command, on a tiny model and a folder."""
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from PIL import Image
from tiny_run import tiny_config, write_images

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'visualization'
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """Folder with config.py and model.pth of Swin, resnet.py and resnet.pth, two classes."""
    folder = tmp_path_factory.mktemp('visualization')
    for name in ('field', 'wood'):
        write_images(folder / 'images' / name, 4)
    init_default_scope('mmpretrain')
    for name, options in (('model', {}), ('resnet', {'model.backbone': dict(
            RESNET, _delete_=True)})):
        cfg = tiny_config(folder, options=options)
        model = MODELS.build(cfg.model)
        model.data_preprocessor.mean.fill_(120)
        model.data_preprocessor.std.fill_(60)
        torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3)), folder / f'{name}.pth')
        cfg.dump(folder / f'{name}.py')
    from cmid_mm.checkpoints.export import export_backbone
    export_backbone(str(folder / 'model.pth'), str(folder / 'backbone.pth'))
    with rasterio.open(folder / 'five.tif', 'w', driver='GTiff', height=70, width=70, count=5,
                       dtype='uint8') as file:
        file.write(np.zeros((5, 70, 70), np.uint8))
    (folder / 'empty').mkdir()
    return folder


@pytest.fixture
def call(project, tmp_path, monkeypatch):
    """Run a tool in the project's folder; gives the picture, or the line of an error."""
    def run(name, *arguments, out='made/picture.png'):
        monkeypatch.chdir(project)
        # as Python does for a script
        monkeypatch.syspath_prepend(TOOLS)
        main = runpy.run_path(str(TOOLS / f'{name}.py'))['main']
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments), '--out',
                                          str(tmp_path / out)])
        try:
            sys.modules['_errors'].run(main)
        except SystemExit as end:
            assert '\n' not in end.code
            return end.code
        return picture(tmp_path / out) if Path(out).suffix else None

    return run


def picture(path):
    return np.asarray(Image.open(path).convert('RGB'))


def test_features_are_embedded(call, capsys):
    arguments = 'model.py', 'model.pth', 'images', '--method', 'pca'
    student = call('embed_features', *arguments)
    assert min(student.shape[:2]) > 500
    # the frames of both classes
    assert all((student == colour).all(2).sum() > 100 for colour in ((255, 196, 0), (66, 133, 255)))
    some = call('embed_features', *arguments, '--max-images', 5)
    assert '5 of 8 images, evenly chosen' in capsys.readouterr().out
    assert some.shape == student.shape and (some != student).any()
    flat = call('embed_features', 'model.py', 'backbone.pth', 'images/wood', '--method', 'pca')
    assert '4 images are too few' in flat


def test_a_missing_library_is_reported(call, monkeypatch):
    monkeypatch.setitem(sys.modules, 'umap', None)
    line = call('embed_features', 'model.py', 'model.pth', 'images', '--method', 'umap')
    assert 'pip install umap-learn' in line


def test_places_are_coloured(call):
    fine = call('feature_pca', 'resnet.py', 'resnet.pth', 'images', '--size', 128, '--stage', 2)
    last = call('feature_pca', 'resnet.py', 'resnet.pth', 'images', '--size', 128)
    assert fine.shape == last.shape and (fine != last).any()
    teacher = call('feature_pca', 'model.py', 'model.pth', 'images/wood/00.png', '--encoder',
                   'teacher', '--size', 128)
    assert teacher.shape[1] < fine.shape[1]
    assert 'no stage 7' in call('feature_pca', 'model.py', 'model.pth', 'images', '--stage', 7)


def test_an_image_corresponds_to_itself(call, capsys):
    path = 'images/wood/01.png'
    call('correspondence', 'resnet.py', 'resnet.pth', path, path, '--size', 128, '--stage', 3)
    assert '40 matches of 8 x 8 cells, 40 at the same place' in capsys.readouterr().out
    line = call('correspondence', 'resnet.py', 'resnet.pth', path, 'gone.png')
    assert 'no such image: gone.png' in line


def test_attention_is_drawn(call):
    maps = call('attention_maps', 'model.py', 'model.pth', 'images', '--max-images', 2)
    # two rows of an image and four stages
    assert maps.shape[1] > 2 * maps.shape[0]
    line = call('attention_maps', 'resnet.py', 'resnet.pth', 'images')
    assert 'ResNet has no attention' in line and 'feature_pca.py' in line


def test_images_are_reconstructed(call):
    one = call('reconstruct', 'model.py', 'model.pth', 'images', '--max-images', 2)
    again = call('reconstruct', 'model.py', 'model.pth', 'images', '--max-images', 2)
    other = call('reconstruct', 'model.py', 'model.pth', 'images', '--max-images', 2,
                 '--seed', 1)
    assert np.array_equal(one, again) and (one != other).any()
    line = call('reconstruct', 'model.py', 'backbone.pth', 'images')
    assert 'backbone.pth does not fit' in line and 'without the rest of the model' in line


def test_single_bands_are_reconstructed(tmp_path):
    from cmid_mm.apis.reconstructor import Reconstructor
    cfg = tiny_config(tmp_path, options={
        'model.backbone': dict(RESNET, _delete_=True, in_channels=1),
        'model.data_preprocessor.bands': 1, 'model.data_preprocessor.mean': [120.],
        'model.data_preprocessor.std': [60.],
        'train_dataloader.dataset.pipeline': [dict(type='LoadRSImage', bands=1)]})
    with rasterio.open(tmp_path / 'one.tif', 'w', driver='GTiff', height=70, width=90, count=1,
                       dtype='uint8') as file:
        file.write(np.arange(6300, dtype=np.uint8).reshape(1, 70, 90))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'one.pth')
    (row, ) = Reconstructor(cfg, str(tmp_path / 'one.pth'), 'cpu')([str(tmp_path / 'one.tif')])
    assert [panel.shape for panel in row] == [(64, 64, 3)] * 3
    assert np.ptp(row[0], axis=2).max() == 0 and (row[1] != row[0]).any()


def test_views_are_browsed(call, tmp_path):
    call('browse_views', 'model.py', '--rows', 3, '--pictures', 2, out='folder')
    first, second = (picture(tmp_path / 'folder' / f'views_{i:03}.png') for i in (1, 2))
    assert first.shape == second.shape and (first != second).any()
    assert '--rows must be 1 at least' in call(
        'browse_views', 'model.py', '--rows', 0, out='folder')


@pytest.mark.parametrize('name, arguments, words', [
    ('feature_pca', ('model.py', 'gone.pth', 'images'), 'no such checkpoint: gone.pth'),
    ('feature_pca', ('model.py', 'model.pth', 'gone'), 'no such file or folder: gone'),
    ('attention_maps', ('model.py', 'model.pth', 'empty'), 'holds no image'),
    ('reconstruct', ('model.py', 'model.pth', 'five.tif'), 'bands=3'),
    ('attention_maps', ('model.py', 'model.pth', 'five.tif'), 'bands=3'),
    ('feature_pca', ('model.py', 'resnet.pth', 'images'), 'resnet.pth'),
    ('reconstruct', ('model.py', 'resnet.pth', 'images'), 'resnet.pth')])
def test_mistakes_are_one_line(call, name, arguments, words):
    assert words in call(name, *arguments)


def test_a_picture_needs_the_ending_of_one(call):
    line = call('reconstruct', 'model.py', 'model.pth', 'images', out='picture')
    assert 'ends in .png or .jpg' in line
