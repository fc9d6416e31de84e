"""The model that is exported to ONNX, and what it computes for an image before it is changed."""
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor, nn

from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError
from .feature_inferencer import FeatureInferencer
from .map_inferencer import probabilities, sample_of
from .model import build_model
from .pipelines import raster_loading, test_pipeline


@dataclass
class Source:
    """A model that is to be exported.

    Attributes:
        model (nn.Module): In evaluation mode, on the CPU.
        task (str): Key of ``OUTPUTS``.
        mean (Tensor): Per band of the input, in 0..255, in the order of the model; ``std``
            likewise.
        image (Tensor): (1, bands, H, W), whole numbers of 0..255, in the order of the file.
        expected (Tensor): What the model gives for it, normalised and computed by the package's
            own inferencer or its framework's ``test_step``.
        loading (dict): ``bands``, ``band_indices`` and ``value_range`` of one date, see
            ``LoadRSImage.settings``.
        dates (int): Images of an input.
        reverse (bool): Whether the model takes the bands of a date in the reverse order of a file.
        names (list[str]): Of the classes.
        threshold (float): Of a single probability.
        name (str): Of the file, and what is known about it.
    """
    model: nn.Module
    task: str
    mean: Tensor
    std: Tensor
    image: Tensor
    expected: Tensor
    loading: dict
    dates: int = 1
    reverse: bool = False
    names: list = field(default_factory=list)
    threshold: float = 0.
    name: str = ''


def read_source(config: Config, checkpoint: str, backbone: bool, encoder: str | None,
                size: int) -> Source:
    """Build a model and compute an image with it; the arguments are those of ``export_onnx``.

    Raises:
        CMIDError: The task is not supported, the config states no normalisation, ``encoder`` is
            given for another task than a backbone, or the model does not take the size.
    """
    task = _task_of(config, backbone)
    if task == 'backbone':
        features = FeatureInferencer(config, checkpoint, encoder, size, 'cpu',
                                     show_progress=False)
        # the config states what an older or an 8-bit checkpoint does not
        loading = features.pipeline.transforms.transforms[0].settings() | {
            key: value for key, value in (features.meta.get('loading') or {}).items() if value}
        image = _test_image(len(features.mean), size)
        with _refuse_size(features.name, size):
            expected = features.forward(features.normalise(
                list(image.byte().permute(0, 2, 3, 1).numpy())))
        return Source(features.model, task, features.mean, features.std, image, expected,
                      loading, name=features.name)
    if encoder:
        raise CMIDError(f'encoder={encoder!r} chooses a backbone, but {config.filename} is a '
                        f'{task}: omit it, or export the backbone with --backbone')
    loading, bgr, dates = raster_loading(test_pipeline(config)[0])
    model = build_model(config, checkpoint, 'cpu')
    prepared = model.data_preprocessor
    if getattr(prepared, 'mean', None) is None:
        raise CMIDError(f'{config.filename} has no mean and std in model.data_preprocessor, so '
                        'the normalisation cannot be exported: set them there')
    name = Path(checkpoint).name
    image = _test_image(dates * loading.bands, size)
    # as a loader gives it
    given = image.unflatten(1, (dates, -1)).flip(2).flatten(1, 2) if bgr else image
    data = dict(inputs=list(given.byte()))
    if task != 'classification':
        data['data_samples'] = [sample_of((size, size))]
        # the graph has no slide over parts of an image
        model.test_cfg = ConfigDict(model.test_cfg or {}, mode='whole')
    with _refuse_size(name, size), scope_of(config), torch.no_grad():
        # not by bgr_to_rgb, which mmseg ignores for other than three bands
        normalised = prepared(data)['inputs'][..., :size, :size]
        reverse = not torch.allclose(normalised, (image - prepared.mean) / prepared.std)
        sample, = model.test_step(data)
    expected = sample.pred_score if task == 'classification' else probabilities(sample)
    head = model.head if task == 'classification' else model.decode_head
    single = task != 'classification' and head.out_channels == 1
    count = max(head.num_classes, 2)
    names = list(model.dataset_meta.get('classes') or [])[:count]
    return Source(
        model, task, prepared.mean, prepared.std, image, expected[None], loading.settings(),
        dates, reverse, names + [f'class {i}' for i in range(len(names), count)],
        float(head.threshold) if single else 0., name)


def _test_image(bands: int, size: int) -> Tensor:
    """Random image whose bands differ in brightness, so that their order matters."""
    brightest = torch.linspace(80, 255, bands)[:, None, None]
    unit = torch.rand((1, bands, size, size), generator=torch.Generator().manual_seed(0))
    return (brightest * unit).round()


@contextmanager
def _refuse_size(name: str, size: int) -> Iterator[None]:
    try:
        yield
    except CMIDError:
        raise
    except Exception as error:  # of any module
        raise CMIDError(f'{name} fails with images of {size} px ({reason_of(error)}): give '
                        'another --size') from error


def _task_of(config: Config, backbone: bool) -> str:
    model = config.model
    if config.get('default_scope') == 'mmpretrain' and 'backbone' in model:
        if backbone or 'head' not in model:
            return 'backbone'
        if 'num_classes' in model.head and 'MultiLabel' not in str(model.head.type):
            return 'classification'
        raise CMIDError(f'{config.filename} has a {model.head.type}, which gives no '
                        'probabilities of exclusive classes: export its backbone with --backbone')
    if isinstance(model.get('decode_head'), dict) and not backbone:
        dates = raster_loading(test_pipeline(config)[0])[2]
        return 'change' if dates == 2 else 'segmentation'
    raise CMIDError(
        f'{config.filename} ({model.get("type")}) cannot be exported: '
        + ('its backbone is not that of a config of mmpretrain; give the config of the '
           'pre-training' if backbone else 'give a config of a pre-training, a classification, '
           'a segmentation with one decode_head, or a change detection'))


def reason_of(error: Exception) -> str:
    """First line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
