"""Masks of classes and of change: every file type, and what is no class."""
import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from cmid_mm.datasets.image_reading import ImageError


def load(path, transform='LoadMask', results=(), **kwargs):
    results = dict(seg_map_path=str(path), img_path='image.tif', num_classes=3,
                   **dict(results))
    results = TRANSFORMS.build(dict(type=transform, **kwargs))(results)
    assert results['seg_fields'] == ['gt_seg_map']
    mask = results['gt_seg_map']
    assert mask.dtype == np.uint8 and mask.ndim == 2
    return mask.tolist()


def refused(path, match, **kwargs):
    with pytest.raises(ImageError, match=match) as error:
        load(path, **kwargs)
    message = str(error.value)
    assert str(path) in message and len(message.splitlines()) == 1


LABELS = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)


def test_png_and_palette(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / 'grey.png')
    assert load(tmp_path / 'grey.png') == LABELS.tolist()
    picture = Image.fromarray(LABELS, 'P')
    # colours that say nothing of the number
    picture.putpalette([200, 10, 10] * 256)
    picture.save(tmp_path / 'palette.png')
    assert load(tmp_path / 'palette.png') == LABELS.tolist()


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'int32', 'float32'])
def test_geotiff_of_any_number_type(write_tiff, dtype):
    path = write_tiff('mask.tif', LABELS.astype(dtype)[..., None])
    assert load(path) == LABELS.tolist()


def test_geotiff_with_a_palette(write_tiff):
    path = write_tiff('mask.tif', LABELS[..., None], photometric='palette',
                      colormap={i: (9, 9, 9, 255) for i in range(256)})
    assert load(path) == LABELS.tolist()


def test_16_bit_png_and_grey_in_three_bands(tmp_path):
    Image.fromarray(LABELS.astype(np.uint16)).save(tmp_path / 'deep.png')
    assert load(tmp_path / 'deep.png') == LABELS.tolist()
    Image.fromarray(np.dstack([LABELS] * 3)).save(tmp_path / 'rgb.png')
    assert load(tmp_path / 'rgb.png') == LABELS.tolist()


def test_zero_is_ignored_where_classes_count_from_one(tmp_path):
    Image.fromarray(np.array([[0, 1, 3], [255, 2, 2]], np.uint8)).save(tmp_path / 'm.png')
    assert load(tmp_path / 'm.png', results=dict(reduce_zero_label=True)) == [
        [255, 0, 2], [255, 1, 1]]
    refused(tmp_path / 'm.png', 'holds 3 in 1 of 6 pixels, but there are 3 classes, 0 to 2')


def test_nodata_is_ignored_unless_it_is_a_class(write_tiff):
    labels = np.array([[0, -9999], [2, 1]], np.int16)[..., None]
    assert load(write_tiff('a.tif', labels, nodata=-9999)) == [[0, 255], [2, 1]]
    assert load(write_tiff('b.tif', np.abs(labels) % 3, nodata=0)) == [[0, 0], [2, 1]]
    refused(write_tiff('c.tif', labels), 'holds -9999 in 1 of 4')


def test_what_is_no_mask_is_refused(tmp_path, write_tiff):
    Image.fromarray(np.arange(40, dtype=np.uint8).reshape(5, 8)).save(tmp_path / 'm.png')
    refused(tmp_path / 'm.png', r'holds 3, 4, 5, 6, 7, \.\.\. in 37 of 40 pixels')
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0] = 0, 1, 2
    Image.fromarray(colours).save(tmp_path / 'c.png')
    refused(tmp_path / 'c.png', 'is a picture of 3 bands')
    refused(write_tiff('f.tif', np.full((4, 4, 1), .5, np.float32)), 'fractions')
    (tmp_path / 'empty.png').write_bytes(b'')
    refused(tmp_path / 'empty.png', 'is empty')
    refused(tmp_path / 'absent.png', 'No such file')
    content = (tmp_path / 'c.png').read_bytes()
    (tmp_path / 'half.png').write_bytes(content[:len(content) // 2])
    refused(tmp_path / 'half.png', 'damaged')
    (tmp_path / 'text.png').write_text('no picture at all, however long the text may be')
    refused(tmp_path / 'text.png', 'is not a JPEG, PNG')
    tiff = write_tiff('t.tif', np.zeros((64, 64, 1), np.uint8))
    with open(tiff, 'r+b') as file:
        file.truncate(300)
    refused(tiff, 'damaged')


def test_a_mask_of_another_size_than_its_image(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / 'm.png')
    refused(tmp_path / 'm.png', r'has 3 x 2 pixels, but its image image.tif has 3 x 4',
            results=dict(ori_shape=(4, 3)))
    refused(tmp_path / 'm.png', 'max_pixels=5', max_pixels=5)


def test_change_is_whatever_is_not_zero(tmp_path):
    values = np.array([[0, 1, 255], [7, 0, 128]], np.uint8)
    Image.fromarray(values).save(tmp_path / 'm.png')
    path = tmp_path / 'm.png'
    assert load(path, 'LoadChangeMask') == [[0, 1, 1], [1, 0, 1]]
    assert load(path, 'LoadChangeMask', threshold=127) == [[0, 0, 1], [0, 0, 1]]
    assert load(path, 'LoadChangeMask', ignore_value=7) == [[0, 1, 1], [255, 0, 1]]
    Image.fromarray(values > 100).save(tmp_path / 'binary.png')
    assert load(tmp_path / 'binary.png', 'LoadChangeMask') == [[0, 0, 1], [0, 0, 1]]


def test_change_in_a_jpeg_needs_a_threshold(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[4:20, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / 'm.jpg', quality=60)
    refused(tmp_path / 'm.jpg', 'is a JPEG', transform='LoadChangeMask')
    loaded = load(tmp_path / 'm.jpg', 'LoadChangeMask', threshold=127)
    assert np.array_equal(loaded, mask // 255)
