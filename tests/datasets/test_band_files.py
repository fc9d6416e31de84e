"""Images of which every band is a file: names, grids and values."""
import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import TRANSFORM, write_raster

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.band_files import group_bands
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.image_reading import read_header, read_image
from cmid_mm.datasets.raster_paths import (
    Window,
    band_path,
    files_of,
    split_bands,
    split_window,
    window_path,
)
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex

SAFE = 'S2A.SAFE/GRANULE/L2A_T32/IMG_DATA'


@pytest.mark.parametrize('paths, grid, name', [
    (['a/B04.tif', 'a/B03.tif'], 0, 'a/{B04,B03}.tif'),
    (['T_B02_10m.jp2', 'T_B05_20m.jp2'], 1, 'T_{B02_10m,B05_20m!}.jp2'),
    (['x/R10m/T_B02.jp2', 'x/R20m/T_B05.jp2'], 0, 'x/{R10m/T_B02,R20m/T_B05}.jp2'),
    (['a.tif'], 0, 'a.tif')])
def test_a_name_stands_for_all_files(paths, grid, name):
    assert band_path(paths, grid) == name
    assert split_bands(name) == (paths, grid)
    assert files_of(window_path(name, Window(1, 2, 3, 4))) == paths
    assert split_window(window_path(name, Window(1, 2, 3, 4))) == (name, (1, 2, 3, 4))


@pytest.mark.parametrize('files, bands, pattern, expected', [
    # OSCD
    (['city/date_1/S2A_T31_B04.tif', 'city/date_1/S2A_T31_B08.tif', 'city/date_1/S2A_T31_B8A.tif',
      'city/date_2/T31_B04.tif', 'city/date_2/T31_B08.tif', 'city/change.png'],
     ('B08', 'B04'), '*{band}.*',
     [['city/date_1/S2A_T31_B08.tif', 'city/date_1/S2A_T31_B04.tif'],
      ['city/date_2/T31_B08.tif', 'city/date_2/T31_B04.tif']]),
    # a product with a folder for each resolution, and masks that are named as bands are
    ([f'{SAFE}/R10m/T32_B04_10m.jp2', f'{SAFE}/R20m/T32_B04_20m.jp2',
      f'{SAFE}/R20m/T32_B05_20m.jp2', 'S2A.SAFE/GRANULE/L2A_T32/QI_DATA/MSK_B04_10m.jp2',
      'S2A.SAFE/GRANULE/L2A_T32/QI_DATA/MSK_B05_20m.jp2'],
     ('B04_10m', 'B05_20m'), '*{band}.*',
     [[f'{SAFE}/R10m/T32_B04_10m.jp2', f'{SAFE}/R20m/T32_B05_20m.jp2']]),
    # Landsat: B1 is no part of B10
    (['LC08_B1.TIF', 'LC08_B10.TIF', 'LC09_B1.TIF', 'LC09_B10.TIF'], ('B1', 'B10'), '*{band}.*',
     [['LC08_B1.TIF', 'LC08_B10.TIF'], ['LC09_B1.TIF', 'LC09_B10.TIF']]),
    # the band first
    (['red_a.tif', 'nir_a.tif', 'red_b.tif', 'nir_b.tif'], ('nir', 'red'), '{band}_*',
     [['nir_a.tif', 'red_a.tif'], ['nir_b.tif', 'red_b.tif']]),
    # a file for the only band
    (['x_VV.tif', 'x_VH.tif'], ('VV', ), '*{band}.*', [['x_VV.tif']])])
def test_images_are_found_by_names(files, bands, pattern, expected):
    assert [files_of(name) for name in group_bands(files, bands, pattern)] == expected


@pytest.mark.parametrize('files, settings, message', [
    (['a_B04.tif', 'b_B04.tif', 'b_B03.tif'], {}, r'a_\*.tif lacks 1 of 2 bands: B03'),
    (['a_red.tif'], {}, "a_red.tif, has the name of a band in .*'B04', 'B03'"),
    (['R10m/a_B04.jp2', 'R20m/a_B04.jp2', 'a_B03.jp2'], {}, 'are the same band of one image'),
    (['a_B04.tif', 'a_B03.tif'], dict(grid_band='B02'), 'grid_band'),
    (['a_B04.tif', 'a_B03.tif'], dict(pattern='*.tif'), 'needs .*band'),
    (['a,b_B04.tif', 'a,b_B03.tif'], {}, 'a,b_B04.tif: names of band files'),
    (['a_B04.tif'], dict(bands=('B04', 'B04')), 'every band once')])
def test_what_does_not_fit_is_named(files, settings, message):
    with pytest.raises(CMIDError, match=message):
        group_bands(files, **dict(dict(bands=('B04', 'B03')), **settings))


