"""Untrusted files: bombs, contradictions, pipes, and formats that start programs."""
import os
import struct
import threading
import warnings
import zlib

import cv2
import numpy as np
import pytest
from damaged_images import png
from damaged_images import refused as one_line
from PIL import Image

from cmid_mm.datasets import raster_reading
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.mask_reading import read_labels

READERS = pytest.mark.parametrize('read', [read_image, read_labels])


def refused(read, path, match, **kwargs):
    one_line(lambda: read(str(path), **kwargs), ImageError, match, path)


@pytest.fixture
def file(tmp_path):
    """``file(data)``: the path of a file with this content."""
    def write(data):
        (tmp_path / 'x.bin').write_bytes(data)
        return str(tmp_path / 'x.bin')
    return write


@READERS
def test_a_pipe_does_not_block_the_run(read, tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    thread = threading.Thread(
        target=refused, args=(read, tmp_path / 'pipe.png', 'is a pipe or a device'), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    for target, reason in (('/dev/zero', 'is a pipe or a device'),
                           ('gone', 'cannot be read: No such file')):
        (tmp_path / 'link.png').unlink(missing_ok=True)
        (tmp_path / 'link.png').symlink_to(target)
        refused(read, tmp_path / 'link.png', reason)
    refused(read, tmp_path, 'cannot be read: Is a directory')


@READERS
def test_gigabytes_and_bombs_are_refused_before_they_are_read(read, file):
    bomb = png(60000, 60000, zlib.compress(b'\0' * 9))
    refused(read, file(bomb), '60000 x 60000 pixels, .*set a higher max_pixels in LoadRSImage')
    path = file(png(4, 4, zlib.compress(b'\0' * 20)))
    os.truncate(path, 2**40)  # sparse: it takes no space
    refused(read, path, r'has 1,099,511,627,776 bytes, .*set a higher max_pixels')
    file(b'no image')
    os.truncate(path, 2**31)
    refused(read, path, 'is not a JPEG')


@READERS
def test_the_limit_is_the_users_and_not_pillows(read, file, monkeypatch):
    path = file(png(80, 70, zlib.compress((b'\0' + bytes(80)) * 70)))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read(path, max_pixels=5600)[0].shape[:2] == (70, 80)
    refused(read, path, 'max_pixels=5599', max_pixels=5599)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_opencvs_own_limit_and_the_short_header_of_a_bmp(file):
    refused(read_image, file(png(40000, 30000, bytes(2**21))), 'OPENCV_IO_MAX_IMAGE_PIXELS',
            max_pixels=2**31)
    data = (b'BM' + struct.pack('<IHHI', 42, 0, 0, 26)
            + struct.pack('<IHHHH', 12, 2, 2, 1, 24) + bytes([9] * 16))
    assert read_image(file(data)).pixels.shape[:2] == (2, 2)


def test_a_png_cannot_claim_more_than_its_bytes_hold(file, monkeypatch):
    rows = zlib.compress((b'\0' + bytes(4000)) * 4000, 9)
    assert read_image(file(png(4000, 4000, rows))).pixels.shape[0] == 4000
    data = png(4, 4, zlib.compress((b'\0' + bytes(4)) * 4))
    assert read_image(file(data + b'after the end')).pixels.shape == (4, 4, 1)
    monkeypatch.setattr(cv2, 'imdecode', None)
    refused(read_image, file(png(4000, 4000, rows[:8000])), 'bytes cannot hold')
    refused(read_image, file(data[:33] + b'\xff\xff\xff\xf0' + data[37:]), 'ends within a chunk')


def test_a_jpeg_has_the_size_that_its_decoder_finds(file):
    """After the marker 0 a decoder searches byte by byte, whatever length follows."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    data = cv2.imencode('.jpg', pixels)[1].tobytes()
    small = b'\xff\xc0\x00\x11\x08\x00\x02\x00\x02' + bytes(30)
    lie = data[:2] + b'\xff\x00' + struct.pack('>H', len(data)) + data[2:] + small
    assert cv2.imdecode(np.frombuffer(lie, np.uint8), cv2.IMREAD_UNCHANGED).shape == (64, 80, 3)
    refused(read_image, file(lie), '80 x 64 pixels', max_pixels=100)


@READERS
def test_memory_of_a_tiff_is_more_than_its_pixels(read, write_tiff):
    deep = write_tiff('deep.tif', np.zeros((16, 16, 40), np.float64))
    refused(read, deep, r'unfolds to [\d,]+ bytes, more than 16 for each of max_pixels=2000',
            max_pixels=2000)
    tile = write_tiff('tile.tif', np.zeros((4, 4, 1), np.uint8), tiled=True, blockxsize=1024,
                      blockysize=1024)
    refused(read, tile, 'unfolds to 1,048,576 bytes', max_pixels=65535)
    assert read(tile, max_pixels=65536)[0].shape[:2] == (4, 4)


def test_only_the_chosen_bands_are_counted(write_tiff):
    """Where the bands of a pixel lie together, one band unfolds with all others."""
    def read(path, **limit):
        return read_image(path, lambda *_: (5, ), **limit)

    paths = [write_tiff(f'{interleave}.tif', np.zeros((64, 64, 64), np.uint8), tiled=True,
                        interleave=interleave, blockxsize=64, blockysize=64)
             for interleave in ('band', 'pixel')]
    assert read(paths[0], max_pixels=10000).pixels.shape == (64, 64, 1)
    refused(read, paths[1], 'unfolds to 262,144 bytes', max_pixels=10000)


@READERS
def test_too_many_bands(read, write_tiff, monkeypatch):
    assert raster_reading._MAX_BANDS == 4096
    monkeypatch.setattr(raster_reading, '_MAX_BANDS', 40)
    path = write_tiff('x.tif', np.zeros((1, 1, 41), np.uint8))
    monkeypatch.setattr('rasterio.DatasetReader.read', None, raising=False)
    refused(read, path, 'has 41 bands, more than 40')


def test_formats_that_start_programs_are_no_masks(file, monkeypatch):
    """Pillow recognises PostScript by its content and passes it to Ghostscript."""
    started = []
    monkeypatch.setattr('subprocess.Popen', lambda *args, **kwargs: started.append(args))
    postscript = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n'
    for content in (postscript, b'BM' + postscript, b'GIF89a' + bytes(30)):
        refused(read_labels, file(content), r'damaged|is not a JPEG')
    assert not started
    formats, original = [], Image.open
    monkeypatch.setattr(Image, 'open', lambda source, formats_=None, **kwargs: (
        formats.append(kwargs['formats']), original(source, **kwargs))[1])
    read_labels(file(png(4, 4, zlib.compress((b'\0' + bytes(4)) * 4))))
    assert formats == [('PNG', )]
