"""Features of rasters: place, values, missing data and footprints."""
import json

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from rasters import CRS, landscape, write_raster
from torch import nn

from cmid_mm.apis.feature_raster import FeatureRasters, save_vectors
from cmid_mm.datasets.transforms import LoadRSImage
from cmid_mm.utils.errors import CMIDError

PLACE = from_origin(500000, 5400000, 10, 10)


class Features:
    """A backbone of stride 8 whose cells see nothing but themselves and their neighbours."""

    def __init__(self, bands=3, channels=6):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(bands, channels, 8, 8),
                                 nn.Conv2d(channels, channels, 3, padding=1)).eval()
        self.mean = self.std = torch.full((bands, 1, 1), 100.)
        self.pipeline = type('Reader', (), {})()
        self.pipeline.transforms = type('Compose', (), dict(transforms=[LoadRSImage(bands)]))()
        self.image_size, self.show_progress, self.name = 64, False, 'tiny'
        self.meta = dict(input=dict(sensor='Sentinel-2', ground_sample_distance=[10., 10.]))

    def normalise(self, images):
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return (batch.float() - self.mean) / self.std

    @torch.no_grad()
    def forward(self, inputs):
        return self.net(inputs)


def single_pass(features, pixels):
    return features.forward(features.normalise([pixels]))[0].numpy()


@pytest.fixture
def scene(tmp_path):
    pixels = landscape(200, 328)
    return write_raster(tmp_path / 'scene.tif', pixels, transform=PLACE), pixels


def test_values_and_place_are_those_of_a_single_pass(scene, tmp_path):
    path, pixels = scene
    features, out = Features(), str(tmp_path / 'f.tif')
    found = FeatureRasters(features, tile=64, overlap=32).write(path, out)
    assert found['shape'] == [6, 25, 41] and found['stride'] == 8
    with rasterio.open(out) as file:
        assert file.crs == CRS and file.transform == from_origin(500000, 5400000, 80, 80)
        assert file.is_tiled and file.compression.value == 'DEFLATE'
        values = file.read()
        assert file.tags()['INPUT'] == 'Sentinel-2, 10 m'
    expected = single_pass(features, pixels)
    # half floats have 11 bits
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=2e-3)


def test_chosen_channels_and_int8(scene, tmp_path):
    path, pixels = scene
    features, out = Features(), str(tmp_path / 'f.tif')
    FeatureRasters(features, tile=64).write(path, out, 'int8', channels=[4, 1])
    with rasterio.open(out) as file:
        assert file.dtypes == ('int8', 'int8') and file.nodata == -128
        assert file.descriptions == ('channel 4', 'channel 1')
        raw = file.read().astype(float)
        values = raw * np.reshape(file.scales, (2, 1, 1)) + np.reshape(file.offsets, (2, 1, 1))
        step = np.reshape(file.scales, (2, 1, 1))
    expected = single_pass(features, pixels)[[4, 1]]
    inside = np.abs(raw) < 127
    assert inside.mean() > 0.98
    assert (np.abs(values - expected) < 0.51 * step)[inside].all()


def test_principal_components_keep_the_distances(scene, tmp_path):
    path, pixels = scene
    features, out = Features(), str(tmp_path / 'f.tif')
    FeatureRasters(features, tile=64).write(path, out, components=6)
    with rasterio.open(out) as file:
        found = file.read().reshape(6, -1)
        shares = [float(text.split(', ')[1].split('%')[0]) for text in file.descriptions]
    cells = single_pass(features, pixels).reshape(6, -1)
    assert shares == sorted(shares, reverse=True) and abs(sum(shares) - 100) < 1
    for one, other in ((0, 500), (17, 900), (3, 4)):
        assert np.linalg.norm(found[:, one] - found[:, other]) == pytest.approx(
            np.linalg.norm(cells[:, one] - cells[:, other]), rel=0.02, abs=0.02)
    assert np.var(found[0]) > np.var(found[1]) > np.var(found[5])


def test_cells_without_data_are_missing(tmp_path):
    pixels = landscape(128, 256) // 2 + 60
    pixels[:, 131:] = 0
    path = write_raster(tmp_path / 'a.tif', pixels, nodata=0, transform=PLACE)
    for dtype in ('float16', 'int8'):
        out = str(tmp_path / f'{dtype}.tif')
        FeatureRasters(Features(), tile=64).write(path, out, dtype)
        with rasterio.open(out) as file:
            valid = file.dataset_mask() > 0
        assert valid[:, :17].all() and not valid[:, 17:].any()


