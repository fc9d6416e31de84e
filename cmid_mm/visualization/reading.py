"""How a config reads images, at a size of one's own."""
import copy

from mmengine.config import Config

from ..apis.model import test_pipeline

_SIZE = 224


def read_at(cfg: Config, size: int | None = None) -> Config:
    """The config with a test pipeline that gives squares of a size.

    The shorter side is resized, the middle is cut out.

    Args:
        cfg (Config): Of mmpretrain's scope.
        size (int, optional): Side in pixels. Defaults to None: what the config's test
            pipeline does; where it has none, the size that the model was trained on.

    Returns:
        Config: A copy; the config itself where nothing has to be changed.

    Raises:
        ValueError: No pipeline of the config reads images, or the size is not positive.
    """
    if size is not None and size < 1:
        raise ValueError(f'a size of {size} px: give the side of the images in pixels')
    tested = cfg.get('test_dataloader') is not None
    if tested and size is None:
        return cfg
    size = size or cfg.model.get('image_size') or _SIZE
    cfg = copy.deepcopy(cfg)
    steps = [_loading(cfg, tested), dict(type='ResizeEdge', scale=size, edge='short'),
             dict(type='CenterCrop', crop_size=size)]
    cfg.test_dataloader = dict(dataset=dict(pipeline=steps))
    return cfg


def _loading(cfg: Config, tested: bool) -> dict:
    """The step that reads a file, of the test where there is one, else of the training."""
    steps = test_pipeline(cfg) if tested else cfg.get('train_pipeline') or _train_pipeline(cfg)
    for step in steps:
        if step['type'] == 'LoadRSImage':
            # every pixel: JPEGs are decoded smaller where views are cut from them
            return {key: value for key, value in step.items() if key != 'shortest_side'}
    raise ValueError(f'no pipeline of {cfg.filename} reads images with LoadRSImage: give the '
                     'config of a pre-training or classification of this project')


def _train_pipeline(cfg: Config) -> list:
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    while 'pipeline' not in dataset and (dataset.get('datasets') or dataset.get('dataset')):
        dataset = (dataset.get('datasets') or [dataset['dataset']])[0]
    return dataset.get('pipeline') or []
