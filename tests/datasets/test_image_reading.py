import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from cmid_mm.datasets.image_header import read_header
from cmid_mm.datasets.image_reading import ImageError, read_image


@pytest.mark.parametrize('ending', ['jpg', 'png', 'bmp', 'webp', 'tif'])
def test_bands_come_as_red_green_blue(scene, tmp_path, ending):
    path = tmp_path / f'image.{ending}'
    Image.fromarray(scene).save(path)  # an independent writer
    pixels = read_image(str(path)).pixels
    assert pixels.flags.c_contiguous and pixels.dtype == np.uint8
    tolerance = 12 if ending in ('jpg', 'webp') else 0
    assert np.abs(pixels.astype(int) - scene).max() <= tolerance


def test_content_tells_the_format_and_not_the_name(scene, write, tmp_path):
    (tmp_path / 'png.jpg').write_bytes(open(write('x.png', scene), 'rb').read())
    assert np.array_equal(read_image(str(tmp_path / 'png.jpg')).pixels, scene)


@pytest.mark.parametrize('ending, modes', [
    ('jpg', ['L', 'RGB', 'CMYK', '1']), ('bmp', ['L', 'RGB', 'RGBA', 'P', '1']),
    ('png', ['L', 'RGB', 'RGBA', 'LA', 'P', '1', 'I;16']), ('webp', ['RGB', 'RGBA', 'P'])])
@pytest.mark.parametrize('size', [(1, 1), (33, 20), (300, 7)])
def test_header_tells_the_size(tmp_path, ending, modes, size):
    for mode in modes:
        path = tmp_path / f'{mode[0]}.{ending}'
        Image.new(mode, size).save(path)
        header = read_header(path.read_bytes())
        assert (header.width, header.height) == size
        assert header.grey_alpha == (mode == 'LA')


@pytest.mark.parametrize('progressive', [False, True])
def test_header_behind_long_comments(scene, tmp_path, progressive):
    path = tmp_path / 'x.jpg'
    Image.fromarray(scene).save(path, progressive=progressive)
    data = path.read_bytes()
    # What looks like a frame header inside a comment is none; 0xFF may fill the gap.
    comment = b'\xff\xfe' + struct.pack('>H', 65000) + b'\xff\xc0' * 32499
    path.write_bytes(data[:2] + comment * 2 + b'\xff' + data[2:])
    header = read_header(path.read_bytes())
    assert (header.height, header.width) == scene.shape[:2]
    assert read_image(str(path)).pixels.shape == scene.shape


@pytest.mark.parametrize('lossless', [False, True])
@pytest.mark.parametrize('bands', [3, 4])
def test_header_of_every_kind_of_webp(scene, tmp_path, lossless, bands):
    pixels = np.dstack([scene, scene[..., 0]])[..., :bands]
    Image.fromarray(pixels).save(tmp_path / 'x.webp', lossless=lossless)
    header = read_header((tmp_path / 'x.webp').read_bytes())
    assert (header.height, header.width) == scene.shape[:2]
    assert read_image(str(tmp_path / 'x.webp'), lambda n, _: range(n)
                      ).pixels.shape == pixels.shape


@pytest.mark.parametrize('ending', ['jpg', 'png', 'bmp', 'webp', 'tif'])
@pytest.mark.parametrize('share', [0.02, 0.5, 0.9])
def test_cut_off_files_are_named(tmp_path, ending, share):
    path = tmp_path / f'cut.{ending}'
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:max(9, int(share * len(data)))])
    with pytest.raises(ImageError, match=f'cut.{ending} is ') as error:
        read_image(str(path))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('data, reason', [
    (b'', 'is empty'), (b'<html>404 not found</html>' * 40, 'is not a JPEG, PNG, TIFF'),
    (b'\0' * 5000, 'is not a JPEG'), (b'\xff', 'is not a JPEG'),
    (b'\xff\xd8' + b'text' * 40, 'damaged JPEG header'),
    (b'\xff\xd8' + b'\xff' * 100, 'cut off within its header'),
    (b'II*\0' + b'text' * 40, 'is damaged or cut off'),
    (b'<VRTDataset rasterXSize="9" rasterYSize="9"/>', 'is not a JPEG'),
    (b'BM' + bytes(60), 'has no pixels')])
@pytest.mark.parametrize('ending', ['jpg', 'tif'])
def test_other_contents_are_named(tmp_path, data, reason, ending):
    path = tmp_path / f'x.{ending}'
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f'x.{ending} .*{reason}'):
        read_image(str(path))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ImageError, match='gone.jpg cannot be read: No such file'):
        read_image(str(tmp_path / 'gone.jpg'))
    with pytest.raises(ImageError, match='cannot be read: Is a directory'):
        read_image(str(tmp_path))


@pytest.mark.parametrize('ending', ['jpg', 'png', 'bmp', 'webp', 'tif'])
def test_limit_on_pixels_before_decoding(scene, tmp_path, monkeypatch, ending):
    path = tmp_path / f'x.{ending}'
    Image.fromarray(scene).save(path)
    count = scene.shape[0] * scene.shape[1]
    assert read_image(str(path), max_pixels=count).pixels.shape == scene.shape
    monkeypatch.setattr(cv2, 'imdecode', None)
    monkeypatch.setattr('rasterio.DatasetReader.read', None, raising=False)
    with pytest.raises(ImageError, match=f'56 x 40 pixels, .*max_pixels={count - 1}'):
        read_image(str(path), max_pixels=count - 1)


def test_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / 'bomb.png'
    Image.new('L', (4, 4)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack('>II', 60000, 60000)
    path.write_bytes(data)
    with pytest.raises(ImageError, match='60000 x 60000 pixels'):
        read_image(str(path))


def test_nodata_is_reported_for_the_chosen_bands(scene, write_tiff):
    path = write_tiff('x.tif', scene.astype(np.float32), nodata=-1)
    assert read_image(path, lambda bands, alpha: (2, 0)).nodata == (-1, -1)
    assert np.array_equal(read_image(path, lambda bands, alpha: (2, 0)).pixels,
                          scene[..., [2, 0]])
