import copy
import io
import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpretrain.registry import DATASETS
from view_batches import two_views

from cmid_mm.datasets import ImageFolder
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex, view_key

CLASSES = {'river': 12, 'Urban': 7, 'field': 3}
NAMES = [f'{name}/part/{i:02d}.jpg' for name, n in CLASSES.items() for i in range(n)]


@pytest.fixture
def root(tree):
    return str(tree(NAMES))


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def names(dataset, root):
    return [info['img_path'].removeprefix(f'{root}/') for info in infos(dataset)]


def test_unlabelled_by_default(root):
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=root))
    assert isinstance(dataset, ImageFolder)
    assert names(dataset, root) == sorted(NAMES)
    assert all(set(info) == {'img_path', 'sample_idx'} for info in infos(dataset))
    assert dataset.metainfo.get('classes') is None
    # small in memory, and copied as a whole
    assert not dataset.data_list and len(dataset.data_bytes) < 200 * len(NAMES)
    assert infos(copy.deepcopy(dataset)) == infos(dataset)


def test_classes_are_the_first_level_or_the_folder_of_the_image(root, tree, tmp_path):
    dataset = ImageFolder(root, with_label=True)
    assert dataset.metainfo['classes'] == ('Urban', 'field', 'river')
    for info in infos(dataset):
        label = info['img_path'].removeprefix(f'{root}/').split('/')[0]
        assert dataset.CLASSES[info['gt_label']] == label
    given = ImageFolder(root, with_label=True,
                        metainfo=dict(classes=('river', 'other', 'field', 'Urban')))
    assert {info['gt_label'] for info in infos(given)} == {0, 2, 3}
    nested = str(tree(['set1/beach/1.jpg', 'set1/lake/2.jpg', 'set2/beach/1.jpg'],
                      tmp_path / 'nested'))
    dataset = ImageFolder(nested, with_label=True, label_level='parent')
    assert dataset.CLASSES == ('beach', 'lake')
    assert dataset.get_gt_labels().tolist() == [0, 1, 0]
    assert ImageFolder(nested, with_label=True).CLASSES == ('set1', 'set2')


def test_split_takes_every_nth_of_each_class(root):
    parts = {split: ImageFolder(root, with_label=True, split=split, query_every=3)
             for split in (None, 'gallery', 'query')}
    assert [len(parts[s]) for s in (None, 'gallery', 'query')] == [22, 15, 7]
    whole, gallery, query = (names(part, root) for part in parts.values())
    assert sorted(gallery + query) == sorted(whole) and not set(gallery) & set(query)
    assert [n for n in query if n.startswith('river')] == [
        f'river/part/{i:02d}.jpg' for i in (2, 5, 8, 11)]
    # the whole set marks both parts in the same way
    marks = {info['img_path']: info['split'] for info in infos(parts[None])}
    for split in ('gallery', 'query'):
        assert all(marks[info['img_path']] == info['split'] == split
                   for info in infos(parts[split]))
    assert len(ImageFolder(root, split='query')) == len(NAMES) // 5


@pytest.mark.parametrize('split', ['gallery', 'query'])
def test_a_folder_may_be_one_part_as_a_whole(root, split):
    dataset = ImageFolder(root, with_label=True, split=split, query_every=None)
    assert names(dataset, root) == sorted(NAMES)
    assert [info['split'] for info in infos(dataset)] == [split] * len(NAMES)
    neither = ImageFolder(root, with_label=True, query_every=None)
    assert all('split' not in info for info in infos(neither))


def test_list_file(root, tmp_path):
    (tmp_path / 'list.txt').write_text('river/part/03.jpg 1\nfield/part/00.jpg 0\n')
    arguments = dict(data_root=root, ann_file=str(tmp_path / 'list.txt'))
    assert names(ImageFolder(**arguments), root) == ['river/part/03.jpg', 'field/part/00.jpg']
    labelled = ImageFolder(**arguments, with_label=True)
    assert labelled.get_gt_labels().tolist() == [1, 0] and labelled.CLASSES == ('0', '1')


def test_sample_key_comes_with_the_index(root):
    dataset = ImageFolder(root, pipeline=[lambda results: results])
    results = dataset[SampleIndex(5, seed=7, epoch=3)]
    assert results['sample_key'] == (7, 3, 5)
    assert all(type(part) is int for part in (*results['sample_key'], results['sample_idx']))
    assert 'sample_key' not in dataset[5]
    assert dataset[SampleIndex(-1, 0, 0)]['sample_key'] == (0, 0, len(NAMES) - 1)


def test_wrappers_give_every_position_its_own_views(write, tmp_path):
    for i in range(5):
        write(f'data/{i}.png', np.full((20, 20, 3), i, np.uint8))
    dataset = ImageFolder(str(tmp_path / 'data'), pipeline=two_views())
    plain = dataset[SampleIndex(3, 7, 1)]
    for both in (ConcatDataset([dataset, dataset]), RepeatDataset(dataset, 2)):
        first, second = (both[SampleIndex(place, 7, 1)] for place in (3, 8))
        assert all(torch.equal(first[name], plain[name]) for name in plain)
        assert second['view_keys'].tolist() == [view_key(7, 1, 8, view) for view in range(2)]
        assert second['inputs'].unique().tolist() == [3]
        assert not torch.equal(first['view_boxes'], second['view_boxes'])


def test_metainfo_states_how_raw_values_become_bytes(root):
    def folder(**load):
        return ImageFolder(root, pipeline=[lambda results: results,
                                           dict(type='LoadRSImage', **load)])

    assert 'loading' not in ImageFolder(root).metainfo
    assert folder().metainfo['loading'] == dict(bands=3, band_indices=None, value_range=None)
    deep = dict(bands=2, band_indices=(3, 0), value_range=(85.8, 2976))
    same = dict(deep, value_range=[[85.8, 2976.0]] * 2)
    both = ConcatDataset([folder(**deep), folder(**same)])
    # as a checkpoint is read, without code
    file = io.BytesIO()
    torch.save(both.metainfo, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    assert saved['loading'] == dict(same, band_indices=[3, 0])
    # a resumed run compares the bytes of the two
    assert pickle.dumps(saved) == pickle.dumps(folder(**deep).metainfo)
    other = folder(**dict(deep, value_range=(0, 1)))
    with pytest.raises(ValueError, match='does not match'):
        ConcatDataset([folder(**deep), other])
    assert len(ConcatDataset([folder(**deep), other], ignore_keys='loading')) == 44


def test_a_pipeline_that_gives_nothing_is_an_error(root):
    with pytest.raises(CMIDError, match='nothing for .*Urban/part/00.jpg'):
        ImageFolder(root, pipeline=[lambda results: None])[0]
