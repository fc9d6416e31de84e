"""A folder with a backbone, its settings and a model card, which timm loads as it is."""
import json
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from ..utils.errors import CMIDError
from .architectures import convert_backbone, depths_of, recognise
from .export import convert_checkpoint, save_safetensors
from .files import atomic_write
from .model_card import model_card
from .normalisation import parse_config
from .publish import without_paths

_FILES = ('model.safetensors', 'config.json', 'README.md')
# timm's names of the first convolution and the classifier
_ENDS = dict(ResNet=('conv1', 'fc'), Swin=('patch_embed.proj', 'head.fc'),
             VisionTransformer=('patch_embed.proj', 'head'), ConvNeXt=('stem.0', 'head.fc'))
# relative; in float64 equal models differ by 1e-14
_TOLERANCE = 1e-6
# timm's models by (width, blocks of every stage); ResNet's width tells its kind of block
_NAMES = dict(
    ResNet={(1, (2, 2, 2, 2)): 'resnet18', (1, (3, 4, 6, 3)): 'resnet34',
            (4, (3, 4, 6, 3)): 'resnet50', (4, (3, 4, 23, 3)): 'resnet101',
            (4, (3, 8, 36, 3)): 'resnet152'},
    Swin={(96, (2, 2, 6, 2)): 'tiny', (96, (2, 2, 18, 2)): 'small', (128, (2, 2, 18, 2)): 'base',
          (192, (2, 2, 18, 2)): 'large'},
    VisionTransformer={(192, (12, )): 'tiny', (384, (12, )): 'small', (768, (12, )): 'base',
                       (1024, (24, )): 'large'},
    ConvNeXt={(96, (3, 3, 9, 3)): 'tiny', (96, (3, 3, 27, 3)): 'small',
              (128, (3, 3, 27, 3)): 'base', (192, (3, 3, 27, 3)): 'large'})
_TYPES = dict(ResNet='ResNet', Swin='SwinTransformer', VisionTransformer='VisionTransformer',
              ConvNeXt='ConvNeXt')
# layers and modes that a config may name; mmengine would import and call any other name
_PARTS = {'BN', 'SyncBN', 'LN', 'LN2d', 'ReLU', 'GELU', 'Conv2d', 'bicubic'}
_FREE = ('type', 'init_cfg', 'arch', 'style', 'out_type')
# settings of a ResNet that its weights do not show, as timm has them
_RESNET = dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), style='pytorch')


def export_hub(checkpoint: str, out_dir: str, licence: str | None = None,
               encoder: str | None = None) -> dict:
    """Write a backbone as a folder of timm: ``timm.create_model('local-dir:OUT_DIR', ...)``.

    ``model.safetensors`` has timm's names, ``config.json`` its architecture, sizes and
    normalisation (0..1) and under ``cmid_mm`` the checkpoint's ``meta`` (0..255), ``README.md``
    is a model card. Pooled features of timm's model are the scene vectors of this package.
    Absolute paths of ``meta`` are removed, as by ``publish``. Where timm is installed, its model
    and the student compute one image before anything is written.

    Args:
        checkpoint (str): Of a CMID pre-training, or a file exported from it.
        out_dir (str): Folder to write, new or of an earlier export, which is replaced.
        licence (str): Licence of the weights, for the card, such as 'apache-2.0'.
        encoder (str, optional): As in ``export_backbone``.

    Returns:
        dict: The content of ``config.json``.

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: There is no licence, the checkpoint is not one of CMID, timm has no such
            backbone or computes something else, ``meta`` lacks what timm needs, or the folder
            has files of something else.
    """
    if not licence or not re.fullmatch(r'[\w.+ -]+', licence):
        raise CMIDError(f'licence {licence!r}: a published model needs one, in letters, digits '
                        'and . + -; give it with --licence, such as --licence apache-2.0')
    folder = Path(out_dir).resolve()
    _check_folder(folder)
    exported = convert_checkpoint(checkpoint, encoder)
    meta = without_paths(exported['meta'] | dict(format='timm'))
    student = {key.removeprefix('backbone.'): value
               for key, value in exported['state_dict'].items()}
    try:
        config = timm_config(student, meta, licence)
        texts = {'config.json': json.dumps(config, indent=2),
                 'README.md': model_card(config, folder.name)}
    except CMIDError:
        raise
    # whatever a file of others has in place of the values that this package writes
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CMIDError(f'{checkpoint}: its meta or config cannot be described '
                        f'({type(error).__name__}: {error}): export it again from the checkpoint '
                        'of the training') from error
    state = convert_backbone(student, 'timm')
    if config['model_args'].get('head_norm_first'):
        state = {key.replace('head.norm.', 'norm_pre.'): value for key, value in state.items()}
    _compare(config, state, student)
    save_safetensors(dict(state_dict=state, meta=meta), str(folder / 'model.safetensors'))
    for name, text in texts.items():
        with atomic_write(folder / name) as path:
            path.write_text(text + '\n', encoding='utf-8')
    return config


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CMIDError(f'{folder} is a file: give the name of a folder to write')
    found = [name for name in _FILES if (folder / name).exists()]
    try:
        ours = 'cmid_mm' in json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, TypeError, ValueError):
        ours = False
    if found and not ours:
        raise CMIDError(f'{folder} has a {found[0]} and is no earlier export: give the name of a '
                        'new folder')


