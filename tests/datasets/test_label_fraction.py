"""A share of the labels: which samples are kept, in every framework's scope."""
import json
from collections import Counter

import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, init_default_scope
from small_configs import box_names, coco_of

from cmid_mm.utils.errors import CMIDError

COUNTS = (200, 40, 7, 1)


class Numbers(BaseDataset):
    """200, 40, 7 and 1 samples of four classes in turn, or without classes."""

    def __init__(self, with_label=True, **kwargs):
        self.with_label = with_label
        super().__init__(**kwargs)

    def load_data_list(self):
        labels = sorted((i / count, label) for label, count in enumerate(COUNTS)
                        for i in range(count))
        return [dict(number=number, **(dict(gt_label=label) if self.with_label else {}))
                for number, (_, label) in enumerate(labels)]


def infos(share, **changes):
    """Data infos of the samples that are kept."""
    seed = changes.pop('seed', 0)
    kept = DATASETS.build(dict(type='LabelFraction', share=share, seed=seed,
                               dataset=dict(type=Numbers, **changes)))
    assert isinstance(kept, Numbers)
    return [kept.get_data_info(i) for i in range(len(kept))]


def numbers(share, **changes):
    return [info['number'] for info in infos(share, **changes)]


@pytest.mark.parametrize('share, counts', [
    (1, COUNTS), (0.5, (100, 20, 4, 1)), (0.1, (20, 4, 1, 1)), (0.01, (2, 1, 1, 1))])
def test_every_class_keeps_its_share_and_at_least_one(share, counts):
    assert Counter(info['gt_label'] for info in infos(share)) == dict(enumerate(counts))


@pytest.mark.parametrize('with_label', [True, False])
def test_a_larger_share_contains_the_smaller_one_and_the_order_stays(with_label):
    parts = [numbers(share, with_label=with_label) for share in (0.01, 0.1, 0.5, 1)]
    for smaller, larger in zip(parts, parts[1:]):
        assert set(smaller) < set(larger) and larger == sorted(larger)
    assert len(parts[1]) == 25 + with_label, 'one sample more where classes round up'


def test_the_seed_alone_decides():
    plain = numbers(0.1, with_label=False)
    assert plain == numbers(0.1, with_label=False, serialize_data=False)
    assert plain == numbers(0.1, with_label=False, lazy_init=True)
    assert len(set(plain) & set(numbers(0.1, with_label=False, seed=1))) < 10
    # the same on every machine
    assert numbers(0.02, with_label=False) == [57, 72, 88, 111, 140]


def test_images_of_several_classes_are_chosen_without_regard_to_them(tmp_path):
    class Several(Numbers):

        def load_data_list(self):
            return [info | dict(gt_label=[0, info['gt_label']]) for info in super(
                ).load_data_list()]

    kept = DATASETS.build(dict(type='LabelFraction', share=0.1, dataset=dict(type=Several)))
    assert [kept.get_data_info(i)['number'] for i in range(len(kept))] == numbers(
        0.1, with_label=False)


def test_boxes_and_masks_in_their_frameworks(tree, tmp_path):
    pytest.importorskip('mmdet')
    init_default_scope('mmdet')
    (tmp_path / 'boxes.json').write_text(
        json.dumps(coco_of(box_names(tmp_path / 'train', 9), ('tree', 'car'))))
    boxes = dict(
        type='mmpretrain.CheckedCocoDataset', ann_file='boxes.json', data_root=str(tmp_path),
        data_prefix=dict(img='train/'), metainfo=dict(classes=('tree', 'car')))
    root = tree([f'{part}/{i}.png' for part in ('images', 'masks') for i in range(20)])
    masks = dict(type='mmpretrain.MaskFolder', data_root=str(root),
                 metainfo=dict(classes=('field', ), palette=[(0, 0, 0)]))
    for scope, dataset, length in ('mmdet', boxes, 3), ('mmseg', masks, 7):
        pytest.importorskip(scope)
        init_default_scope(scope)
        kept = DATASETS.build(dict(type='RepeatDataset', times=2, dataset=dict(
            type='LabelFraction', share=1 / 3, dataset=dataset)))
        assert len(kept) == 2 * length


@pytest.mark.parametrize('culprit, share, dataset', [
    ('not 0', 0, dict(type=Numbers)), ('not 1.5', 1.5, dict(type=Numbers)),
    ('0.001 of 248 samples', 0.001, dict(type=Numbers, with_label=False)),
    ('share of RepeatDataset', 0.5, dict(
        type='RepeatDataset', times=2, dataset=dict(type=Numbers)))])
def test_what_has_no_share(culprit, share, dataset):
    with pytest.raises(CMIDError, match=culprit):
        DATASETS.build(dict(type='LabelFraction', share=share, dataset=dataset))
