"""A tiny pre-training that has a labelled folder to be probed on."""
import cv2
import numpy as np
from mmengine.config import Config
from tiny_run import CONFIGS, tiny_config

from cmid_mm.engine.runners import CMIDRunner

CLASSES = 'field', 'town', 'wood'


def write_classes(folder, number=15):
    """Textures of three classes that are hard to tell apart."""
    draw = np.random.default_rng(0)
    for place, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            coarse = draw.integers(0, 256, (5, 6, 3)) * 0.8 + 20 * place
            cv2.imwrite(str(folder / name / f'{i:02}.png'),
                        cv2.resize(coarse.astype(np.uint8), (80, 72)))


def write_places(folder, number=12):
    """Halves of two textures with their masks; some pixels are not labelled."""
    draw = np.random.default_rng(1)
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    for i in range(number):
        image = draw.integers(0, 256, (90, 100, 3)).astype(np.uint8)
        image[:, :50] = cv2.blur(image[:, :50], (9, 9))
        mask = np.zeros((90, 100), np.uint8)
        mask[:, 50:] = 1
        mask[:4] = 255
        cv2.imwrite(str(folder / 'images' / f'{i:02}.png'), image)
        cv2.imwrite(str(folder / 'masks' / f'{i:02}.png'), mask)


def labelled_config(folder, work_dir='run', options=None):
    """As ``tiny_config``, with three classes in ``folder / 'labelled'``, masks in 'places'."""
    if not (folder / 'labelled').exists():
        write_classes(folder / 'labelled')
        write_places(folder / 'places')
    cfg = tiny_config(folder, work_dir, options)
    whole = Config.fromfile(CONFIGS / 'cmid' / 'cmid_resnet18_toy.py')
    cfg.test_dataloader = whole.test_dataloader
    cfg.test_evaluator = whole.test_evaluator
    cfg.test_cfg = dict()
    cfg.place_folder.update(
        data_root=str(folder / 'places'), metainfo=dict(classes=('smooth', 'rough')))
    # another size than that of the scenes
    cfg.place_folder.pipeline[2].scale = (96, 96)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    for part in cfg.test_dataloader.dataset.datasets:
        part.update(data_root=str(folder / 'labelled'))
        part.pipeline = [
            dict(type='LoadRSImage', bands=3), dict(type='ResizeEdge', scale=64, edge='short'),
            dict(type='CenterCrop', crop_size=64),
            dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split'))]
    return cfg


def labelled_runner(folder, work_dir='run', options=None, **changes):
    """Runner of ``labelled_config``, whose keys may be changed."""
    cfg = labelled_config(folder, work_dir, options)
    cfg.merge_from_dict(changes)
    cfg.experiment_name = f'{folder.name}_{work_dir}_{len(list(folder.glob("*/*/vis_data")))}'
    return CMIDRunner.from_cfg(cfg)
