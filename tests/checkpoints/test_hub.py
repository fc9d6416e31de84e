"""A folder for timm: features, card, refusals."""
import json
from copy import deepcopy
from functools import partial

import pytest
import torch
from damaged_images import refused
from mmpretrain.registry import MODELS
from small_models import STUDENTS

from cmid_mm.checkpoints.architectures import convert_backbone
from cmid_mm.checkpoints.hub import export_hub
from cmid_mm.utils.errors import CMIDError

BACKBONES = dict(
    STUDENTS,
    # names and sizes of the stock models
    resnet50=dict(type='ResNet', depth=50),
    thin_resnet=dict(type='ResNet', depth=18, base_channels=8),
    small_vit=dict(type='VisionTransformer', img_size=64, out_type='featmap', arch=dict(
        embed_dims=96, num_layers=2, num_heads=3, feedforward_channels=96)))
CONFIG = ("train_dataloader = dict(dataset=dict(data_root='/home/someone/million aid'))\n"
          'model = dict(image_size={size}, backbone={backbone})\n')


def save_checkpoint(path, backbone, bands=3, size=64, **meta):
    """A pre-training with the student alone; returns path and student in evaluation mode."""
    backbone = dict(backbone, in_channels=bands)
    model = MODELS.build(deepcopy(backbone))
    model.eval()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    state = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    for name, start in (('mean', 80.), ('std', 40.)):
        state[f'data_preprocessor.{name}'] = start + torch.arange(float(bands))
    meta = dict(cfg=CONFIG.format(size=size, backbone=backbone), epoch=3, iter=30,
                dataset_meta=dict(loading=dict(bands=bands, band_indices=None,
                                               value_range=None))) | meta
    torch.save(dict(state_dict=state, meta=meta), path)
    return str(path), model.double()


@pytest.mark.parametrize('name, bands', [
    *((name, 3) for name in BACKBONES), ('resnet', 4), ('swin', 2), ('vit', 5)])
@torch.no_grad()
def test_timm_loads_the_folder_and_computes_the_same(name, bands, tmp_path):
    timm = pytest.importorskip('timm')
    path, ours = save_checkpoint(tmp_path / 'epoch_3.pth', BACKBONES[name], bands)
    export_hub(path, tmp_path / 'folder', 'apache-2.0')
    theirs = timm.create_model(f'local-dir:{tmp_path / "folder"}', pretrained=True, num_classes=0)
    theirs = theirs.double().eval()
    image = 0.5 + torch.rand(2, bands, 64, 64, dtype=torch.float64)
    expected = ours(image)[-1]
    vectors = theirs(image)
    torch.testing.assert_close(vectors, expected.mean((2, 3)), rtol=1e-9, atol=1e-9)
    assert vectors.shape[1] == theirs.num_features
    # a classifier of their own starts from the same features
    again = timm.create_model(f'local-dir:{tmp_path / "folder"}', pretrained=True, num_classes=7)
    assert again(image.float()).shape == (2, 7)
    assert (ours(image.flip(-1))[-1].mean((2, 3)) - vectors).norm() > 1e-4 * vectors.norm()


