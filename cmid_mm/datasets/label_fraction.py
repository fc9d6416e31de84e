"""A fixed share of a labelled data set, to measure what few labels are worth."""
from collections import defaultdict

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import generator, view_key

# Samples count from 0, so the key of the choice differs from those of all views.
_CHOICE = -4


# in mmengine's own registry, so that configs of every framework find it
@DATASETS.register_module()
def LabelFraction(dataset: dict, share: float, seed: int = 0) -> BaseDataset:
    """Build a data set and keep a share of its samples, in their order.

    The choice depends on the seed and on the order of the data set alone; a larger share
    contains every smaller one. Where every sample has one class (``gt_label``), each class
    keeps its share, and at least one sample.

    Args:
        dataset (dict): Config of a data set of any framework.
        share (float): Share of the samples, in (0, 1].
        seed (int): Seed of the choice. Defaults to 0.

    Returns:
        BaseDataset: The data set itself, with fewer samples.

    Raises:
        CMIDError: ``share`` is outside of (0, 1], nothing is left, or the data set is none of
            mmengine's ``BaseDataset``, such as a wrapper of other data sets.
    """
    if not 0 < share <= 1:
        raise CMIDError(f'the share of the labels must be in (0, 1], not {share}')
    built = DATASETS.build(dataset)
    if not isinstance(built, BaseDataset):
        raise CMIDError(f'LabelFraction cannot keep a share of {type(built).__name__}, which is '
                        'no BaseDataset of mmengine: wrap the data sets inside of it')
    built.full_init()
    total = len(built)
    infos = [built.get_data_info(index) for index in range(total)]
    classes = [_classes_of(info) for info in infos]
    stratified = all('gt_label' in info and len(found) == 1
                     for info, found in zip(infos, classes))
    members = defaultdict(list)
    for index in generator(view_key(seed, 0, _CHOICE, 0)).permutation(total).tolist():
        members[min(classes[index]) if stratified else None].append(index)
    smallest = 1 if stratified else 0
    kept = sorted(index for found in members.values()
                  for index in found[:max(smallest, round(share * len(found)))])
    if not kept:
        raise CMIDError(f'a share of {share:.3g} of {total} samples is none: choose a larger one')
    built.get_subset_(kept)
    # a resumed run must have the same, see PreflightHook
    built.kept_labels = dict(share=share, seed=seed, samples=len(kept))
    of = len(set().union(*classes))
    found = len(set().union(*(classes[index] for index in kept)))
    print_log(f'{len(kept):,} of {total:,} samples are kept ({100 * len(kept) / total:.3g} % of '
              'the labels)'
              + (f', with {found} of {of} classes' if of else ''), 'current')
    return built


def _classes_of(info: dict) -> set:
    """Classes of an image or of its boxes; masks are not read."""
    if 'gt_label' in info:
        return set(np.ravel(info['gt_label']).tolist())
    return {instance['bbox_label'] for instance in info.get('instances', ())}
