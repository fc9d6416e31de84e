"""Small sets with boxes, in the folder trees of the detection configs."""
import json
from pathlib import Path

import cv2
import numpy as np


def write_images(folder, number=3, size=64):
    """Write images with one bright square each; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for i in range(number):
        pixels = np.random.default_rng(i).integers(0, 90, (size, size, 3), dtype=np.uint8)
        pixels[10:30, 20:50] = 220
        names.append(f'P000{i}__{size}__0___0.png')
        assert cv2.imwrite(str(folder / names[-1]), pixels)
    return names


def coco_of(names, classes, size=64):
    """A COCO file: one box in every image but the last, category ids from 7."""
    return dict(
        images=[dict(id=i, file_name=name, height=size, width=size)
                for i, name in enumerate(names)],
        annotations=[dict(id=i, image_id=i, category_id=7 + i % len(classes),
                          bbox=[20, 10, 30, 20], area=600, iscrowd=0,
                          segmentation=[[20, 10, 50, 10, 50, 30, 20, 30]])
                     for i in range(len(names) - 1)],
        categories=[dict(id=7 + i, name=name) for i, name in enumerate(classes)])


def coco_tree(root, dataset, classes):
    """Images and COCO file where a data set of a config looks for them."""
    names = write_images(root / dataset.data_prefix.img)
    path = root / dataset.ann_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco_of(names, classes)))
    dataset.data_root = str(root)
    return path


def text_tree(root, dataset, classes):
    """Images and DOTA's text files where a data set of a config looks for them."""
    names = write_images(root / dataset.data_prefix.img_path)
    if dataset.get('ann_file'):
        folder = root / dataset.ann_file
        folder.mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(names):
            line = f'20 10 50 10 50 30 20 30 {classes[i % len(classes)]} 0\n'
            (folder / Path(name).with_suffix('.txt')).write_text(
                line if i + 1 < len(names) else '')
    dataset.data_root = str(root)


def thin(cfg):
    """The config with a narrow backbone of the same kind, random weights, few proposals.

    An untrained head believes in every class of every proposal, and the suppression of
    oriented boxes takes time by the square of their number.
    """
    for part in (cfg.model.train_cfg.rpn_proposal, cfg.model.test_cfg.rpn):
        part.update(nms_pre=50, max_per_img=20)
    backbone = cfg.model.backbone
    backbone.init_cfg = None
    if 'Swin' in backbone.type:
        backbone.arch = dict(embed_dims=32, depths=[1] * 4, num_heads=[1, 2, 4, 8])
        cfg.model.neck.in_channels = [32, 64, 128, 256]
    elif backbone.depth == 50:
        backbone.update(stem_channels=8, base_channels=8)
        cfg.model.neck.in_channels = [32, 64, 128, 256]
    return cfg