def test_files_have_timms_names_and_the_settings_of_the_training(tmp_path):
    path, ours = save_checkpoint(tmp_path / 'epoch_3.pth', STUDENTS['swin'])
    (tmp_path / 'probes.json').write_text(json.dumps([
        dict(iter=30, metrics={'student_knn/top1': 61.25, 'teacher_knn/top1': 62.})]))
    config = export_hub(path, tmp_path / 'my-swin', 'cc-by-4.0')
    assert json.loads((tmp_path / 'my-swin' / 'config.json').read_text()) == config
    assert config['architecture'] == 'swin_tiny_patch4_window7_224'
    assert (config['num_classes'], config['num_features']) == (0, 128)
    preset = config['pretrained_cfg']
    assert preset['mean'] == [value / 255 for value in (80, 81, 82)]
    assert preset['std'] == [value / 255 for value in (40, 41, 42)]
    assert preset['input_size'] == [3, 64, 64]
    assert (preset['first_conv'], preset['classifier']) == ('patch_embed.proj', 'head.fc')
    assert config['cmid_mm']['mean'] == [80, 81, 82] and config['cmid_mm']['epoch'] == 3
    from safetensors import safe_open
    with safe_open(tmp_path / 'my-swin' / 'model.safetensors', 'pt') as file:
        assert set(file.keys()) == set(convert_backbone(ours.state_dict(), 'timm'))
        assert json.loads(file.metadata()['format']) == 'timm'
    card = (tmp_path / 'my-swin' / 'README.md').read_text()
    for text in ('license: "cc-by-4.0"', '| epoch | 3 |', '| data | million aid |',
                 '| bands | 3 |', 'local-dir:my-swin', '| student | 61.2 |', '| teacher | 62.0 |',
                 'the student', 'image_size=64'):
        assert text in card, text
    written = ''.join(file.read_bytes().decode('latin1')
                      for file in (tmp_path / 'my-swin').iterdir())
    assert '/home/someone' not in written


def test_raw_values_are_described(tmp_path):
    loading = dict(bands=2, band_indices=[3, 0], value_range=[[0., 3000.], [10., 4000.]])
    path, _ = save_checkpoint(tmp_path / 'a.pth', STUDENTS['resnet'], 2,
                              dataset_meta=dict(loading=loading))
    export_hub(path, tmp_path / 'folder', 'mit')
    card = (tmp_path / 'folder' / 'README.md').read_text()
    assert 'raw values, [[0, 3000], [10, 4000]]' in card and '| band indices | [3, 0] |' in card


@pytest.mark.parametrize('backbone, licence, match', [
    (STUDENTS['resnet'], None, '--licence'),
    (STUDENTS['resnet'], 'mit\nx: y', '--licence'),
    (dict(type='ResNet', depth=18, strides=(1, 2, 2, 1)), 'mit', r'strides=.1, 2, 2, 1'),
    (dict(type='ResNet', depth=18, stem_channels=8), 'mit', 'stem of 8 channels'),
    (dict(type='ResNetV1d', depth=18), 'mit', 'no counterpart in timm'),
    (dict(type='ResNeXt', depth=50, groups=32, width_per_group=4), 'mit', 'is a ResNeXt'),
    (dict(STUDENTS['convnext'], stem_patch_size=2), 'mit', 'stem_patch_size of 2'),
    (dict(STUDENTS['convnext'], act_cfg=dict(type='Swish')), 'mit', 'act_cfg of Swish')])
def test_refusals(backbone, licence, match, tmp_path):
    path, _ = save_checkpoint(tmp_path / 'a.pth', backbone)
    refused(lambda: export_hub(path, tmp_path / 'folder', licence), CMIDError, match)
    assert not (tmp_path / 'folder').exists()


@pytest.mark.parametrize('side, window, padded, match', [
    (256, 7, False, 'at 256 px stage 0 .* 64 x 64'), (128, 2, True, None),
    # with pad_small_map a map of one window is shifted
    (64, 2, True, 'stage 3 .* 2 x 2'), (224, 7, False, None)])
def test_windows_that_timm_places_otherwise_are_refused(side, window, padded, match, tmp_path):
    backbone = dict(STUDENTS['swin'], img_size=side, window_size=window, pad_small_map=padded)
    path, _ = save_checkpoint(tmp_path / 'a.pth', backbone, size=(side, side))
    if match:
        refused(partial(export_hub, path, tmp_path / 'folder', 'mit'), CMIDError, match)
    else:
        config = export_hub(path, tmp_path / 'folder', 'mit')
        assert config['pretrained_cfg']['input_size'] == [3, side, side]


