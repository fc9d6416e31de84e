"""Files that nobody vouches for: bombs, lies, pipes and formats that do more than decode."""
import os
import struct
import threading
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cmid_mm.datasets.image_header import read_header
from cmid_mm.datasets.image_reading import ImageError, read_image
from cmid_mm.datasets.mask_reading import read_labels

READERS = pytest.mark.parametrize('read', [read_image, read_labels])


def refused(read, path, match, **kwargs):
    with pytest.raises(ImageError, match=match) as error:
        read(str(path), **kwargs)
    message = str(error.value)
    assert str(path) in message and len(message.splitlines()) == 1


def png(width, height, idat=b''):
    """A grey PNG whose header says what it likes."""
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)),
              (b'IDAT', idat), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data
        + struct.pack('>I', zlib.crc32(kind + data)) for kind, data in chunks)


@READERS
def test_a_pipe_does_not_hold_up_the_run(read, tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    thread = threading.Thread(
        target=refused, args=(read, tmp_path / 'pipe.png', 'is a pipe or a device'), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    (tmp_path / 'zero.png').symlink_to('/dev/zero')
    refused(read, tmp_path / 'zero.png', 'is a pipe or a device')
    (tmp_path / 'nothing.png').symlink_to(tmp_path / 'gone.png')
    refused(read, tmp_path / 'nothing.png', 'cannot be read: No such file')


@READERS
def test_a_file_of_gigabytes_is_not_read(read, tmp_path):
    path = tmp_path / 'x.png'
    path.write_bytes(png(4, 4, zlib.compress(b'\0' * 20)))
    os.truncate(path, 2**40)  # sparse: it takes no space
    refused(read, path, r'has 1,099,511,627,776 bytes, .*set a higher max_pixels')
    path.write_text('no image')
    os.truncate(path, 2**31)
    refused(read, path, 'is not a JPEG')


@READERS
def test_a_bomb_is_refused_before_it_is_decoded(read, tmp_path):
    (tmp_path / 'x.png').write_bytes(png(60000, 60000, zlib.compress(b'\0' * 9)))
    refused(read, tmp_path / 'x.png', '60000 x 60000 pixels, .*set a higher max_pixels in '
            'LoadRSImage')


@READERS
def test_the_limit_is_the_users_and_not_pillows(read, tmp_path, monkeypatch):
    rows = zlib.compress((b'\0' + bytes(80)) * 70)
    (tmp_path / 'x.png').write_bytes(png(80, 70, rows))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read(str(tmp_path / 'x.png'), max_pixels=5600)[0].shape[:2] == (70, 80)
    refused(read, tmp_path / 'x.png', 'max_pixels=5599', max_pixels=5599)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_opencvs_own_limit_is_told(tmp_path):
    (tmp_path / 'x.png').write_bytes(png(40000, 30000, bytes(2**21)))
    refused(read_image, tmp_path / 'x.png', 'OPENCV_IO_MAX_IMAGE_PIXELS', max_pixels=2**31)


def test_a_png_cannot_promise_more_than_its_bytes_hold(tmp_path, monkeypatch):
    rows = zlib.compress((b'\0' + bytes(10000)) * 10000, 9)
    assert read_header(png(10000, 10000, rows)).least_bytes <= len(rows)
    assert read_image(_file(tmp_path, png(10000, 10000, rows))).pixels.shape[0] == 10000
    monkeypatch.setattr(cv2, 'imdecode', None)
    refused(read_image, _file(tmp_path, png(10000, 10000, rows[:50000])), 'bytes cannot hold')


def test_a_png_is_walked_before_its_chunks_get_memory(tmp_path, monkeypatch):
    data = png(4, 4, zlib.compress((b'\0' + bytes(4)) * 4))
    assert read_image(_file(tmp_path, data + b'what follows the end')).pixels.shape == (4, 4, 1)
    monkeypatch.setattr(cv2, 'imdecode', None)
    long = data[:33] + b'\xff\xff\xff\xf0' + data[37:]
    refused(read_image, _file(tmp_path, long), 'ends within a chunk')


def test_a_jpeg_has_the_size_that_its_decoder_finds(tmp_path):
    """Behind the marker 0 a decoder goes on byte by byte, whatever length follows."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    data = cv2.imencode('.jpg', pixels)[1].tobytes()
    hidden = data[2:]
    small = b'\xff\xc0\x00\x11\x08\x00\x02\x00\x02' + bytes(30)
    lie = data[:2] + b'\xff\x00' + struct.pack('>H', len(hidden) + 2) + hidden + small
    assert cv2.imdecode(np.frombuffer(lie, np.uint8), cv2.IMREAD_UNCHANGED).shape == (64, 80, 3)
    refused(read_image, _file(tmp_path, lie), 'damaged JPEG header', max_pixels=100)


def test_the_short_header_of_a_bmp(tmp_path):
    data = (b'BM' + struct.pack('<IHHI', 42, 0, 0, 26)
            + struct.pack('<IHHHH', 12, 2, 2, 1, 24) + bytes([9] * 16))
    assert read_header(data)[:2] == (2, 2)
    assert read_image(_file(tmp_path, data)).pixels.shape[:2] == (2, 2)


@READERS
def test_pixels_of_a_tiff_are_not_all_it_unfolds_to(read, write_tiff):
    deep = write_tiff('deep.tif', np.zeros((16, 16, 40), np.float64))
    refused(read, deep, r'unfolds to [\d,]+ bytes, more than 16 for each of max_pixels=2000',
            max_pixels=2000)
    tile = write_tiff('tile.tif', np.zeros((4, 4, 1), np.uint8), tiled=True, blockxsize=1024,
                      blockysize=1024)
    refused(read, tile, 'unfolds to 1,048,576 bytes', max_pixels=65535)
    assert read(tile, max_pixels=65536)[0].shape[:2] == (4, 4)


def test_few_bands_of_many_are_counted_alone(write_tiff):
    deep = write_tiff('deep.tif', np.zeros((16, 16, 40), np.float64), interleave='band')
    pixels = read_image(deep, lambda bands, alpha: (0, 1), max_pixels=256).pixels
    assert pixels.shape == (16, 16, 2)
    # where bands lie together, one of them unfolds with all others
    options = dict(tiled=True, blockxsize=64, blockysize=64)
    for interleave in ('band', 'pixel'):
        path = write_tiff(f'{interleave}.tif', np.zeros((64, 64, 64), np.uint8),
                          interleave=interleave, **options)
        if interleave == 'band':
            assert read_image(path, lambda *_: (5,), max_pixels=10000).pixels.size == 64 * 64
        else:
            refused(lambda path, **limit: read_image(path, lambda *_: (5,), **limit), path,
                    'unfolds to 262,144 bytes', max_pixels=10000)


@READERS
def test_bands_without_end(read, write_tiff, monkeypatch):
    path = write_tiff('x.tif', np.zeros((1, 1, 4097), np.uint8))
    monkeypatch.setattr('rasterio.DatasetReader.read', None, raising=False)
    refused(read, path, 'has 4097 bands, more than 4096')


def test_formats_that_run_programs_are_no_masks(tmp_path, monkeypatch):
    """Pillow hands PostScript to Ghostscript, and knows it by its content."""
    def fail(*args, **kwargs):
        raise AssertionError('a program was started')

    monkeypatch.setattr('subprocess.Popen', fail)
    postscript = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n'
    for content in (postscript, b'BM' + postscript, b'GIF89a' + bytes(30)):
        refused(read_labels, _file(tmp_path, content), r'damaged|is not a JPEG')
    asked = []
    opened = Image.open
    monkeypatch.setattr(Image, 'open', lambda file, formats=None: (
        asked.append(formats), opened(file, formats=formats))[1])
    read_labels(_file(tmp_path, png(4, 4, zlib.compress((b'\0' + bytes(4)) * 4))))
    assert asked == [('PNG', 'BMP', 'JPEG', 'WEBP')]


def _file(folder, data):
    path = folder / 'x.bin'
    path.write_bytes(data)
    return str(path)
