"""Masks of a data set before a training: values, sizes, classes that never occur."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmpretrain.registry import DATASETS

from cmid_mm.datasets.inspection import (
    describe_masks,
    inspect_masks,
    mask_loaders,
    parts_of,
    refuse_masks,
)
from cmid_mm.engine.hooks.preflight_hook import PreflightHook, check_masks
from cmid_mm.utils.errors import CMIDError

PAIRS = dict(img_path='A', img_path2='B', seg_map_path='label')


@pytest.fixture
def folder(write, tmp_path):
    """``folder(masks, **kwargs)``: data set of 8 x 8 images with these masks."""
    def make(masks, classes=('field', 'wood'), loader='LoadMask', pairs=False, **kwargs):
        prefix = PAIRS if pairs else dict(img_path='images', seg_map_path='masks')
        for number, mask in enumerate(masks):
            for part in prefix.values():
                pixels = mask if part in ('masks', 'label') else np.zeros((8, 8, 3))
                write(f'{part}/{number}.png', np.asarray(pixels, np.uint8))
        return DATASETS.build(dict(
            type='MaskFolder', data_root=str(tmp_path), metainfo=dict(classes=classes),
            data_prefix=prefix, pipeline=[dict(type='LoadRSImage'), dict(type=loader)], **kwargs))
    return make


def halves(low, high):
    """A mask of two values, a quarter of the pixels of the second one."""
    mask = np.full((8, 8), low)
    mask[:2] = high
    return mask


def test_shares_are_those_of_the_loaded_masks(folder):
    dataset = folder([halves(0, 1), halves(1, 255), halves(0, 0), halves(0, 0)],
                     ('field', 'wood', 'water'))
    report = inspect_masks(dataset, show_progress=False)
    assert report['found'] == report['read'] == 4 and report['unusable'] == []
    assert report['ignored'] == 1 / 16
    assert report['classes'] == pytest.approx(dict(field=44 / 60, wood=16 / 60, water=0))
    assert describe_masks(report) == (
        '4 masks: field 73.3 %, wood 26.7 %; 6.25 % ignored; never: water')
    refuse_masks(report)
    some = inspect_masks(dataset, 2, show_progress=False)
    assert some['read'] == 2 and some['classes'] == pytest.approx(
        dict(field=112 / 128, wood=16 / 128, water=0))
    assert describe_masks(some).startswith('2 of 4 masks: ')


@pytest.mark.parametrize('mask, settings, message', [
    (halves(0, 255), {}, '2 masks hold one class, field, and 25 % ignored pixels'),
    (halves(0, 255), dict(reduce_zero_label=True), 'hold no class, and 100 % ignored'),
    (halves(0, 7), {}, '2 of 2 masks cannot be used; the first: .*/masks/0.png holds 7'),
    (np.zeros((8, 9)), {}, r'masks/0.png has 9 x 8 pixels, but its image .* has 8 x 8')])
def test_masks_with_nothing_to_learn_end_a_run_before_it_starts(folder, mask, settings, message):
    with pytest.raises(CMIDError, match=f'train_dataloader: .*{message}'):
        check_masks('train', folder([mask] * 2, **settings), 500)


def test_one_class_is_enough_for_a_validation_and_in_a_sample(folder):
    dataset = folder([halves(0, 255)] * 3)
    check_masks('val', dataset, 500)
    check_masks('train', dataset, 2)
    # one class in all
    check_masks('train', folder([halves(0, 0)], ('field', )), 500)
    check_masks('train', folder([halves(0, 255)], values={0: 0, 255: 1}), 500)


def test_dates_and_masks_of_change(folder, write):
    dataset = folder([halves(0, 255)], ('unchanged', 'changed'), 'LoadChangeMask', pairs=True)
    report = inspect_masks(dataset, show_progress=False)
    assert report['classes'] == dict(unchanged=0.75, changed=0.25)
    write('B/0.png', np.zeros((8, 9, 3), np.uint8))
    unusable, = inspect_masks(dataset, show_progress=False)['unusable']
    assert 'B/0.png has 9 x 8 pixels' in unusable and 'A/0.png, of the other date' in unusable


def test_mmsegs_own_loader(folder):
    """Its masks are not compared with the classes before the loss."""
    mmseg = pytest.importorskip('mmseg.datasets.transforms')
    dataset = folder([halves(0, 1), halves(0, 2)])
    dataset.pipeline.transforms = [mmseg.LoadAnnotations()]
    assert len(mask_loaders(dataset)) == 1
    unusable, = inspect_masks(dataset, show_progress=False)['unusable']
    assert 'masks/1.png holds 2, but there are 2 classes' in unusable
    dataset = folder([np.dstack([halves(0, 1)] * 3)])
    dataset.pipeline.transforms = [mmseg.LoadAnnotations()]
    unusable = inspect_masks(dataset, show_progress=False)['unusable']
    assert 'masks/0.png is a picture of 3 bands' in unusable[0]


def test_wrapped_data_sets_are_inspected(folder):
    inner = folder([halves(0, 255)] * 2)
    wrapped = RepeatDataset(inner, 3)
    assert parts_of(wrapped) == parts_of(inner) == [inner]
    assert parts_of(ConcatDataset([inner, inner])) == [inner, inner]
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=wrapped))
    runner = SimpleNamespace(
        _train_loop=loop, _val_loop={}, _test_loop={}, model=torch.nn.Identity())
    with pytest.raises(CMIDError, match='hold one class, field'):
        PreflightHook().before_run(runner)


def test_data_sets_without_masks_are_not_inspected(tmp_path):
    dataset = BaseDataset(lazy_init=True, serialize_data=False)
    dataset.load_data_list = lambda: [dict(img_path='a.png')]
    dataset.full_init()
    assert mask_loaders(dataset) == [] and mask_loaders(object()) == []
