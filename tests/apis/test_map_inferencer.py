import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from PIL import Image
from rasters import (
    CRS,
    MEAN,
    STD,
    TRANSFORM,
    landscape,
    save_segmentor,
    segmentation_config,
    write_raster,
)

pytest.importorskip('mmseg')

from cmid_mm.apis import ChangeInferencer, SegmentationInferencer, map_inferencer  # noqa: E402
from cmid_mm.datasets.file_limits import ImageError  # noqa: E402
from cmid_mm.utils.config_scope import scope_of  # noqa: E402
from cmid_mm.utils.errors import CMIDError  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'change_detection'

# keys of GeoTIFF: scale of a pixel, tie point, directory of the coordinate system
GEOTIFF_TAGS = (33550, 33922, 34735)


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """Results are compared with float32; in bfloat16 some pixels get another class."""
    monkeypatch.setattr(map_inferencer, 'best_precision', lambda: ('float32', ''))


@pytest.fixture
def model(tmp_path):
    config = segmentation_config()
    return config, save_segmentor(config, tmp_path / 'segmentor.pth')


def infer(model, *args, kind=SegmentationInferencer, tile=96, show_progress=False, **kwargs):
    settings = dict(device='cpu', tile=tile, show_progress=show_progress)
    inferencer = kind(*model, **settings)
    return inferencer(*args, **kwargs)['predictions']


def read(path, band=1):
    with rasterio.open(path) as file:
        return file.read(band)


def map_of(model, tmp_path, pixels, loader=None, **profile):
    """Classes of pixels that are written as a raster and read by a loader."""
    config = segmentation_config(loader=loader) if loader else model[0]
    raster = write_raster(tmp_path / 'pixels.tif', pixels, **profile)
    found, = infer((config, model[1]), raster, tmp_path / 'out', picture=False)
    return read(found['map'])


