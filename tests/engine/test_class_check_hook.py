"""Classes of the data sets and of the heads."""
from types import SimpleNamespace

import pytest
import torch
from mmpretrain.registry import HOOKS

import cmid_mm  # noqa: F401


class Run:
    """As much of a runner as the hook looks at; a loop that is not used is a dict."""

    def __init__(self, head, **classes):
        for use in ('train', 'val', 'test'):
            loop = dict()
            if use in classes:
                dataset = SimpleNamespace(metainfo=dict(classes=classes[use]))
                loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
            setattr(self, f'_{use}_loop', loop)
        self.model = torch.nn.ModuleDict(
            dict(backbone=torch.nn.Identity(), rpn_head=torch.nn.Identity(),
                 roi_head=torch.nn.Identity()))
        self.model['backbone'].num_classes = -1
        self.model['rpn_head'].num_classes = 1
        self.model['roi_head'].num_classes = head


def check(head, **classes):
    HOOKS.build(dict(type='ClassCheckHook')).before_run(Run(head, **classes))


def test_equal_numbers_and_names_pass():
    check(2, train=('a', 'b'), val=('a', 'b'))
    check(1, test=('a', ))
    check(3, train=None)


def test_a_head_of_other_classes_is_named_with_the_cure():
    with pytest.raises(ValueError, match=r'test_dataloader have 2 classes \(a, b\), but the '
                       r'config says model.roi_head.num_classes=3: .*'
                       r'--cfg-options model.roi_head.num_classes=2$'):
        check(3, test=('a', 'b'))


def test_data_sets_of_other_classes_are_told_apart():
    with pytest.raises(ValueError, match=r'train and val have other classes: 1 only in train '
                       r'\(b\); 1 only in val \(c\);'):
        check(2, train=('a', 'b'), val=('a', 'c'))
    with pytest.raises(ValueError, match='in another order'):
        check(2, train=('a', 'b'), val=('b', 'a'))
