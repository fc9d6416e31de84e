"""Pipelines of configs, for the inferencers."""
from collections.abc import Iterator

from mmengine.config import Config, ConfigDict

from ..datasets.transforms.loading import LoadRSImage
from ..utils.errors import CMIDError

_PAIR_LOADERS = ('LoadRSImagePair', 'MultiImgLoadImageFromFile')
_OUR_LOADERS = ('LoadRSImage', 'LoadRSImagePair')
_BGR_LOADERS = ('LoadImageFromFile', 'MultiImgLoadImageFromFile')


def test_pipeline(config: Config) -> list:
    """Transforms of the test pipeline of a config; of the first data set if there are several.

    Raises:
        CMIDError: The config has no test pipeline.
    """
    pipeline = pipeline_of(config.get('test_dataloader'))
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
    resize = next(_resizing(config), None)
    if resize is None:
        return ''
    if not resize.get('scale'):
        return f'{resize.get("scale_factor")} times their size'
    scale = resize['scale']
    return '{} x {} px'.format(*(scale if isinstance(scale, (list, tuple)) else (scale, ) * 2))


def trained_size(config: Config) -> int | None:
    """Side of the images in training, in pixels; None where the config does not define it."""
    preprocessor = config.model.get('data_preprocessor') or {}
    sizes = [*_values_of('crop_size', config.get('train_dataloader')),
             *(step.get('scale') for step in _resizing(config)), preprocessor.get('size')]
    size = next(filter(None, sizes), None)
    return max(size) if isinstance(size, (list, tuple)) else size


def image_side(config: Config) -> int:
    """Side of the images that a model of any task gets, in pixels; 224 where nothing defines it."""
    sizes = [config.model.get('image_size'),
             trained_size(config) if config.get('test_dataloader') else None,
             *_values_of('crop_size', config.get('test_dataloader')), 224]
    size = next(filter(None, sizes))
    return max(size) if isinstance(size, (list, tuple)) else size


def _resizing(config: Config) -> Iterator[dict]:
    return (step for step in test_pipeline(config) if step['type'].endswith('Resize'))


def _values_of(key: str, node) -> Iterator:
    """Values of a key in a tree of dicts and lists, outer ones first."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = node.values()
    elif not isinstance(node, (list, tuple)):
        return
    for child in node:
        yield from _values_of(key, child)


def pipeline_of(loader: dict | None) -> list:
    """Pipeline of the first data set of a loader; [] where there is none."""
    dataset = (loader or {}).get('dataset') or {}
    while 'pipeline' not in dataset and (dataset.get('datasets') or dataset.get('dataset')):
        dataset = (dataset.get('datasets') or [dataset['dataset']])[0]
    return dataset.get('pipeline') or []