@pytest.mark.parametrize('shape', [(250, 330), (97, 500), (300, 96)])
def test_tiles_make_the_map_that_one_pass_makes(model, tmp_path, shape):
    raster = write_raster(tmp_path / 'scene.tif', landscape(*shape))
    tiled, = infer(model, raster, tmp_path / 'tiled', confidence=True)
    whole, = infer(model, raster, tmp_path / 'whole', tile=512, confidence=True)
    assert len(np.unique(read(whole['map']))) >= 3
    np.testing.assert_array_equal(read(tiled['map']), read(whole['map']))
    difference = read(tiled['map'], 2).astype(int) - read(whole['map'], 2)
    assert np.abs(difference).max() <= 1  # of a percent that is rounded


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_maps_are_computed_in_the_fastest_precision(model, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(map_inferencer, 'best_precision', lambda: (precision, ''))
    inferencer = SegmentationInferencer(*model, device='cpu', show_progress=False)
    found = []
    inferencer.model.backbone.register_forward_hook(
        lambda module, args, output: found.append(output[0].dtype))
    inferencer(write_raster(tmp_path / 'scene.tif', landscape(40, 50)), tmp_path / 'out')
    # a GPU's precision is not that of the CPU beside it
    expected = 'float32' if torch.cuda.is_available() else precision
    assert found == [getattr(torch, expected)]


def test_one_pass_is_the_prediction_of_the_model(model, tmp_path):
    pixels = landscape(80, 90)
    raster = write_raster(tmp_path / 'scene.tif', pixels)
    found, = infer(model, raster, tmp_path / 'out', tile=512)
    inferencer = SegmentationInferencer(*model, device='cpu')
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    image = (torch.from_numpy(pixels).permute(2, 0, 1) - mean) / std
    with torch.no_grad():
        scores = inferencer.model.decode_head(inferencer.model.backbone(image[None]))[0]
    np.testing.assert_array_equal(read(found['map']), scores.argmax(0).numpy())
    shares = np.bincount(scores.argmax(0).numpy().ravel(), minlength=4) / 7200
    np.testing.assert_allclose([found['shares'][f'kind {i}'] for i in range(4)], shares)


def test_the_place_is_kept(model, tmp_path):
    raster = write_raster(tmp_path / 'scene.tif', landscape(100, 120))
    found, = infer(model, raster, tmp_path / 'out')
    with rasterio.open(raster) as before, rasterio.open(found['map']) as after:
        assert (after.crs, after.transform) == (before.crs, before.transform)
        assert after.shape == before.shape and after.nodata == 255
        assert after.colormap(1)[2][:3] == (120, 10, 200)
        assert after.tags()['CLASSES'] == 'kind 0, kind 1, kind 2, kind 3'
    # another reader finds the same numbers
    with Image.open(raster) as before, Image.open(found['map']) as after:
        for tag in GEOTIFF_TAGS:
            assert before.tag_v2[tag] == after.tag_v2[tag]


WORLD_FILE = '0.5\n0\n0\n-0.5\n500000.25\n5399999.75\n'


@pytest.mark.parametrize('image, sidecar', [
    ('scene.tif', 'scene.tfw'), ('scene.png', 'scene.pgw'), ('scene.jpg', 'scene.jgw')])
def test_the_place_may_stand_in_a_file_beside_the_raster(model, tmp_path, image, sidecar):
    """A world file for the place, an .aux.xml for the system of coordinates."""
    Image.fromarray(landscape(50, 60)).save(tmp_path / image)
    (tmp_path / sidecar).write_text(WORLD_FILE)
    (tmp_path / f'{image}.aux.xml').write_text(f'<PAMDataset><SRS>{CRS}</SRS></PAMDataset>')
    found, = infer(model, str(tmp_path / image), tmp_path / 'out')
    with rasterio.open(found['map']) as file:
        assert (file.crs, file.transform) == (CRS, TRANSFORM)


def test_pixels_may_be_hidden_by_files_beside_the_raster(model, tmp_path):
    """A mask (.msk) or a nodata value (.aux.xml) hides a part of the raster."""
    pixels = landscape(50, 60)
    pixels[:10] = 7
    path = write_raster(tmp_path / 'scene.tif', pixels)
    nodata = ''.join(f'<PAMRasterBand band="{band}"><NoDataValue>7</NoDataValue></PAMRasterBand>'
                     for band in (1, 2, 3))
    (tmp_path / 'scene.tif.aux.xml').write_text(f'<PAMDataset>{nodata}</PAMDataset>')
    found, = infer(model, path, tmp_path / 'nodata')
    first = read(found['map'])
    (tmp_path / 'scene.tif.aux.xml').unlink()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, 'r+') as file:
        file.write_mask(np.arange(50)[:, None] >= np.full((1, 60), 10))
    assert (tmp_path / 'scene.tif.msk').is_file()
    found, = infer(model, path, tmp_path / 'mask')
    for labels in (first, read(found['map'])):
        assert (labels[:10] == 255).all() and not (labels[10:] == 255).any()


@pytest.mark.parametrize('crs', [CRS, None])
def test_ground_control_points_are_kept(model, tmp_path, crs):
    points = [rasterio.control.GroundControlPoint(row, column, 1000 + column, 2000 - row)
              for row, column in [(0, 0), (0, 120), (100, 0), (100, 120)]]
    raster = write_raster(tmp_path / 'scene.tif', landscape(100, 120), transform=None,
                          gcps=points, crs=crs or rasterio.crs.CRS())
    found, = infer(model, raster, tmp_path / 'out')
    with rasterio.open(found['map']) as file:
        kept, kept_crs = file.gcps
    assert kept_crs == crs
    assert [(p.row, p.col, p.x, p.y) for p in kept] == [(p.row, p.col, p.x, p.y) for p in points]


@pytest.fixture
def logged(monkeypatch):
    """Lines that inferencers have logged."""
    lines = []
    monkeypatch.setattr(SegmentationInferencer, 'log', lambda self, line: lines.append(line))
    return lines


