"""Export of backbones and fine-tuned models to ONNX, compared with torch before a file is kept."""
import json
import logging
import math
import warnings
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from ..checkpoints.files import atomic_write, check_output
from ..utils.errors import CMIDError
from ..version import __version__
from .model import as_config
from .onnx_graph import OUTPUTS, ExportedModel, fixes_size
from .onnx_source import Source, read_source, reason_of
from .pipelines import image_side

#: Greatest difference from torch, relative to the greatest value of a result.
TOLERANCES = dict(float32=1e-3, float16=3e-2)
PACKAGES = 'onnx onnxscript onnxruntime'
# weights below this number of values stay float32: norms, biases, mean and std
_MIN_HALF = 1024
# sizes differ by multiples of it: strides of students, sides of patches
_STEP = 32


class _NotTranslated(CMIDError):
    """A graph cannot be written, or does not run."""


def export_onnx(config: str | Config, checkpoint: str, out: str, backbone: bool = False,
                encoder: str | None = None, size: int | None = None,
                fixed_size: bool = False, half: bool = False, raw: bool = False,
                resolution: float | None = None, cfg_options: dict | None = None) -> dict:
    """Write a model as ONNX, with its normalisation.

    The input ``image`` is float32 (B, bands, H, W), values of 0..255; the results are described
    in ``ExportedModel``, which is compared with the model itself on a random image. The file
    is compared with it in ONNX Runtime on random images of two sizes, or two batches of one
    size, and kept where they agree.

    Args:
        config (str | Config): Of a pre-training, a classification (mmpretrain), a segmentation
            or a change detection (mmseg's style), which decides the task.
        checkpoint (str): Of its training; for a backbone see ``read_backbone_file``.
        out (str): File to write.
        backbone (bool): Whether to export the backbone of a classification. Defaults to False.
        encoder (str, optional): Of a backbone, see ``read_backbone_file``.
        size (int, optional): Side of the images in pixels, with which it is compared and to
            which it may be fixed. Defaults to None: that of the training.
        fixed_size (bool): Whether to fix the size. Defaults to False: where the model needs it.
        half (bool): Whether weights are stored as float16. Defaults to False.
        raw (bool): Whether inputs are the values of the files, which ``value_range`` of the
            loading maps to 0..255 in the graph. Defaults to False.
        resolution (float, optional): Side of a pixel on the ground in cm, for QGIS.
        cfg_options (dict, optional): Changes of the config, dotted key -> value.

    Returns:
        dict: ``task``, ``inputs`` and ``outputs`` (name -> shape, with names of variable
        lengths), ``fixed`` (why the size is fixed, '' where it is not), ``difference`` (the
        greatest, see ``TOLERANCES``), ``source``.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        CMIDError: onnx, onnxscript or onnxruntime is not installed, the task is not supported,
            the checkpoint lacks the head or is of another model, the model does not take the
            size or has no counterpart in ONNX, the file computes something else than torch, or
            ``out`` is the config or the checkpoint.
    """
    config = as_config(config, cfg_options)
    require_packages()
    for source in filter(None, (config.filename, checkpoint)):
        check_output(out, source)
    size = image_side(config) if size is None else size
    if size < 1:
        raise CMIDError(f'a size of {size} px: give the side of the images in pixels')
    source = read_source(config, checkpoint, backbone, encoder, size)
    value_range = source.loading.get('value_range') if raw else None
    if raw and not value_range:
        raise CMIDError(f'{source.name} states no value_range that maps raw values to 0..255: '
                        'omit --raw, or set value_range of LoadRSImage in the config')
    bounds = list(value_range) * source.dates if raw else None
    module = ExportedModel(source.model, source.task, source.mean, source.std, bounds,
                           source.reverse, source.dates).eval()
    _check_module(module, source)
    fixed = 'as requested' if fixed_size else (
        'its windows depend on the size' if fixes_size(module) else '')
    metadata = _metadata(source, size, raw, resolution)
    if not fixed:
        try:
            return _write(module, source, out, size, False, half, metadata)
        except _NotTranslated as error:
            fixed = f'with any size {error}'
            print_log(f'{source.name}: {fixed}; a fixed size is tried', 'current',
                      logging.WARNING)
    return dict(_write(module, source, out, size, True, half, metadata), fixed=fixed)


def require_packages() -> None:
    """CMIDError where a package of the export is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise CMIDError(f'{error.name} is not installed: pip install {PACKAGES}') from error


@torch.no_grad()
def _check_module(module: ExportedModel, source: Source) -> None:
    """CMIDError where a model with its normalisation computes something else than without."""
    image = source.image
    if module.bounds is not None:
        low, high = module.bounds
        image = low + image * (high - low) / 255
    difference = _difference(source.expected, module(image)[-1])
    if difference > TOLERANCES['float32']:
        raise CMIDError(
            f'{source.name} as it would be exported differs from the model by {difference:.2g} '
            'of the greatest value: give a --size that data_preprocessor does not pad, or '
            'export another student')


def _difference(ours: Tensor, theirs: Tensor) -> float:
    far = (ours - theirs).abs().max() / ours.abs().max()
    # NaN, too, is a difference
    return float(far.nan_to_num(math.inf))


def _metadata(source: Source, size: int, raw: bool, resolution: float | None) -> dict[str, str]:
    """Metadata of the file, JSON by key; of segmentations also those that QGIS's deepness reads."""
    bands = len(source.mean)
    mean, std = (values.reshape(source.dates, -1).flip(1) if source.reverse else values
                 for values in (source.mean, source.std))
    found = dict(cmid_mm=dict(
        version=__version__, source=source.name, task=source.task, bands=bands // source.dates,
        dates=source.dates, band_indices=source.loading.get('band_indices'),
        value_range=source.loading.get('value_range'), input='raw' if raw else '0..255',
        mean=mean.flatten().tolist(), std=std.flatten().tolist()))
    if source.names:
        found['class_names'] = dict(enumerate(source.names))
    found['tile_size'] = size
    if source.task in ('segmentation', 'change'):
        found['seg_thresh'] = source.threshold
    if 'seg_thresh' in found and not raw:
        found.update(
            model_type='Segmentor', tiles_overlap=25, seg_small_segment=0,
            # deepness divides by 255 first, so that the graph receives 0..255 again
            standardization_mean=[0.] * bands, standardization_std=[1 / 255] * bands)
        if resolution:
            found['resolution'] = resolution
    return {key: json.dumps(value) for key, value in found.items()}


