"""DOTA's text files: what is read, and what is named before a training."""
import pickle

import numpy as np
import pytest
from damaged_images import refused
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS
from PIL import Image

from cmid_mm.datasets.dota_text import read_dota_text
from cmid_mm.utils.errors import CMIDError

CLASSES = ('plane', 'ship')
QUAD = '1 2 11 2 11 8.5 1 8.5'
TEXT = f'''imagesource:GoogleEarth
gsd:0.146343590398

{QUAD} ship 1
{QUAD} plane
'''


def test_headers_and_difficulty(tmp_path):
    path = tmp_path / 'a.txt'
    # a byte order mark, as some editors write
    path.write_text('\ufeff' + TEXT, encoding='utf-8')
    first, second = read_dota_text(path, CLASSES)
    np.testing.assert_array_equal(first.corners, [[1, 2], [11, 2], [11, 8.5], [1, 8.5]])
    assert (first.label, first.difficulty) == (1, 1)
    assert (second.label, second.difficulty) == (0, 0)


@pytest.mark.parametrize('line, message', [
    ('1 2 3 ship', r"line 2 is no box of DOTA, eight numbers and a class: '1 2 3 ship'"),
    (QUAD, 'line 2 is no box'), (f'{QUAD} ship hard', 'line 2 is no box'),
    (QUAD.replace('8.5', 'nan') + ' ship 0', 'corners that are no numbers'),
    (f'{QUAD} car 0', "line 2 has the class 'car', which is not among plane, ship")])
def test_lines_that_are_no_boxes(tmp_path, line, message):
    path = tmp_path / 'a.txt'
    path.write_text(f'{QUAD} ship\n{line}\n')
    refused(lambda: read_dota_text(path, CLASSES), CMIDError, message, path)


@pytest.fixture
def folder(tmp_path):
    """Two images with their text files, the second one without boxes."""
    for name, text in dict(b=TEXT, a='').items():
        for part in ('images', 'annfiles'):
            (tmp_path / part).mkdir(exist_ok=True)
        Image.new('RGB', (20, 10)).save(tmp_path / 'images' / f'{name}.png')
        (tmp_path / 'annfiles' / f'{name}.txt').write_text(text)
    return tmp_path


def build(folder, **options):
    pytest.importorskip('mmrotate.datasets')
    init_default_scope('mmrotate')
    return DATASETS.build(dict(
        type='mmpretrain.CheckedDOTADataset', data_root=str(folder), ann_file='annfiles',
        data_prefix=dict(img_path='images'), metainfo=dict(classes=CLASSES), pipeline=[],
        **options))


def test_the_data_set_is_mmrotates(folder):
    dataset = build(folder, diff_thr=0)
    assert len(dataset) == 2 and dataset.metainfo['classes'] == CLASSES
    info = dataset.get_data_info(1)
    assert info['img_path'] == str(folder / 'images' / 'b.png') and info['img_id'] == 'b'
    assert [entry['bbox_label'] for entry in info['instances']] == [1, 0]
    assert [entry['ignore_flag'] for entry in info['instances']] == [1, 0]
    # a worker that is spawned gets a copy
    assert pickle.loads(pickle.dumps(dataset)).get_data_info(1) == info
    # as in training
    assert len(build(folder, filter_cfg=dict(filter_empty_gt=True))) == 1


@pytest.mark.parametrize('change, message', [
    (lambda root: (root / 'images/b.png').unlink(),
     r'1 of 2 names in .*annfiles have no image \(\*.png; img_suffix .*images: b'),
    (lambda root: (root / 'annfiles/a.txt').unlink(),
     '1 of 2 names in .*images have no text file; one without objects needs an empty one'),
    (lambda root: (root / 'annfiles/b.txt').write_text(''), 'hold no box'),
    (lambda root: (root / 'annfiles/b.txt').write_text(f'{QUAD} ship 101'), 'up to diff_thr=100'),
    (lambda root: (root / 'annfiles/b.txt').write_text('x'), 'b.txt, line 1 is no box'),
    (lambda root: (root / 'annfiles').rename(root / 'labels'), 'annfiles does not exist')])
def test_what_does_not_belong_together(folder, change, message):
    pytest.importorskip('mmrotate.datasets')
    change(folder)
    with pytest.raises(CMIDError, match=message):
        build(folder)