def test_nodata_stays_nodata_and_changes_nothing_else(model, tmp_path, logged):
    pixels = landscape(200, 330)
    full = map_of(model, tmp_path, pixels)
    pixels[:150, :200] = 7
    labels = map_of(model, tmp_path, pixels, nodata=7)
    assert (labels[:150, :200] == 255).all()
    assert not (labels[150:] == 255).any() and not (labels[:, 200:] == 255).any()
    # the prediction one pixel beside the hole depends on it
    np.testing.assert_array_equal(labels[:, 201:], full[:, 201:])
    np.testing.assert_array_equal(labels[151:], full[151:])
    # 150 * 200 of 200 * 330
    assert '45.5% without data' in logged[-1]


def test_a_tile_without_data_is_not_computed(model, tmp_path):
    pixels = landscape(96, 600)
    pixels[:, 96:] = 0
    raster = write_raster(tmp_path / 'scene.tif', pixels, nodata=0)
    inferencer = SegmentationInferencer(*model, device='cpu', tile=96, show_progress=False)
    computed = []
    forward = inferencer.forward
    inferencer.forward = lambda tiles: computed.extend(tiles) or forward(tiles)
    inferencer(raster, tmp_path / 'out')
    # the first tile, and the second, which shares pixels with it
    assert len(computed) == 2


def test_floats_and_masks(model, tmp_path):
    """Bands of float32, mapped by value_range, NaN where there is nothing."""
    pixels = landscape(80, 80)
    floats = (pixels / 255).astype(np.float32)
    floats[10:20] = np.nan
    labels = map_of(model, tmp_path, floats,
                    dict(type='mmpretrain.LoadRSImage', bands=3, value_range=(0., 1.)))
    assert (labels[10:20] == 255).all()
    np.testing.assert_array_equal(labels[21:], map_of(model, tmp_path, pixels)[21:])


def test_without_a_georeference(model, tmp_path, logged):
    raster = tmp_path / 'photo.png'
    Image.fromarray(landscape(50, 60)).save(raster)
    found, = infer(model, str(raster), tmp_path / 'out')
    assert 'no georeference' in logged[1] and 'smaller than a tile' in logged[2]
    with rasterio.open(found['map']) as file:
        assert file.crs is None and file.shape == (50, 60)


@pytest.fixture
def change_model(tmp_path):
    config = segmentation_config(pair=True, classes=2)
    return config, save_segmentor(config, tmp_path / 'change.pth')


def test_change_between_two_dates(change_model, tmp_path):
    dates = [write_raster(tmp_path / f'{name}.tif', landscape(150, 220, seed=seed))
             for seed, name in enumerate('ab')]
    tiled, = infer(change_model, dates, tmp_path / 'tiled', kind=ChangeInferencer)
    whole, = infer(change_model, dates, tmp_path / 'whole', kind=ChangeInferencer, tile=512)
    again, = infer(change_model, [dates[0]] * 2, tmp_path / 'same', kind=ChangeInferencer)
    assert set(np.unique(read(tiled['map']))) == {0, 1}
    np.testing.assert_array_equal(read(tiled['map']), read(whole['map']))
    # the difference of a date and itself is zero everywhere
    assert len(np.unique(read(again['map']))) == 1
    assert os.path.getsize(tiled['picture']) > 1000


def test_two_dates_must_lie_on_one_grid(change_model, tmp_path):
    first = write_raster(tmp_path / 'a.tif', landscape(60, 80))
    smaller = write_raster(tmp_path / 'b.tif', landscape(60, 70))
    moved = write_raster(tmp_path / 'c.tif', landscape(60, 80),
                         transform=rasterio.transform.from_origin(500010, 5400000, 0.5, 0.5))
    for second, complaint in [(smaller, '70 x 60 pixels'), (moved, 'is not at the location')]:
        with pytest.raises(ImageError, match=complaint) as error:
            infer(change_model, [first, second], tmp_path / 'out', kind=ChangeInferencer)
        assert 'gdalwarp' in str(error.value) and second in str(error.value)
    with pytest.raises(ValueError, match='2 date'):
        infer(change_model, first, tmp_path / 'out')