def ramp(height, width, scale, dtype=np.uint16):
    """A band whose values are linear in the position on the ground, 10 a metre."""
    y, x = (np.arange(side) * scale + scale / 2 for side in (height, width))
    return (1000 + 10 * x + 20 * y[:, None])[..., None].astype(dtype)


@pytest.fixture
def scene(tmp_path):
    """Three bands of 10, 20 and 60 m; values of the ground's own plane."""
    for name, scale in (('B02', 10), ('B05', 20), ('B01', 60)):
        side = 240 // scale * 5
        write_raster(tmp_path / f'T31_{name}.tif', ramp(side, side, scale),
                     transform=from_origin(500000, 5400000, scale, scale))
    return tmp_path


def folder(root, *bands, **settings):
    load = dict(type='LoadRSImage', bands=len(bands), value_range=(0, 65535))
    return ImageFolder(data_root=str(root), band_files=bands, pipeline=[load], **settings)


def test_bands_come_to_the_grid_of_the_first_or_a_chosen_one(scene):
    name = folder(scene, 'B02', 'B05', 'B01').get_data_info(0)['img_path']
    found = read_image(name).pixels
    assert found.shape == (120, 120, 3) and read_header(name)[:2] == (120, 120)
    # linear interpolation keeps a plane, up to rounding, away from the outermost half pixels
    inner = found[3:-3, 3:-3].astype(int)
    assert np.abs(inner - inner[..., :1]).max() <= 1
    coarse = folder(scene, 'B02', 'B05', grid_band='B05').get_data_info(0)['img_path']
    assert read_image(coarse).pixels.shape == (60, 60, 2)
    np.testing.assert_array_equal(read_image(coarse).pixels[..., 1], ramp(60, 60, 20)[..., 0])


def test_a_pixel_does_not_depend_on_the_window(scene):
    name = folder(scene, 'B02', 'B05', 'B01').get_data_info(0)['img_path']
    rng = np.random.default_rng(0)
    for path in split_bands(name)[0]:  # noise, which no interpolation hides
        side = read_header(path).width
        write_raster(path, rng.integers(0, 65535, (side, side, 1), np.uint16),
                     transform=from_origin(500000, 5400000, 1200 / side, 1200 / side))
    whole = read_image(name).pixels
    for left, top, width, height in [(0, 0, 120, 120), (7, 13, 64, 31), (119, 119, 1, 1)]:
        part = read_image(window_path(name, Window(left, top, width, height))).pixels
        np.testing.assert_array_equal(part, whole[top:top + height, left:left + width])


def test_missing_pixels_of_a_coarse_band_mix_with_nothing(tmp_path):
    fine, coarse = ramp(40, 40, 10), ramp(20, 20, 20)
    coarse[5:8, 5:8] = 0
    write_raster(tmp_path / 'a_B02.tif', fine, transform=from_origin(0, 0, 10, 10), crs=None)
    write_raster(tmp_path / 'a_B05.tif', coarse, transform=from_origin(0, 0, 20, 20), crs=None,
                 nodata=0)
    found = read_image(str(tmp_path / 'a_{B02,B05}.tif'))
    band = found.pixels[..., 1]
    expected = np.zeros((40, 40), bool)
    expected[10:16, 10:16] = True
    np.testing.assert_array_equal(band == 0, expected)
    assert band[~expected].min() >= 1000
    # the pixel has the value of the other band
    assert found.valid is None or found.valid.all()


def test_order_and_choice_of_bands(scene):
    def first(*bands, **load):
        dataset = folder(scene, *bands)
        dataset.pipeline.transforms[0].band_indices = load.get('band_indices')
        dataset.pipeline.transforms[0].bands = load.get('bands', len(bands))
        return dataset[0]['img']

    one, other = first('B02', 'B05'), first('B05', 'B02', grid_band='B02')
    assert one.shape == (120, 120, 2) and other.shape == (60, 60, 2)
    np.testing.assert_array_equal(first('B02', 'B05', bands=1, band_indices=(1, ))[..., 0],
                                  one[..., 1])


def test_windows_of_several_files(scene):
    dataset = folder(scene, 'B02', 'B05', window=50)
    assert len(dataset) == 4
    found = dataset[SampleIndex(3, 0, 0)]
    name, window = split_window(found['img_path'])
    np.testing.assert_array_equal(
        found['img'], folder(scene, 'B02', 'B05')[0]['img'][
            window.top:window.top + 50, window.left:window.left + 50])


@pytest.mark.parametrize('transform', [from_origin(500400, 5400000, 20, 20),
                                       from_origin(500000, 5400000, 10, 10)])
