"""Two dates in one array, and what moves them."""
import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets.image_reading import ImageError


def load_pair(first, second, **kwargs):
    return TRANSFORMS.build(dict(type='LoadRSImagePair', **kwargs))(
        dict(img_path=first, img_path2=second))


def test_both_dates_in_their_order(scene, write, write_tiff):
    later = scene[::-1].copy()
    results = load_pair(write('a.png', scene), write_tiff('b.tif', later))
    assert np.array_equal(results['img'], np.dstack([scene, later]))
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['ori_shape'] == (40, 56)
    assert results['img_path'].endswith('a.png')


def test_bands_and_range_hold_for_both_dates(scene, write_tiff):
    deep = np.dstack([scene, scene[..., 0]]).astype(np.uint16) * 10
    paths = write_tiff('a.tif', deep), write_tiff('b.tif', deep // 2)
    image = load_pair(*paths, bands=2, band_indices=(3, 1), value_range=(0, 2550))['img']
    assert image.shape == (40, 56, 4)
    assert np.array_equal(image[..., :2], scene[..., [0, 1]])
    assert np.abs(image[..., 2:].astype(int) - image[..., :2] / 2).max() <= 0.5


def test_dates_of_different_size_are_refused(scene, write):
    first, second = write('a.png', scene), write('b.png', scene[:-1])
    with pytest.raises(ImageError, match='56 x 39 pixels, but .*a.png.* has 56 x 40'):
        load_pair(first, second)


def test_the_same_flip_reaches_both_dates_and_the_mask(scene, write, monkeypatch):
    """In the pipeline of the recipes, for all it may draw."""
    pytest.importorskip('mmseg')
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope
    path = __file__.rpartition('/tests/')[0]
    cfg = Config.fromfile(f'{path}/configs/change_detection/'
                          'siamese-upernet_r50_1xb8-sgd-200e_cdd.py')
    init_default_scope('mmseg')
    pipeline = Compose(cfg.train_dataloader.dataset.pipeline)
    square = scene[:, :40]
    paths = [write(name, image) for name, image in (
        ('a.png', square), ('b.png', 255 - square), ('m.png', (square[..., 0] > 99) * 255))]
    seen = set()
    for seed in range(40):
        np.random.seed(seed)
        import random
        random.seed(seed)
        packed = pipeline(dict(img_path=paths[0], img_path2=paths[1],
                               seg_map_path=paths[2], num_classes=2))
        image = packed['inputs'].numpy()
        mask = packed['data_samples'].gt_sem_seg.data[0].numpy()
        assert np.array_equal(image[3:], 255 - image[:3])
        assert np.array_equal(mask, image[0] > 99)
        seen.add(image.tobytes())
    assert len(seen) == 8, 'all positions of a square'
