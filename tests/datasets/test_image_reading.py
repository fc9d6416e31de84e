import os
import struct

import cv2
import numpy as np
import pytest
import rasterio
from damaged_images import refused
from PIL import Image

from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.image_reading import read_image

ENDINGS = pytest.mark.parametrize('ending', ['jpg', 'png', 'bmp', 'webp', 'tif'])


@ENDINGS
def test_bands_come_as_red_green_blue(scene, tmp_path, ending):
    path = tmp_path / f'image.{ending}'
    Image.fromarray(scene).save(path)  # an independent writer
    pixels = read_image(str(path)).pixels
    assert pixels.flags.c_contiguous and pixels.dtype == np.uint8
    tolerance = 12 if ending in ('jpg', 'webp') else 0
    assert np.abs(pixels.astype(int) - scene).max() <= tolerance


def test_the_content_decides_the_format_and_not_the_name(scene, write, tmp_path):
    (tmp_path / 'png.jpg').write_bytes(open(write('x.png', scene), 'rb').read())
    assert np.array_equal(read_image(str(tmp_path / 'png.jpg')).pixels, scene)


@pytest.mark.parametrize('ending, modes', [
    ('jpg', ['L', 'RGB', 'CMYK', '1']), ('bmp', ['L', 'RGB', 'RGBA', 'P', '1']),
    ('png', ['L', 'RGB', 'RGBA', 'LA', 'P', '1', 'I;16']),
    ('webp', ['RGB', 'RGBA', 'P']), ('tif', ['L', 'RGB', 'RGBA', 'P', '1', 'I;16'])])
def test_every_mode_of_a_format_is_read(tmp_path, ending, modes):
    for mode in modes:
        Image.new(mode, (33, 20)).save(tmp_path / f'x.{ending}')
        kinds = []
        pixels = read_image(str(tmp_path / f'x.{ending}'),
                            lambda *kind, kinds=kinds: kinds.append(kind) or range(kind[0])).pixels
        assert pixels.shape == (20, 33, kinds[0][0]), mode
        if mode in ('L', 'LA', 'RGB'):
            assert kinds == [dict(L=(1, False), LA=(2, True), RGB=(3, False))[mode]]


@pytest.mark.parametrize('progressive', [False, True])
def test_a_jpeg_header_after_long_comments(scene, tmp_path, progressive):
    path = tmp_path / 'x.jpg'
    Image.fromarray(scene).save(path, progressive=progressive)
    data = path.read_bytes()
    # A frame header inside a comment is none; any number of 0xFF may fill the gap.
    comment = b'\xff\xfe' + struct.pack('>H', 65000) + b'\xff\xc0' * 32499
    path.write_bytes(data[:2] + comment * 2 + b'\xff' + data[2:])
    assert read_image(str(path)).pixels.shape == scene.shape
    refused(lambda: read_image(str(path), max_pixels=2239), ImageError, '56 x 40 pixels')


@ENDINGS
@pytest.mark.parametrize('share', [0.02, 0.5, 0.9])
def test_cut_off_files_are_named(tmp_path, ending, share):
    path = tmp_path / f'cut.{ending}'
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:max(9, int(share * len(data)))])
    refused(lambda: read_image(str(path)), ImageError, f'cut.{ending} is ', path)


@pytest.mark.parametrize('data, reason', [
    (b'', 'is empty'), (b'<html>404 not found</html>' * 40, 'is not a JPEG, PNG, TIFF'),
    (b'\0' * 5000, 'is not a JPEG'), (b'\xff', 'is not a JPEG'),
    (b'\xff\xd8' + b'text' * 40, 'its header cannot be read'),
    (b'\xff\xd8' + b'\xff' * 100, 'its header cannot be read'),
    (b'\x89PNG\r\n\x1a\n' + bytes(9), 'its header cannot be read'),
    (b'II*\0' + b'text' * 40, 'is damaged or cut off'),
    (b'<VRTDataset rasterXSize="9" rasterYSize="9"/>', 'is not a JPEG'),
    (b'BM' + bytes(60), 'its header cannot be read')])
@pytest.mark.parametrize('ending', ['jpg', 'tif'])
def test_other_contents_are_named(tmp_path, data, reason, ending):
    path = tmp_path / f'x.{ending}'
    path.write_bytes(data)
    refused(lambda: read_image(str(path)), ImageError, reason, path)


@ENDINGS
def test_limit_on_pixels_before_decoding(scene, tmp_path, monkeypatch, ending):
    path = tmp_path / f'x.{ending}'
    Image.fromarray(scene).save(path)
    count = scene.shape[0] * scene.shape[1]
    assert read_image(str(path), max_pixels=count).pixels.shape == scene.shape
    monkeypatch.setattr(cv2, 'imdecode', None)
    monkeypatch.setattr('rasterio.DatasetReader.read', None, raising=False)
    refused(lambda: read_image(str(path), max_pixels=count - 1), ImageError,
            f'56 x 40 pixels, .*max_pixels={count - 1}', path)


def test_nodata_is_reported_for_the_chosen_bands(scene, write_tiff):
    path = write_tiff('x.tif', scene.astype(np.float32), nodata=-1)
    raster = read_image(path, lambda bands, alpha: (2, 0))
    assert raster.nodata == (-1, -1) and np.array_equal(raster.pixels, scene[..., [2, 0]])


def test_nodata_may_stand_in_a_file_beside_a_tiff(write_tiff, tmp_path):
    path = write_tiff('x.tif', np.arange(12, dtype=np.uint16).reshape(3, 4, 1))
    assert read_image(path).nodata == (None, )
    (tmp_path / 'x.tif.aux.xml').write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>5</NoDataValue></PAMRasterBand>'
        '</PAMDataset>')
    assert read_image(path).nodata == (5, )


def test_pages_are_refused_and_previews_are_not(scene, tmp_path):
    first, path = Image.fromarray(scene), tmp_path / 'x.tif'
    first.save(path, save_all=True, append_images=[first] * 12)
    refused(lambda: read_image(str(path)), ImageError, 'has 13 pages of 56 x 40 pixels', path)
    first.save(path, save_all=True, append_images=[first.resize((28, 20))])
    assert np.array_equal(read_image(str(path)).pixels, scene)
    first.resize((600, 600)).save(path)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as file:
        file.write_mask(np.ones((600, 600), bool))
        file.build_overviews([2, 4])
    assert read_image(str(path)).pixels.shape == (600, 600, 3)


def test_names_that_are_not_utf_8(scene, write_tiff, tmp_path):
    for ending in ('tif', 'png'):
        Image.fromarray(scene).save(tmp_path / f'x.{ending}')
        os.rename(tmp_path / f'x.{ending}', os.fsencode(tmp_path) + b'/\xff.' + ending.encode())
    path = os.fsdecode(os.fsencode(tmp_path) + b'/\xff')
    assert np.array_equal(read_image(f'{path}.png').pixels, scene)
    refused(lambda: read_image(f'{path}.tif'), ImageError, 'a name that is not UTF-8', path)
