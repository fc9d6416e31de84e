"""Folders, lists and arguments that make no sense are refused by one line that names them."""
import pytest
from damaged_images import refused
from mmpretrain.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.folder_scan import IMAGE_EXTENSIONS, scan_folder
from cmid_mm.datasets.inspection import folder_statistics, inspect_images
from cmid_mm.datasets.list_file import read_list
from cmid_mm.utils.errors import CMIDError, MissingFileError

FILES = ['tree/river/0.jpg', 'tree/Urban/0.jpg', 'tree/field/0.jpg', 'loose/loose.jpg',
         'other/images/a.png', 'other/masks/x.png', 'twice/images/a.png', 'twice/images/a.jpg',
         'twice/masks/a.png', 'text/images/x', 'text/masks/x', 'pair/images/a.png',
         'pair/masks/a.png']
LISTS = {'0.txt': '\n\n', 'outside.txt': '../masks/a\n', 'binary.txt': '\x00\x01',
         'number.txt': 'river/0.jpg 1\n', 'word.txt': 'river/0.jpg river\n',
         'negative.txt': 'river/0.jpg -1\n', 'plain.txt': 'river/0.jpg\n'}


class Endless:

    def __getitem__(self, index):
        return index


def images(root='tree', **arguments):
    return lambda: ImageFolder(root, **arguments)


def masks(root='pair', classes=('field', 'wood'), colours=2, **arguments):
    return lambda: DATASETS.build(dict(
        type='MaskFolder', data_root=root, metainfo=dict(
            classes=classes, palette=[(0, 0, 0)] * colours),
        data_prefix=dict(img_path='images', seg_map_path='masks'), **arguments))


def listed(name, with_label=False):
    return lambda: read_list(name, 'tree', IMAGE_EXTENSIONS, with_label)


def transform(name, **arguments):
    return lambda: TRANSFORMS.build(dict(type=name, **arguments))


ROWS = [
    ('nowhere does not exist', images('nowhere')), ('none.txt', images(ann_file='none.txt')),
    ('holds no image', images('empty')), ('query_every is 1', images(query_every=1)),
    ('river', images(with_label=True, metainfo=dict(classes=('Urban', 'field')))),
    ('query part .* is empty', images(split='query', query_every=100)),
    ("'test'", images(split='test')), ('label_level', images(label_level='last')),
    ('loose.jpg is directly in', images('loose', with_label=True)),
    ('label 1, but only 1 classes', images(
        ann_file='../number.txt', with_label=True, metainfo=dict(classes=('a', )))),
    ('/masks lacks 1 of 1 files: a', masks('other')), ('a.png and .*a.jpg', masks('twice')),
    ('there is no image', masks('text')), ('images does not exist', masks('tree')),
    ('val.txt does not exist', masks(ann_file='val.txt')),
    ('/images lacks 1 of 1 files', masks(ann_file='../outside.txt')),
    ('2 classes and 1 colours', masks(colours=1)), ('0 classes', masks(classes=(), colours=0)),
    ('0 classes', masks(classes=None)),
    ('names no image', listed('0.txt')), ('names 1 of 1 images', listed('binary.txt')),
    ('none.txt does not exist', listed('none.txt')),
    ('plain.txt, line 1: .* has no label', listed('plain.txt', True)),
    ('word.txt, line 1: .* has no label', listed('word.txt', True)),
    ('negative.txt, line 1: .* has no label', listed('negative.txt', True)),
    ('none does not exist', lambda: scan_folder('none')),
    ('0.txt is not a folder', lambda: scan_folder('0.txt')),
    ('empty holds no image', lambda: inspect_images('empty')),
    ('gone does not exist', lambda: inspect_images('gone')),
    ('no usable image; the first: loose.jpg is empty', lambda: folder_statistics(
        'loose', show_progress=False)),
    ('band_indices', transform('LoadRSImage', bands=3, band_indices=(0, 1))),
    ('band_indices', transform('LoadRSImage', bands=1, band_indices=(-1, ))),
    ('value_range', transform('LoadRSImage', value_range=(5, 5))),
    ('value_range', transform('LoadRSImage', value_range=[(0, 1), (0, 1)])),
    ('shortest_side', transform('LoadRSImage', shortest_side=0)),
    ('area', transform('CMIDTwoViews', area=(0, 1))),
    ('area', transform('CMIDTwoViews', area=(0.5, 1.2))),
    ('ratio', transform('CMIDTwoViews', ratio=(2, 1))),
    ('locations', transform('CMIDTwoViews', locations='d1')),
    ('Endless has no length, but KeyedSampler orders', lambda: DATA_SAMPLERS.build(
        dict(type='KeyedSampler', dataset=Endless()))),
]


@pytest.mark.parametrize('culprit, call', ROWS)
def test_the_error_names_the_culprit(culprit, call, tree, tmp_path, monkeypatch):
    tree(FILES, tmp_path)
    (tmp_path / 'empty').mkdir()
    for name, text in LISTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    refused(call, (CMIDError, MissingFileError, ValueError), culprit)