UTM_33 = rasterio.crs.CRS.from_epsg(32633).to_wkt('WKT1_ESRI')


@pytest.mark.parametrize('crs, same', [
    (UTM_33, True), (None, True), ('EPSG:32634', False), ('EPSG:4326', False)])
def test_one_grid_in_another_spelling(change_model, tmp_path, crs, same):
    dates = [write_raster(tmp_path / 'a.tif', landscape(60, 80)),
             write_raster(tmp_path / 'b.tif', landscape(60, 80), crs=crs)]
    if same:
        infer(change_model, dates, tmp_path / 'out', kind=ChangeInferencer)
    else:
        with pytest.raises(ImageError, match='b.tif is not at the location'):
            infer(change_model, dates, tmp_path / 'out', kind=ChangeInferencer)


@pytest.mark.parametrize('name, error, culprit', [
    ('five.tif', ImageError, r'five.tif .*5 band\(s\), but bands=3'),
    ('wide.tif', ImageError, 'wide.tif .*value_range'),
    ('fake.tif', ImageError, 'fake.tif is no GeoTIFF'),
    (os.fsdecode(b'\xff.tif'), ImageError, 'has a name that is not UTF-8'),
    ('none.tif', FileNotFoundError, 'no such raster'),
    ('empty', FileNotFoundError, 'holds no raster')])