@torch.no_grad()
def _compare(config: dict, state: dict[str, Tensor], student: dict[str, Tensor]) -> None:
    """Refuse what timm cannot load, or computes otherwise than the student of the config."""
    try:
        import timm
    except ImportError:
        return
    settings = _model_of(config['cmid_mm'])[1]
    bands, side, _ = config['pretrained_cfg']['input_size']
    try:
        image = torch.randn(1, bands, side, side, dtype=torch.float64,
                            generator=torch.Generator().manual_seed(0))
        theirs = timm.create_model(config['architecture'], num_classes=0, **config['model_args'])
        theirs.load_state_dict(state)
        theirs = theirs.double().eval()(image)
        if not settings:
            return
        ours = MODELS.build(settings | dict(type=settings['type'].split('.')[-1], init_cfg=None))
        ours.double()
        ours.load_state_dict(student, strict=False)
        # some backbones of mmpretrain return nothing from eval()
        ours.eval()
        ours = ours(image)[-1]
        ours = ours.mean((2, 3)) if ours.ndim == 4 else ours
    except Exception as error:
        reason = ' '.join(str(error).split())[:200]
        raise CMIDError(f'timm and the student cannot be compared ({reason}): export it as '
                        'ONNX') from error
    difference = float((theirs - ours).abs().max() / ours.abs().max())
    if not difference < _TOLERANCE:
        raise CMIDError(f'the features of timm and of the student differ by {difference:.1e} at '
                        f'{side} px: export it as ONNX')


# ------------------------------------------------------------------------------ config.json


def timm_config(state: dict[str, Tensor], meta: dict, licence: str) -> dict:
    """timm's ``config.json`` of a backbone.

    Args:
        state (dict[str, Tensor]): Of mmpretrain, no prefix.
        meta (dict): See ``extract_backbone``.
        licence (str): Licence of the weights.

    Raises:
        CMIDError: timm has no such backbone, or ``meta`` has no numbers of every band.
    """
    kind = recognise(state, 'this backbone has no counterpart in timm')
    bands = meta.get('bands')
    for name in ('mean', 'std'):
        values = meta.get(name)
        if not (isinstance(values, (list, tuple)) and len(values) == bands and all(
                isinstance(value, (int, float)) and isfinite(value) for value in values)):
            raise CMIDError(f'meta.{name} is no list of a number for each of {bands} bands '
                            '(meta.bands): export it again from the checkpoint of the training')
    model, settings = _model_of(meta)
    found = str(settings.get('type', _TYPES[kind])).split('.')[-1]
    if found != _TYPES[kind]:
        raise CMIDError(f'this backbone is a {found}, which timm would compute as a '
                        f'{_TYPES[kind]}: export it as ONNX')
    for key in set(settings).difference(_FREE):
        for text in set(_strings(settings[key])) - _PARTS:
            raise CMIDError(f'this backbone was trained with {key} of {text}, which folders for '
                            'timm do not support: export it as ONNX')
    side = model.get('image_size') or 224
    side = int(max(side) if isinstance(side, list) else side)
    name, arguments, features = globals()[f'_{kind.lower()}'](
        state, tuple(depths_of(kind, state)), settings, side)
    side = arguments.get('img_size', side)
    first, classifier = _ENDS[kind]
    preset = dict(
        tag='cmid', custom_load=False, input_size=[bands, side, side],
        fixed_input_size='img_size' in arguments, interpolation='bilinear',
        # as the probes of a pre-training read images
        crop_pct=0.875, crop_mode='center', mean=[value / 255 for value in meta['mean']],
        std=[value / 255 for value in meta['std']], num_classes=0, first_conv=first,
        classifier=classifier, license=licence)
    return dict(architecture=name, num_classes=0, num_features=features, global_pool='avg',
                model_args=arguments | dict(in_chans=bands), pretrained_cfg=preset, cmid_mm=meta)