# -------------------------------------------------------------------------------- the file


def _write(module: ExportedModel, source: Source, out: str, size: int, fixed: bool,
           half: bool, metadata: dict) -> dict:
    """Write and compare one file; CMIDError where it cannot be written, or differs."""
    import onnx
    bands = len(source.mean)
    # at another size than in training a ViT interpolates its positions, as it must
    sides = (size, size) if fixed else (size + _STEP, size + 2 * _STEP)
    graph = _translate(module, (2, bands, *sides), fixed, source.name)
    if half:
        _halve(graph.graph)
    onnx.helper.set_model_props(graph, metadata)
    with atomic_write(out) as path:
        onnx.save(graph, path)
        shapes = [(1, bands, size, size), (3, bands, *((size, size) if fixed else (
            size + 3 * _STEP, size + _STEP)))]
        result = _compare(module, path, shapes, half, source)
    return dict(result, task=source.task, fixed='', source=source.name)


def _translate(module: ExportedModel, shape: tuple, fixed: bool, name: str):
    """The module as an ``onnx.ModelProto``, batch and perhaps size variable."""
    lengths = {0: 'batch'} if fixed else {0: 'batch', 2: 'height', 3: 'width'}
    image = torch.full(shape, 100.)
    loggers = [logging.getLogger(key) for key in ('torch', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with torch.no_grad():
            outputs = OUTPUTS[module.task][:len(module(image))]
        # with gradients, window attention is the plain one
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter('ignore')
            graph = torch.onnx.export(
                module, (image, ), dynamo=True, dynamic_shapes=(lengths, ), verbose=False,
                input_names=['image'], output_names=outputs, external_data=False).model_proto
    except Exception as error:  # of the exporter, which has many classes
        raise _NotTranslated(f'{name} cannot be exported to ONNX ({reason_of(error)}): a module '
                             'of it has no counterpart; export another student') from error
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
    _strip(graph.graph)
    return graph


def _strip(graph) -> None:
    """Remove the exporter's notes from a graph: its nodes have paths of this machine."""
    graph.doc_string = ''
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output,
                 *graph.initializer):
        part.doc_string = ''
        if hasattr(part, 'metadata_props'):
            del part.metadata_props[:]


def _halve(graph) -> None:
    """Store large weights as float16; casts, computed once at loading, give float32."""
    from onnx import TensorProto, helper, numpy_helper
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or math.prod(tensor.dims) < _MIN_HALF:
            continue
        with np.errstate(over='ignore'):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        if np.isfinite(values).all():
            casts.append(helper.make_node('Cast', [f'{tensor.name}.half'], [tensor.name],
                                          to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(values, f'{tensor.name}.half'))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@torch.no_grad()
def _compare(module: ExportedModel, path: Path, shapes: list, half: bool,
             source: Source) -> dict:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, too
    tolerance = TOLERANCES['float16' if half else 'float32']
    difference = 0.
    try:
        session = onnxruntime.InferenceSession(str(path), options,
                                               providers=['CPUExecutionProvider'])
        for shape in shapes:
            image = _random_image(module, shape)
            found = session.run(None, {'image': image.numpy()})
            for ours, theirs in zip(module(image), found):
                difference = max(difference, _difference(ours, torch.from_numpy(theirs)))
    except Exception as error:  # ONNX Runtime's own classes, and shapes that differ
        raise _NotTranslated(f'{source.name} does not run in ONNX Runtime ({reason_of(error)}): '
                             'export another student, or with --fixed-size') from error
    if difference > tolerance:
        raise CMIDError(f'{source.name} differs in ONNX Runtime from torch by {difference:.2g} '
                        f'of the greatest value, more than {tolerance}: the file is not kept; '
                        + ('omit --half' if half else
                           'export another student, or with --fixed-size'))
    shape_of = {value.name: value.shape
                for value in (*session.get_inputs(), *session.get_outputs())}
    return dict(inputs=dict(image=shape_of.pop('image')), outputs=shape_of,
                difference=difference)


def _random_image(module: ExportedModel, shape: tuple) -> Tensor:
    """Whole numbers in the range of the input and somewhat beyond that of raw values."""
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(shape, generator=generator)
    if module.bounds is None:
        return (255 * unit).round()
    low, high = module.bounds
    return (low + (1.2 * unit - 0.1) * (high - low)).round()
