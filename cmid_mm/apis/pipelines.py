"""How a config reads images."""
import copy

from mmengine.config import Config

# where a config says nothing of the size of its images
_SIZE = 224


def test_pipeline(config: Config) -> list:
    """Transforms of the test of a config; the first data set's, where there are several.

    Raises:
        ValueError: The config has none.
    """
    pipeline = _pipeline(config.get('test_dataloader'))
    if not pipeline:
        raise ValueError(f'{config.filename} has no test_dataloader with a pipeline, which '
                         'says how images are read: give the config of a training or test')
    return pipeline


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
    steps = _pipeline(cfg.get('test_dataloader' if tested else 'train_dataloader'))
    for step in steps:
        if step['type'] == 'LoadRSImage':
            # every pixel: JPEGs are decoded smaller where views are cut from them
            return {key: value for key, value in step.items() if key != 'shortest_side'}
    raise ValueError(f'no pipeline of {cfg.filename} reads images with LoadRSImage: give the '
                     'config of a pre-training or classification of this project')


def _pipeline(loader: dict | None) -> list:
    """Of the first data set of a loader; [] where there is none."""
    dataset = (loader or {}).get('dataset') or {}
    while 'pipeline' not in dataset and (dataset.get('datasets') or dataset.get('dataset')):
        dataset = (dataset.get('datasets') or [dataset['dataset']])[0]
    return dataset.get('pipeline') or []