def test_a_raster_that_is_no_multiple_of_a_cell(tmp_path):
    pixels = landscape(70, 100)
    path = write_raster(tmp_path / 'a.tif', pixels, transform=PLACE)
    features, out = Features(), str(tmp_path / 'f.tif')
    assert FeatureRasters(features, tile=64).write(path, out)['shape'] == [6, 9, 13]
    with rasterio.open(out) as file:
        values = file.read()
    # away from the mirrored border
    np.testing.assert_allclose(values[:, :7, :11], single_pass(features, pixels)[:, :7, :11],
                               rtol=2e-3, atol=2e-3)
    assert np.isfinite(values).all()


@pytest.mark.parametrize('settings, message', [
    (dict(dtype='float64'), 'dtype'), (dict(channels=[6]), 'channels'),
    (dict(components=7), 'components=7')])
def test_arguments(scene, tmp_path, settings, message):
    with pytest.raises(CMIDError, match=message):
        FeatureRasters(Features(), tile=64).write(scene[0], str(tmp_path / 'f.tif'), **settings)


def test_a_tile_that_is_no_multiple_of_the_stride():
    with pytest.raises(CMIDError, match='tiles of 60 px'):
        FeatureRasters(Features(), tile=60)


def test_vectors_have_footprints(scene, tmp_path):
    path, pixels = scene
    features = Features()
    vectors, windows = FeatureRasters(features, tile=64).vectors(path, 100)
    assert vectors.shape == (8, 6) and windows[0] == (0, 0, 100, 100)
    expected = single_pass(features, pixels[:100, :100]).mean((1, 2))
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-4, atol=1e-5)
    out = str(tmp_path / 'v.geojson')
    save_vectors([(path, vectors, windows)], out)
    with open(out) as file:
        found = json.load(file)['features']
    assert len(found) == 8 and found[0]['properties']['window'] == [0, 0, 100, 100]
    np.testing.assert_allclose(found[0]['properties']['vector'], vectors[0], rtol=1e-5)
    ring = np.array(found[0]['geometry']['coordinates'][0])
    from rasterio.warp import transform
    x, y = transform('EPSG:4326', CRS, *ring.T)
    assert (min(x), max(x)) == pytest.approx((500000, 501000), abs=0.02)
    assert (min(y), max(y)) == pytest.approx((5399000, 5400000), abs=0.02)


def test_geoparquet(scene, tmp_path):
    geopandas = pytest.importorskip('geopandas')
    pytest.importorskip('pyarrow')
    path, _ = scene
    vectors, windows = FeatureRasters(Features(), tile=64).vectors(path, 100)
    save_vectors([(path, vectors, windows)], str(tmp_path / 'v.parquet'))
    frame = geopandas.read_parquet(tmp_path / 'v.parquet')
    assert len(frame) == 8 and frame.crs == 'EPSG:4326'
    np.testing.assert_allclose(np.stack(frame['vector']), vectors)
    assert frame.geometry.is_valid.all()


def test_no_place_no_footprint(tmp_path):
    path = write_raster(tmp_path / 'a.tif', landscape(64, 64), transform=None, crs=None)
    with pytest.raises(CMIDError, match='no longitude and latitude'):
        FeatureRasters(Features(), tile=64).vectors(path, 64)


def test_a_raster_smaller_than_a_tile_has_its_own_size(tmp_path):
    path = write_raster(tmp_path / 'a.tif', landscape(40, 50), transform=PLACE)
    out = str(tmp_path / 'f.tif')
    assert FeatureRasters(Features(), tile=64).write(path, out)['shape'] == [6, 5, 7]
    with rasterio.open(out) as file:
        assert np.isfinite(file.read()).all()
        assert file.bounds.right == 500000 + 7 * 80
    nothing = write_raster(tmp_path / 'b.tif', np.zeros((64, 64, 3), np.uint8), nodata=0,
                           transform=PLACE)
    assert FeatureRasters(Features(), tile=64).vectors(nothing, 64)[0].shape == (0, 6)