def test_other_features_in_timm_are_found(tmp_path):
    pytest.importorskip('timm')
    for name, change, match in (
            ('convnext', dict(gap_before_final_norm=True), 'features .* differ by'),
            ('vit', dict(out_type='cls_token'), 'features .* differ by'),
            ('resnet', dict(depth=34), 'features .* differ by'),
            ('resnet', dict(in_channels=4), 'cannot be compared .*size mismatch')):
        path, _ = save_checkpoint(tmp_path / 'a.pth', STUDENTS[name], cfg=CONFIG.format(
            size=64, backbone=dict(STUDENTS[name], **change)))
        refused(partial(export_hub, path, tmp_path / 'folder', 'mit'), CMIDError, match)
        assert not (tmp_path / 'folder').exists()


def test_names_in_a_config_are_not_called(tmp_path, monkeypatch):
    """mmengine imports and calls whatever a type names."""
    monkeypatch.chdir(tmp_path)
    backbone = dict(STUDENTS['convnext'], in_channels=3,
                    act_cfg=dict(type='subprocess.call', args=['touch', 'called']))
    path, _ = save_checkpoint(tmp_path / 'a.pth', STUDENTS['convnext'],
                              cfg=CONFIG.format(size=64, backbone=backbone))
    refused(lambda: export_hub(path, tmp_path / 'folder', 'mit'), CMIDError, 'act_cfg')
    assert not (tmp_path / 'called').exists()


@pytest.mark.parametrize('name, match', [('small_vit', 'number of heads'),
                                         ('resnet', 'state the strides')])
def test_unknown_settings_are_refused(name, match, tmp_path):
    path, _ = save_checkpoint(tmp_path / 'a.pth', BACKBONES[name], cfg=None)
    refused(lambda: export_hub(path, tmp_path / 'folder', 'mit'), CMIDError, match)


def test_other_projects_are_not_overwritten(tmp_path, monkeypatch):
    path, _ = save_checkpoint(tmp_path / 'a.pth', STUDENTS['swin'])
    folder = tmp_path / 'project'
    folder.mkdir()
    for name, text in (('README.md', 'mine'), ('config.json', '{"mine": 1}')):
        (folder / name).write_text(text)
        refused(lambda: export_hub(path, folder, 'mit'), CMIDError, name)
        assert (folder / name).read_text() == text
        (folder / name).unlink()
    # the name of the card is that of the folder, and an export may be repeated
    monkeypatch.chdir(folder)
    for _ in range(2):
        export_hub(path, '.', 'mit')
    assert 'local-dir:project' in (folder / 'README.md').read_text()


@pytest.mark.parametrize('change, match', [
    (dict(bands=None), r'meta\.mean .*None bands'), (dict(mean=None), r'meta\.mean'),
    (dict(std=torch.ones(3)), r'meta\.std'), (dict(std=[1., 2.]), r'meta\.std'),
    (dict(probes=[1]), 'AttributeError'), (dict(note=torch.ones(1)), 'not JSON serializable'),
    (dict(config="train_dataloader = 'x'\n"), 'AttributeError')])
def test_odd_files_of_others_are_refused(change, match, tmp_path):
    """Before anything is written."""
    path, ours = save_checkpoint(tmp_path / 'a.pth', STUDENTS['vit'])
    meta = dict(encoder='student', mean=[80.] * 3, std=[40.] * 3, bands=3) | change
    state = {f'backbone.{key}': value.float() for key, value in ours.state_dict().items()}
    torch.save(dict(state_dict=state, meta=meta), path)
    refused(lambda: export_hub(path, tmp_path / 'folder', 'mit'), CMIDError, match)
    assert not (tmp_path / 'folder').exists()


def test_unknown_units_are_not_stated(tmp_path):
    path, _ = save_checkpoint(tmp_path / 'a.pth', STUDENTS['swin'], dataset_meta={})
    export_hub(path, tmp_path / 'folder', 'mit')
    assert '| units | not stated |' in (tmp_path / 'folder' / 'README.md').read_text()
