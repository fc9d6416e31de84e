import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.registry import TRANSFORMS


def packed(bands, seed=0):
    random = np.random.default_rng(seed)
    results = dict(
        img='dropped', img_path='dropped', sample_key=(0, 0, 0),
        views=[random.integers(0, 256, (6, 6, bands), dtype=np.uint8) for _ in range(2)],
        view_boxes=random.random((2, 5)).astype(np.float32),
        view_keys=random.integers(-2**63, 2**63, 2))
    return results, TRANSFORMS.build(dict(type='PackViews'))(results)


@pytest.mark.parametrize('bands', [1, 3, 4, 5, 200])
def test_nothing_but_views_boxes_keys_and_mark(bands):
    results, item = packed(bands)
    assert list(item) == ['inputs', 'view_boxes', 'view_keys', 'broken']
    assert item['inputs'].dtype == torch.uint8 and item['inputs'].is_contiguous()
    assert np.array_equal(item['inputs'].permute(0, 2, 3, 1), results['views'])
    for name, dtype in (('view_boxes', torch.float32), ('view_keys', torch.int64)):
        assert np.array_equal(item[name], results[name]) and item[name].dtype == dtype


def test_collated_with_the_mark_of_a_broken_image():
    items = [packed(3, seed)[1] for seed in range(3)]
    items.append(TRANSFORMS.build(dict(type='PackViews'))(dict(packed(3)[0], broken=7)))
    batch = default_collate(items)
    assert batch['inputs'].shape == (4, 2, 3, 6, 6)
    assert batch['view_boxes'].shape == (4, 2, 5) and batch['view_keys'].shape == (4, 2)
    assert torch.equal(batch['inputs'][2], items[2]['inputs'])
    assert batch['broken'].tolist() == [-1, -1, -1, 7] and batch['broken'].dtype == torch.int64
