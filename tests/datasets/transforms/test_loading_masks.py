"""Masks of classes and of change: every file type, and numbers that are no class."""
import struct
import zlib

import numpy as np
import pytest
from damaged_images import refused as one_line
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from cmid_mm.datasets.file_limits import ImageError

LABELS = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)


def load(path, transform='LoadMask', results=(), **kwargs):
    results = dict(seg_map_path=str(path), img_path='image.tif', num_classes=3,
                   **dict(results))
    results = TRANSFORMS.build(dict(type=transform, **kwargs))(results)
    assert results['seg_fields'] == ['gt_seg_map']
    mask = results['gt_seg_map']
    assert mask.dtype == np.uint8 and mask.ndim == 2
    return mask.tolist()


def refused(path, match, **kwargs):
    one_line(lambda: load(path, **kwargs), ImageError, match, path)


@pytest.fixture
def save(tmp_path):
    """``save(array, name)``: save with Pillow and return the path."""
    def call(array, name='m.png', **options):
        Image.fromarray(array).save(tmp_path / name, **options)
        return tmp_path / name
    return call


def test_pngs_of_every_kind(save, tmp_path):
    for pixels in (LABELS, LABELS.astype(np.uint16), np.dstack([LABELS] * 3)):
        assert load(save(pixels)) == LABELS.tolist()
    picture = Image.fromarray(LABELS, 'P')
    # colours without relation to the number
    picture.putpalette([200, 10, 10] * 256)
    picture.save(tmp_path / 'palette.png')
    assert load(tmp_path / 'palette.png') == LABELS.tolist()


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'int32', 'float32'])
def test_geotiff_of_any_number_type(write_tiff, dtype):
    labels = LABELS.astype(dtype)[..., None]
    assert load(write_tiff('mask.tif', labels)) == LABELS.tolist()
    if dtype == 'uint8':
        path = write_tiff('palette.tif', labels, photometric='palette',
                          colormap={i: (9, 9, 9, 255) for i in range(256)})
        assert load(path) == LABELS.tolist()


def test_zero_is_ignored_where_classes_count_from_one(save):
    path = save(np.array([[0, 1, 3], [255, 2, 2]], np.uint8))
    assert load(path, results=dict(reduce_zero_label=True)) == [[255, 0, 2], [255, 1, 1]]
    refused(path, 'holds 3 in 1 of 6 pixels, but there are 3 classes, 0 to 2')


def test_values_are_mapped_to_classes(save):
    path = save(np.array([[0, 128, 255]], np.uint8))
    values = {0: 0, 128: 255, 255: 1}
    assert load(path, results=dict(values=values)) == [[0, 255, 1]]
    # without a map 255 is ignored, and with one nothing but its values is known
    assert load(save(np.array([[0, 255]], np.uint8))) == [[0, 255]]
    refused(save(np.array([[0, 1]], np.uint8)), 'holds 1 in 1 of 2 pixels',
            results=dict(values=values))


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_grey_levels_of_few_bits_are_the_numbers_in_the_file(tmp_path, bits):
    rows = bytes([0, 0b01000000 if bits == 2 else 0x12 if bits == 4 else 0b10100000])
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', 2, 1, bits, 0, 0, 0, 0)
    (tmp_path / 'm.png').write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(
        b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
    assert load(tmp_path / 'm.png') == [[1, {1: 0, 2: 0, 4: 2}[bits]]]


@pytest.mark.parametrize('ending, options', [
    ('jpg', {}), ('webp', {}), ('tif', dict(compression='jpeg'))])
def test_masks_compressed_with_loss_are_refused(save, ending, options):
    refused(save(np.zeros((32, 32), np.uint8), f'm.{ending}', **options), 'compressed with loss')


def test_webp_without_loss_keeps_the_numbers(save):
    pixels = np.dstack([LABELS] * 3)
    assert load(save(pixels, 'm.webp', lossless=True, exact=True)) == LABELS.tolist()


def test_nodata_is_ignored_unless_it_is_a_class(write_tiff):
    labels = np.array([[0, -9999], [2, 1]], np.int16)[..., None]
    assert load(write_tiff('a.tif', labels, nodata=-9999)) == [[0, 255], [2, 1]]
    assert load(write_tiff('b.tif', np.abs(labels) % 3, nodata=0)) == [[0, 0], [2, 1]]
    refused(write_tiff('c.tif', labels), 'holds -9999 in 1 of 4')
    for nodata in (np.nan, -3.4e38):
        path = write_tiff('d.tif', np.abs(labels).astype(np.float32) % 3, nodata=nodata)
        assert load(path) == [[0, 0], [2, 1]]


def test_missing_pixels_of_a_float_mask_may_be_nan(write_tiff):
    labels = np.array([[0, np.nan], [2, 1]], np.float32)[..., None]
    assert load(write_tiff('a.tif', labels, nodata=np.nan)) == [[0, 255], [2, 1]]
    refused(write_tiff('b.tif', labels), 'fractions or NaN')


def test_files_that_are_no_masks(save, write_tiff, tmp_path):
    refused(save(np.arange(40, dtype=np.uint8).reshape(5, 8)),
            r'holds 3, 4, 5, 6, 7, \.\.\. in 37 of 40 pixels')
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0] = 0, 1, 2
    content = save(colours, 'c.png').read_bytes()
    refused(tmp_path / 'c.png', 'is a picture of 3 bands')
    refused(write_tiff('f.tif', np.full((4, 4, 1), .5, np.float32)), 'fractions')
    refused(tmp_path / 'absent.png', 'No such file')
    for data, reason in ((b'', 'is empty'), (content[:len(content) // 2], 'damaged'),
                         (b'no picture at all, however long', 'is not a JPEG, PNG')):
        (tmp_path / 'x.png').write_bytes(data)
        refused(tmp_path / 'x.png', reason)
    tiff = write_tiff('t.tif', np.zeros((64, 64, 1), np.uint8))
    with open(tiff, 'r+b') as file:
        file.truncate(300)
    refused(tiff, 'damaged')


def test_a_mask_of_another_size_than_its_image(save):
    path = save(LABELS)
    refused(path, r'has 3 x 2 pixels, but its image image.tif has 3 x 4',
            results=dict(ori_shape=(4, 3)))
    refused(path, 'max_pixels=5', max_pixels=5)


def test_change_is_any_value_but_zero(save):
    values = np.array([[0, 1, 255], [7, 0, 128]], np.uint8)
    path = save(values)
    assert load(path, 'LoadChangeMask') == [[0, 1, 1], [1, 0, 1]]
    assert load(path, 'LoadChangeMask', threshold=127) == [[0, 0, 1], [0, 0, 1]]
    assert load(path, 'LoadChangeMask', ignore_value=7) == [[0, 1, 1], [255, 0, 1]]
    assert load(save(values > 100), 'LoadChangeMask') == [[0, 0, 1], [0, 0, 1]]


def test_nodata_is_no_change(write_tiff):
    values = np.array([[0, 1, 255], [7, 0, -9999]], np.int16)[..., None]
    for nodata, expected in ((None, [[0, 1, 1], [1, 0, 0]]), (0, [[0, 1, 1], [1, 0, 0]]),
                             (255, [[0, 1, 255], [1, 0, 0]]), (-9999, [[0, 1, 1], [1, 0, 255]])):
        path = write_tiff('m.tif', values, nodata=nodata)
        assert load(path, 'LoadChangeMask') == expected
        ignored = [[255 if value == 7 else kept for value, kept in zip(*rows)]
                   for rows in zip(values[..., 0].tolist(), expected)]
        assert load(path, 'LoadChangeMask', ignore_value=7) == ignored