def test_rasters_that_do_not_fit_are_found_before_the_first_prediction(
        model, tmp_path, name, error, culprit):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'fake.tif').write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')
    (tmp_path / os.fsdecode(b'\xff.tif')).touch()
    write_raster(tmp_path / 'five.tif', np.ones((40, 50, 5), np.uint8))
    write_raster(tmp_path / 'wide.tif', np.ones((40, 50, 3), np.uint16))
    good = write_raster(tmp_path / 'good.tif', landscape(40, 50))
    with pytest.raises(error, match=culprit):
        infer(model, [good, str(tmp_path / name)], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_what_lies_in_a_folder_beside_the_rasters(model, tmp_path):
    """Leftovers, folders, quick-looks and earlier results are passed over."""
    folder = tmp_path / 'scenes'
    (folder / 'a folder.tif').mkdir(parents=True)
    for name in ('b.tif', 'a.tif', 'forest_classes.tif'):
        write_raster(folder / name, landscape(40, 50))
    for name in ('._a.tif', '.b.tif'):
        (folder / name).write_bytes(b'leftover')
    Image.fromarray(landscape(40, 50)).save(folder / 'a.png')
    expected = ['a.tif', 'b.tif', 'forest_classes.tif']
    for _ in range(2):
        # the second time beside its own results
        found = infer(model, str(folder), folder)
        assert [Path(entry['rasters'][0]).name for entry in found] == expected


def test_a_file_of_a_folder_that_fails_does_not_stop_the_others(model, tmp_path):
    folder = tmp_path / 'scenes'
    folder.mkdir()
    (folder / 'a.tif').write_bytes(b'II*\0 cut off')
    write_raster(folder / 'b.tif', landscape(40, 50))
    write_raster(folder / 'c.tif', landscape(200, 50), blockysize=8, compress='deflate')
    data = (folder / 'c.tif').read_bytes()
    middle = len(data) * 3 // 4
    (folder / 'c.tif').write_bytes(data[:middle] + bytes(200) + data[middle + 200:])
    write_raster(folder / 'd.tif', landscape(40, 50))
    inferencer = SegmentationInferencer(*model, device='cpu', tile=96, show_progress=False)
    found = inferencer(str(folder), tmp_path / 'out')
    assert [Path(entry['map']).name for entry in found['predictions']] == [
        'b_classes.tif', 'd_classes.tif']
    failed = {Path(paths[0]).name: reason for paths, reason in found['failed']}
    assert list(failed) == ['a.tif', 'c.tif'] and 'damaged or cut off near row' in failed['c.tif']
    assert sorted(path.name for path in (tmp_path / 'out').glob('*.tif')) == [
        'b_classes.tif', 'd_classes.tif']
    # a raster that was named is an error
    with pytest.raises(ImageError, match='a.tif is damaged or cut off'):
        inferencer([shutil.copy(folder / 'a.tif', tmp_path / 'named a.tif'), str(folder)],
                   tmp_path / 'named')
    for path in folder.glob('[bcd].tif'):
        path.unlink()
    with pytest.raises(ImageError, match='a.tif is damaged or cut off'):
        inferencer(str(folder), tmp_path / 'out')


def test_near_infrared_that_is_marked_as_alpha_is_a_band(model, tmp_path):
    """GDAL marks the fourth band of every 8-bit file as alpha."""
    pixels = landscape(60, 70, bands=4)
    loader = dict(type='mmpretrain.LoadRSImage', bands=3, band_indices=(0, 1, 2))
    marked = dict(photometric='RGB', alpha='YES')
    np.testing.assert_array_equal(map_of(model, tmp_path, pixels, loader, **marked),
                                  map_of(model, tmp_path, pixels[..., :3]))
    # a real mask excludes pixels
    pixels[..., 3] = 255
    pixels[:30, :, 3] = 0
    labels = map_of(model, tmp_path, pixels, **marked)
    assert (labels[:30] == 255).all() and not (labels[30:] == 255).any()


def test_bgr_models_of_mmseg(model, tmp_path):
    """A config that reads with OpenCV gets the order of bands of OpenCV."""
    pixels = landscape(60, 70)
    np.testing.assert_array_equal(
        map_of(model, tmp_path, pixels, dict(type='LoadImageFromFile')),
        map_of(model, tmp_path, pixels[..., ::-1]))


@pytest.mark.parametrize('name, classes, error, culprit', [
    ('backbone', 4, ValueError, 'backbone.pth .* missing .decode_head.* without the rest'),
    ('other', 4, ValueError, 'other.pth .* missing .backbone.* another model'),
    ('segmentor', 5, ValueError, r'conv_seg.weight \(4, 6, 1, 1\) -> \(5, 6'),
    ('none', 4, FileNotFoundError, 'no such checkpoint')])
def test_wrong_checkpoints(model, tmp_path, name, classes, error, culprit):
    state = torch.load(model[1], weights_only=True)['state_dict']
    backbone = {key: value for key, value in state.items() if key.startswith('backbone.')}
    torch.save(dict(state_dict=backbone), tmp_path / 'backbone.pth')
    torch.save(dict(state_dict={'other.weight': torch.ones(2)}), tmp_path / 'other.pth')
    with pytest.raises(error, match=culprit):
        SegmentationInferencer(segmentation_config(classes=classes), str(tmp_path / f'{name}.pth'),
                               device='cpu')


def test_a_folder_of_rasters_and_equal_names(model, tmp_path):
    for folder in ('one', 'two'):
        (tmp_path / folder).mkdir()
        write_raster(tmp_path / folder / 'scene.tif', landscape(40, 50))
    write_raster(tmp_path / 'one' / 'second.tif', landscape(40, 50))
    found = infer(model, str(tmp_path / 'one'), tmp_path / 'out', picture=False)
    assert [os.path.basename(entry['map']) for entry in found] == [
        'scene_classes.tif', 'second_classes.tif']
    assert found[0]['picture'] is None
    with pytest.raises(ValueError, match='more than once'):
        infer(model, [str(tmp_path / 'one'), str(tmp_path / 'two')], tmp_path / 'out')


def test_a_damaged_raster_names_the_place_and_leaves_no_map(model, tmp_path):
    path = tmp_path / 'scene.tif'
    write_raster(path, landscape(400, 300), compress='deflate', blockysize=16)
    path.write_bytes(path.read_bytes()[:200000])
    with pytest.raises(ImageError, match=r'scene\.tif is damaged or cut off near row \d+'):
        infer(model, str(path), tmp_path / 'out')
    assert not list((tmp_path / 'out').iterdir())


def test_progress_is_shown(model, tmp_path, capsys):
    raster = write_raster(tmp_path / 'scene.tif', landscape(200, 200))
    infer(model, raster, tmp_path / 'out', show_progress=True)
    assert '9/9' in capsys.readouterr().err


def test_classes_without_a_name_are_numbered(tmp_path):
    config = segmentation_config()
    model = config, save_segmentor(config, tmp_path / 'segmentor.pth', classes=['a', 'b'],
                                   palette=[[1, 2, 3]])
    found, = infer(model, write_raster(tmp_path / 'scene.tif', landscape(90, 90)),
                   tmp_path / 'out')
    assert list(found['shares']) == ['a', 'b', 'class 2', 'class 3']
    assert sum(found['shares'].values()) == pytest.approx(1)


@pytest.mark.parametrize('step, words', [
    (dict(type='Resize', scale=(512, 512), keep_ratio=True), '512 x 512 px'),
    (dict(type='mmseg.Resize', scale_factor=2.), '2.0 times their size'),
    (dict(type='PackSegInputs'), None)])
def test_another_scale_in_the_test_pipeline_is_reported(model, logged, step, words):
    config = model[0]
    config.test_dataloader.dataset.pipeline.append(step)
    SegmentationInferencer(config, model[1], device='cpu')
    assert [words in line and 'gdalwarp -tr' in line for line in logged] == [True] * bool(words)


def test_models_of_open_cd(tmp_path):
    """Its data preprocessor takes one tile at a time, with the bands of OpenCV."""
    pytest.importorskip('opencd')
    config = Config.fromfile(CONFIGS / 'opencd' / 'bit_r18_1xb16-adamw-10e_scenes.py')
    config.model.backbone.init_cfg = None
    with scope_of(config):
        model = MODELS.build(config.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'bit.pth')
    dates = [write_raster(tmp_path / f'{name}.tif', landscape(64, 150, seed=seed))
             for seed, name in enumerate('ab')]
    found, = infer((config, str(tmp_path / 'bit.pth')), dates, tmp_path / 'out',
                   kind=ChangeInferencer, tile=64)
    assert set(np.unique(read(found['map']))) <= {0, 1}
    assert set(found['shares']) == {'class 0', 'class 1'}


def test_bands_in_files_give_the_map_of_one_file(model, tmp_path):
    pixels = landscape(120, 150)
    (tmp_path / 'products/a').mkdir(parents=True)
    for band, name in enumerate(('B04', 'B03', 'B02')):
        write_raster(tmp_path / f'products/a/T31_{name}.tif', pixels[..., band:band + 1])
    whole, = infer(model, write_raster(tmp_path / 'T31.tif', pixels), tmp_path / 'one')
    inferencer = SegmentationInferencer(*model, device='cpu', tile=96, show_progress=False)
    bands = dict(bands=('B04', 'B03', 'B02'))
    for inputs, more in ((str(tmp_path / 'products'), bands),
                         (str(tmp_path / 'products/a/T31_{B04,B03,B02}.tif'), None)):
        found, = inferencer(inputs, tmp_path / 'many', more)['predictions']
        assert Path(found['map']).name == 'T31_classes.tif'
        np.testing.assert_array_equal(read(found['map']), read(whole['map']))
    with pytest.raises(CMIDError, match='lacks 1 of 2 bands: B11'):
        inferencer(str(tmp_path / 'products'), tmp_path / 'many', dict(bands=('B04', 'B11')))