def _model_of(meta: dict) -> tuple[dict, dict]:
    """Settings of the model and of its backbone in the config of the training; {} if unknown."""
    model = (parse_config(meta.get('config')) or {}).get('model')
    model = model if isinstance(model, dict) else {}
    return model, model['backbone'] if isinstance(model.get('backbone'), dict) else {}


def _strings(value) -> Iterator[str]:
    """Strings in a plain value, without the keys of dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _resnet(state: dict, depths: tuple, settings: dict, side: int) -> tuple[str, dict, int]:
    width = len(state['layer1.0.conv1.weight'])
    expansion = 4 if 'layer1.0.conv3.weight' in state else 1
    if not settings:
        raise CMIDError('this checkpoint does not state the strides of its ResNet (meta.config): '
                        'export it again from the checkpoint of the training')
    for key, value in _RESNET.items():
        given = settings.get(key, value)
        if (tuple(given) if isinstance(given, list) else given) != value:
            raise CMIDError(f'this ResNet was trained with {key}={given}, timm has {key}={value} '
                            'and would compute something else: export it as ONNX')
    stem = len(state['conv1.weight'])
    if stem != 64:
        raise CMIDError(f'this ResNet has a stem of {stem} channels, timm has 64 '
                        '(stem_channels): export it as ONNX')
    channels = [] if width == 64 else [width * 2**stage for stage in range(4)]
    name = _NAMES['ResNet'][expansion, depths]
    return name, dict(channels=channels) if channels else {}, 8 * width * expansion


def _swin(state: dict, depths: tuple, settings: dict, side: int) -> tuple[str, dict, int]:
    width = len(state['patch_embed.projection.weight'])
    tables = [state[f'stages.{stage}.blocks.0.attn.w_msa.relative_position_bias_table']
              for stage in range(len(depths))]
    # a window of side w has 2 w - 1 offsets along each axis
    window = (round(len(tables[0])**0.5) + 1) // 2
    patch = state['patch_embed.projection.weight'].shape[-1]
    for stage in range(len(depths)):
        cells = -(-side // (patch * 2**stage))
        # mmpretrain pads a map and then shifts its windows, timm shifts first; a map of one window
        # is shifted with pad_small_map only
        if cells % window or cells == window and settings.get('pad_small_map'):
            raise CMIDError(f'at {side} px stage {stage} of this Swin has {cells} x {cells} '
                            f'cells, which timm does not divide into windows of {window} as '
                            'mmpretrain does: export it as ONNX')
    size = _NAMES['Swin'].get((width, depths), 'tiny')
    return f'swin_{size}_patch4_window7_224', dict(
        embed_dim=width, depths=list(depths), num_heads=[table.shape[1] for table in tables],
        window_size=window, patch_size=patch, img_size=side), width * 2**(len(depths) - 1)


def _visiontransformer(state: dict, depths: tuple, settings: dict,
                       side: int) -> tuple[str, dict, int]:
    width, depth = len(state['patch_embed.projection.weight']), depths[0]
    arch = settings.get('arch')
    known = (width, depths) in _NAMES['VisionTransformer']
    heads = arch.get('num_heads') if isinstance(arch, dict) else width // 64 if known else None
    if not heads:
        raise CMIDError(f'this VisionTransformer (embed_dims={width}, num_layers={depth}) is '
                        'of no known size and its checkpoint does not state the number of '
                        'heads: export it as ONNX')
    size = _NAMES['VisionTransformer'].get((width, depths), 'base')
    patch = state['patch_embed.projection.weight'].shape[-1]
    return f'vit_{size}_patch16_224', dict(
        embed_dim=width, depth=depth, num_heads=heads, patch_size=patch,
        mlp_ratio=len(state['layers.0.ffn.layers.0.0.weight']) / width,
        img_size=patch * round((state['pos_embed'].shape[1] - 1)**0.5),
        # the mean of the normalised cells without the class token, as scene vectors here
        global_pool='avg', fc_norm=False), width


def _convnext(state: dict, depths: tuple, settings: dict, side: int) -> tuple[str, dict, int]:
    widths = [len(state[f'stages.{stage}.0.gamma']) for stage in range(len(depths))]
    patch = state['downsample_layers.0.0.weight'].shape[-1]
    if patch != 4:
        raise CMIDError(f'this ConvNeXt has a stem_patch_size of {patch}, timm has 4: export it '
                        'as ONNX')
    size = _NAMES['ConvNeXt'].get((widths[0], depths), 'tiny')
    # students normalise the map before it is pooled
    return f'convnext_{size}', dict(depths=list(depths), dims=widths,
                                    head_norm_first=True), widths[-1]