def test_bands_of_other_places_are_refused(tmp_path, transform):
    write_raster(tmp_path / 'a_B02.tif', ramp(40, 40, 10),
                 transform=from_origin(500000, 5400000, 10, 10))
    write_raster(tmp_path / 'a_B05.tif', ramp(20, 20, 20), transform=transform)
    with pytest.raises(ImageError, match='a_B05.tif .20 x 20 pixels. does not cover the ground of '
                                         '.*a_B02.tif .40 x 40'):
        folder(tmp_path, 'B02', 'B05')[0]


def test_bands_without_a_place_must_have_one_aspect(tmp_path):
    plain = dict(transform=None, crs=None)
    write_raster(tmp_path / 'a_B02.tif', ramp(40, 40, 10), **plain)
    write_raster(tmp_path / 'a_B05.tif', ramp(20, 20, 20), **plain)
    write_raster(tmp_path / 'a_B06.tif', ramp(20, 30, 20), **plain)
    assert folder(tmp_path, 'B02', 'B05')[0]['img'].shape == (40, 40, 2)
    with pytest.raises(ImageError, match='a_B06.tif'):
        folder(tmp_path, 'B02', 'B06')[0]


def test_a_file_of_several_bands_is_no_band(tmp_path):
    for name, bands in (('B02', 1), ('B03', 3)):
        write_raster(tmp_path / f'a_{name}.tif', np.zeros((20, 20, bands), np.uint16),
                     transform=TRANSFORM)
    with pytest.raises(ImageError, match='a_B03.tif has 3 bands, but it is one band'):
        folder(tmp_path, 'B02', 'B03')[0]


def test_a_band_that_is_damaged_is_named(scene):
    dataset = folder(scene, 'B02', 'B05')
    (scene / 'T31_B05.tif').write_bytes(b'II*\0')
    with pytest.raises(ImageError, match='T31_B05.tif is damaged'):
        dataset[0]


def test_names_of_bands_are_known(scene):
    from cmid_mm.datasets.input_description import describe_input
    found = describe_input(folder(scene, 'B02', 'B05', sensor='Sentinel-2 L1C'))
    assert found == dict(band_names=['B02', 'B05'], ground_sample_distance=[10., 10.],
                         sensor='Sentinel-2 L1C')


@pytest.mark.parametrize('offset', [0, 5, 10])
@pytest.mark.parametrize('scale, side', [(10, 78), (20, 39), (60, 13)])
def test_bands_are_at_their_place_on_the_ground(tmp_path, offset, scale, side):
    """Whatever their sizes and corners: values are metres on the ground."""
    places = dict(B02=(10, 78, 0), B05=(scale, side, offset))
    for name, (pixel, count, shift) in places.items():
        x = (np.arange(count) + 0.5) * pixel + shift
        pixels = np.tile(x, (count, 1))[..., None].astype(np.float32)
        write_raster(tmp_path / f'a_{name}.tif', pixels,
                     transform=from_origin(500000 + shift, 5400000, pixel, pixel))
    pixels = read_image(str(tmp_path / 'a_{B02,B05}.tif')).pixels
    inner = pixels[4:-4, 7:-7]
    np.testing.assert_allclose(inner[..., 0], inner[..., 1], atol=0.5)


def test_a_list_has_the_order_of_the_config(scene):
    listed = group_bands(sorted(path.name for path in scene.glob('*.tif')), ('B05', 'B02'),
                         grid_band='B02')
    (scene / 'list.txt').write_text('\n'.join(listed))
    for window in (None, 50):
        one = folder(scene, 'B02', 'B05', ann_file='list.txt', window=window)
        other = folder(scene, 'B02', 'B05', window=window)
        np.testing.assert_array_equal(one[0]['img'], other[0]['img'])
    with pytest.raises(CMIDError, match='list.txt names'):
        folder(scene, 'B02', 'B01', ann_file='list.txt')


def test_gaps_in_one_band_only(tmp_path):
    pixels = ramp(130, 130, 10)
    pixels[:, 60:] = 0
    write_raster(tmp_path / 'a_B02.tif', pixels, nodata=0)
    write_raster(tmp_path / 'a_B05.tif', ramp(130, 130, 10))
    assert len(folder(tmp_path, 'B02', 'B05', window=64)) == 4


def test_a_name_with_braces_may_be_a_file(tmp_path):
    path = write_raster(tmp_path / 's_{1,2}.tif', ramp(20, 20, 10))
    assert read_image(path).pixels.shape == (20, 20, 1)


def test_a_list_does_not_leave_the_folder_through_braces(tmp_path):
    (tmp_path / 'data').mkdir()
    for name in 'ab':
        write_raster(tmp_path / f'{name}.tif', ramp(20, 20, 10))
    (tmp_path / 'data/list.txt').write_text('{../a,../b}.tif')
    with pytest.raises(CMIDError, match='outside the data folder'):
        ImageFolder(data_root=str(tmp_path / 'data'), ann_file='list.txt', pipeline=[])
