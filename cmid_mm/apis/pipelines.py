"""Test pipelines of configs, for the inferencers."""
import copy

from mmengine.config import Config, ConfigDict

from ..datasets.transforms.loading import LoadRSImage
from ..utils.errors import CMIDError

_PAIR_LOADERS = ('LoadRSImagePair', 'MultiImgLoadImageFromFile')
_OUR_LOADERS = ('LoadRSImage', 'LoadRSImagePair')
_BGR_LOADERS = ('LoadImageFromFile', 'MultiImgLoadImageFromFile')
# for configs without the size of their images
_SIZE = 224


def test_pipeline(config: Config) -> list:
    """Transforms of the test pipeline of a config; of the first data set if there are several.

    Raises:
        CMIDError: The config has no test pipeline.
    """
    pipeline = _pipeline(config.get('test_dataloader'))
    if not pipeline:
        raise CMIDError(f'{config.filename} has no test_dataloader with a pipeline to read '
                        'images: give the config of a training or test')
    return pipeline


def raster_loading(loader: ConfigDict) -> tuple[LoadRSImage, bool, int]:
    """Settings with which a config's loader reads images.

    Args:
        loader (ConfigDict): First transform of the test pipeline.

    Returns:
        tuple: The loading of one date; whether its bands must be reversed, to BGR; and the
        number of dates.

    Raises:
        CMIDError: The loader is unknown.
    """
    name = loader['type'].rpartition('.')[2]
    dates = 2 if name in _PAIR_LOADERS else 1
    if name in _OUR_LOADERS:
        settings = {key: value for key, value in loader.items() if key != 'type'}
        return LoadRSImage(**settings), False, dates
    if name in _BGR_LOADERS:
        return LoadRSImage(bands=3), True, dates
    raise CMIDError(f'the test pipeline begins with {name}, which cannot read tiles of a '
                    f'raster: use one of {", ".join(_OUR_LOADERS + _BGR_LOADERS)}')


def resized_to(config: Config) -> str:
    """Size to which the test pipeline of a config resizes images; '' where it does not."""
    for step in test_pipeline(config):
        if step['type'].endswith('Resize'):
            if step.get('scale'):
                return '{} x {} px'.format(*(step['scale'] if isinstance(
                    step['scale'], (list, tuple)) else (step['scale'], ) * 2))
            return f'{step.get("scale_factor")} times their size'
    return ''


def trained_size(config: Config) -> int | None:
    """Side of the images in training, in pixels; None where the config does not define it."""
    found = []

    def search(node):
        if isinstance(node, dict):
            if node.get('crop_size'):
                found.append(node['crop_size'])
            node = list(node.values())
        if isinstance(node, (list, tuple)):
            for child in node:
                search(child)

    search(config.get('train_dataloader'))
    resize = [step['scale'] for step in test_pipeline(config)
              if step['type'].endswith('Resize') and step.get('scale')]
    preprocessor = config.model.get('data_preprocessor') or {}
    size = (found + resize + [preprocessor.get('size')])[0]
    return max(size) if isinstance(size, (list, tuple)) else size


def read_at(cfg: Config, size: int | None = None) -> Config:
    """The config with a test pipeline that gives squares of a size.

    The shorter side is resized, and the centre is cropped.

    Args:
        cfg (Config): A config of mmpretrain's scope.
        size (int, optional): Side in pixels. Defaults to None: that of the config's
            test pipeline, or of the training images if there is none.

    Returns:
        Config: A copy; the config itself where nothing has to be changed.

    Raises:
        CMIDError: No pipeline of the config reads images, or the size is not positive.
    """
    if size is not None and size < 1:
        raise CMIDError(f'a size of {size} px: give the side of the images in pixels')
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
    """The transform that loads an image in the test pipeline, or in that of the training."""
    steps = _pipeline(cfg.get('test_dataloader' if tested else 'train_dataloader'))
    for step in steps:
        if step['type'] == 'LoadRSImage':
            # decode every pixel: pre-training decodes JPEGs at a reduced size
            return {key: value for key, value in step.items() if key != 'shortest_side'}
    raise CMIDError(f'no pipeline of {cfg.filename} reads images with LoadRSImage: give the '
                    'config of a pre-training or classification of this project')


def _pipeline(loader: dict | None) -> list:
    """Pipeline of the first data set of a loader; [] where there is none."""
    dataset = (loader or {}).get('dataset') or {}
    while 'pipeline' not in dataset and (dataset.get('datasets') or dataset.get('dataset')):
        dataset = (dataset.get('datasets') or [dataset['dataset']])[0]
    return dataset.get('pipeline') or []
