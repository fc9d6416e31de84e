"""Why a file does not fit a backbone, and what would cure it."""
import re
from collections.abc import Mapping

import torch
from torch import nn

from .backbone_file import BackboneFile
from .state import Match, groups_of

RESNETS = {'1-2-2-2-2': 18, '1-3-4-6-3': 34, '3-3-4-6-3': 50, '3-3-4-23-3': 101,
           '3-3-8-36-3': 152}
SWINS = {(96, '2-2-6-2'): 'Swin-T', (96, '2-2-18-2'): 'Swin-S', (128, '2-2-18-2'): 'Swin-B',
         (192, '2-2-18-2'): 'Swin-L'}
VITS = {(192, 12): 'ViT-Ti', (384, 12): 'ViT-S', (768, 12): 'ViT-B', (1024, 24): 'ViT-L'}


def refusal(module: nn.Module, file: BackboneFile, match: Match, min_match: float) -> str:
    """One line: what was counted, examples and the likely cure.

    Args:
        module (nn.Module): The backbone.
        file (BackboneFile): What was to be loaded.
        match (Match): How the two fit.
        min_match (float): The share that was asked for.
    """
    parts = [
        f'{len(keys)} {title} ({_examples(keys)})' for title, keys in (
            ('missing', match.missing), ('unexpected', match.unexpected),
            ('of other shapes, file -> model', match.misfits)) if keys]
    return (f'{file} does not fit {_name(module)}: {len(match.tensors)} of {match.wanted} '
            f'tensors of the model filled, {len(match.tensors)} of {match.offered} of the '
            f'file used, min_match={min_match:g}; {", ".join(parts)}; '
            f'{_cure(module, file, match)}')


def architecture(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name and settings of a ResNet, Swin, ConvNeXt or ViT; '' for anything else.

    Args:
        tensors (Mapping[str, torch.Tensor]): State dict without prefix.
    """
    if 'layer1.0.conv1.weight' in tensors:
        depths = _depths(tensors, r'layer(\d)\.(\d+)\.')
        convolutions = '3' if 'layer1.0.conv3.weight' in tensors else '1'
        depth = RESNETS.get(f'{convolutions}-{depths}')
        width = len(tensors['layer1.0.conv1.weight'])
        return (f'ResNet{f"-{depth}" if depth else ""} (blocks {depths}, '
                f'base_channels={width})')
    if 'patch_embed.projection.weight' in tensors:
        width = len(tensors['patch_embed.projection.weight'])
        tables = {int(found[1]): value.shape[1] for key, value in tensors.items() if (
            found := re.match(r'stages\.(\d)\.blocks\.0\..*position_bias_table', key))}
        if tables:
            depths = _depths(tensors, r'stages\.(\d)\.blocks\.(\d+)\.')
            return (f'{SWINS.get((width, depths), "Swin")} (embed_dims={width}, depths='
                    f'{[int(n) for n in depths.split("-")]}, num_heads='
                    f'{[tables[stage] for stage in sorted(tables)]})')
        layers = len({found[1] for key in tensors if (found := re.match(r'layers\.(\d+)', key))})
        if layers:
            return (f'{VITS.get((width, layers), "ViT")} (embed_dims={width}, '
                    f'num_layers={layers})')
    if 'stages.0.0.depthwise_conv.weight' in tensors:
        depths = _depths(tensors, r'stages\.(\d)\.(\d+)\.')
        return (f'ConvNeXt (depths={[int(n) for n in depths.split("-")]}, first of channels='
                f'{len(tensors["stages.0.0.depthwise_conv.weight"])})')
    return ''


def _depths(tensors: Mapping, pattern: str) -> str:
    """Number of blocks of every stage, as '3-4-6-3'."""
    blocks = {}
    for found in filter(None, (re.match(pattern, key) for key in tensors)):
        blocks[found[1]] = max(blocks.get(found[1], 0), int(found[2]) + 1)
    return '-'.join(str(blocks[stage]) for stage in sorted(blocks))


def _cure(module: nn.Module, file: BackboneFile, match: Match) -> str:
    own = module.state_dict()
    here, there = architecture(file.tensors), architecture(own)
    if not match.tensors and not match.misfits and not (here and there):
        return _no_common_key(file, own)
    stems = [any(key.startswith('stem.') for key in keys) for keys in (own, file.tensors)]
    if here and stems == [True, False] and 'conv1.weight' in file.tensors:
        return "the file has a plain ResNet's stem: use type='ResNet'"
    if here and stems == [False, True] and 'conv1.weight' in own:
        return "the file has the deep stem of ResNetV1c and V1d: use type='ResNetV1c'"
    if here and there and here != there:
        return (f'the file is a {here}, the model a {there}: give the backbone the '
                "file's type and settings, or take another file")
    if match.unexpected == ['patch_embed.projection.bias']:
        return 'set patch_bias=True in the backbone'
    return ('take a file of this architecture, or name what may stay fresh in '
            'allow_missing=[...], or lower min_match')


def _no_common_key(file: BackboneFile, own: Mapping) -> str:
    if any(key.startswith('online_encoder.') for key in file.tensors):
        return ('the file is one of the published code: convert it with '
                'tools/model_converters/convert_published.py first')
    if file.meta.get('format', 'mm') != 'mm':
        return (f'the file was exported under the names of {file.meta["format"]}: export '
                'the training checkpoint again without --format')
    if any(f'backbone.{key}' in own for key in file.tensors):
        return 'no common key: the init_cfg belongs into the backbone, model.backbone.init_cfg'
    endings = tuple(f'.{key}' for key in own)
    hidden = next((key for key in file.tensors if key.endswith(endings)), None)
    if hidden:
        ending = max((e for e in endings if hidden.endswith(e)), key=len)
        prefix = hidden.removesuffix(ending[1:])
        return f'no common key: the backbone seems to lie under prefix={prefix!r}'
    return (f'no common key: the file has {_examples(groups_of(file.tensors), 5)}, the model '
            f'wants {_examples(groups_of(own), 5)}: take the checkpoint of such a backbone, '
            'or say where it lies with prefix=...')


def _name(module: nn.Module) -> str:
    """Such as 'mmseg ResNetV1c': several frameworks have classes of one name."""
    return f'{type(module).__module__.split(".")[0]} {type(module).__name__}'


def _examples(keys: list[str], most: int = 3) -> str:
    return ', '.join(keys[:most]) + (', ...' if len(keys) > most else '')
