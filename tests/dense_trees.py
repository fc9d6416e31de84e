"""Small data sets with a label for every pixel, in the trees that the configs name."""
import cv2
import numpy as np


def write_images(root, folders, names, size, ending='.png'):
    """Random RGB images under every folder."""
    for i, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for j, name in enumerate(names):
            rng = np.random.default_rng(100 * i + j)
            pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            assert cv2.imwrite(str(root / folder / f'{name}{ending}'), pixels)


def write_masks(root, folders, names, size, values):
    """Masks of vertical stripes, one value beside the other."""
    stripes = np.asarray(values, np.uint8)[np.arange(size) * len(values) // size]
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            assert cv2.imwrite(
                str(root / folder / f'{name}.png'), np.tile(stripes, (size, 1)))


def light(cfg):
    """The same config for a test of one step: thin heads, no checkpoint on the disk."""
    cfg.default_hooks.checkpoint = None
    for head in ('decode_head', 'auxiliary_head'):
        if cfg.model.get(head) and cfg.model[head].type != 'BITHead':
            cfg.model[head].channels = 16
    return cfg
