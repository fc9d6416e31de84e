"""Backbones under the names and layouts of torchvision and timm.

``ARCHITECTURES`` is the whole correspondence: a row for every kind of tensor, with its
name here (mmpretrain's), in torchvision's classification model and in timm's. Seen in
torchvision 0.28 and timm 1.0.31. Blanks stand for numbers, ``{leaf}`` for weight, bias
or a running statistic; in the other libraries' names ``{next}``, ``{double}``, ``{odd}``
and ``{even}`` are s + 1, 2 s, 2 s + 1 and 2 s + 2 for stage ``{s}``. None is a tensor that
the other library has no use for.
"""
import re
from collections.abc import Mapping, Sequence

from torch import Tensor

LIBRARIES = ('torchvision', 'timm')


def as_here(*names: str) -> list:
    """Rows of tensors that are called the same everywhere."""
    return [(name, name, name) for name in names]


ARCHITECTURES = dict(
    ResNet=as_here(
        'conv1.weight', 'bn1.{leaf}',
        'layer{s}.{b}.conv{i}.weight', 'layer{s}.{b}.bn{i}.{leaf}',
        'layer{s}.{b}.downsample.0.weight', 'layer{s}.{b}.downsample.1.{leaf}'),
    Swin=[
        ('patch_embed.projection.{leaf}', 'features.0.0.{leaf}', 'patch_embed.proj.{leaf}'),
        ('patch_embed.norm.{leaf}', 'features.0.2.{leaf}', 'patch_embed.norm.{leaf}'),
        *((f'stages.{{s}}.blocks.{{b}}.{ours}', f'features.{{odd}}.{{b}}.{vision}',
           timm and f'layers.{{s}}.blocks.{{b}}.{timm}') for ours, vision, timm in (
            ('norm{i}.{leaf}', 'norm{i}.{leaf}', 'norm{i}.{leaf}'),
            ('attn.w_msa.relative_position_bias_table',
             'attn.relative_position_bias_table', 'attn.relative_position_bias_table'),
            ('attn.w_msa.relative_position_index', 'attn.relative_position_index', None),
            ('attn.w_msa.qkv.{leaf}', 'attn.qkv.{leaf}', 'attn.qkv.{leaf}'),
            ('attn.w_msa.proj.{leaf}', 'attn.proj.{leaf}', 'attn.proj.{leaf}'),
            ('ffn.layers.0.0.{leaf}', 'mlp.0.{leaf}', 'mlp.fc1.{leaf}'),
            ('ffn.layers.1.{leaf}', 'mlp.3.{leaf}', 'mlp.fc2.{leaf}'))),
        ('stages.{s}.downsample.norm.{leaf}', 'features.{even}.norm.{leaf}',
         'layers.{next}.downsample.norm.{leaf}'),
        ('stages.{s}.downsample.reduction.weight', 'features.{even}.reduction.weight',
         'layers.{next}.downsample.reduction.weight'),
        ('norm3.{leaf}', 'norm.{leaf}', 'norm.{leaf}'),
        ('norm{s}.{leaf}', None, None)],
    VisionTransformer=[
        ('cls_token', 'class_token', 'cls_token'),
        ('pos_embed', 'encoder.pos_embedding', 'pos_embed'),
        ('patch_embed.projection.{leaf}', 'conv_proj.{leaf}', 'patch_embed.proj.{leaf}'),
        *((f'layers.{{b}}.{ours}', f'encoder.layers.encoder_layer_{{b}}.{vision}',
           f'blocks.{{b}}.{timm}') for ours, vision, timm in (
            ('ln{i}.{leaf}', 'ln_{i}.{leaf}', 'norm{i}.{leaf}'),
            ('attn.qkv.{leaf}', 'self_attention.in_proj_{leaf}', 'attn.qkv.{leaf}'),
            ('attn.proj.{leaf}', 'self_attention.out_proj.{leaf}', 'attn.proj.{leaf}'),
            ('ffn.layers.0.0.{leaf}', 'mlp.0.{leaf}', 'mlp.fc1.{leaf}'),
            ('ffn.layers.1.{leaf}', 'mlp.3.{leaf}', 'mlp.fc2.{leaf}'))),
        ('ln1.{leaf}', 'encoder.ln.{leaf}', 'norm.{leaf}')],
    ConvNeXt=[
        ('downsample_layers.0.{i}.{leaf}', 'features.0.{i}.{leaf}', 'stem.{i}.{leaf}'),
        ('downsample_layers.{s}.{i}.{leaf}', 'features.{double}.{i}.{leaf}',
         'stages.{s}.downsample.{i}.{leaf}'),
        *((f'stages.{{s}}.{{b}}.{ours}', f'features.{{odd}}.{{b}}.{vision}',
           f'stages.{{s}}.blocks.{{b}}.{timm}') for ours, vision, timm in (
            ('gamma', 'layer_scale', 'gamma'),
            ('depthwise_conv.{leaf}', 'block.0.{leaf}', 'conv_dw.{leaf}'),
            ('norm.{leaf}', 'block.2.{leaf}', 'norm.{leaf}'),
            ('pointwise_conv1.{leaf}', 'block.3.{leaf}', 'mlp.fc1.{leaf}'),
            ('pointwise_conv2.{leaf}', 'block.5.{leaf}', 'mlp.fc2.{leaf}'))),
        ('norm3.{leaf}', 'classifier.0.{leaf}', 'head.norm.{leaf}'),
        ('norm{s}.{leaf}', None, None)],
)
# What the other library's model cannot do without; tells the architectures apart.
NEEDED = dict(
    ResNet=('conv1.weight', 'bn1.weight', 'layer4.0.conv1.weight'),
    Swin=('patch_embed.norm.weight', 'stages.0.blocks.0.attn.w_msa.qkv.bias',
          'norm3.weight'),
    VisionTransformer=('cls_token', 'pos_embed', 'patch_embed.projection.bias',
                       'layers.0.attn.qkv.bias', 'ln1.weight'),
    ConvNeXt=('downsample_layers.0.0.weight', 'stages.0.0.gamma', 'norm3.weight'),
)
LEAVES = '(?P<leaf>weight|bias|running_mean|running_var|num_batches_tracked)'


def convert_backbone(state: Mapping[str, Tensor], library: str) -> dict[str, Tensor]:
    """A backbone for ``load_state_dict`` of another library's model.

    Args:
        state (Mapping[str, Tensor]): State dict of an mmpretrain backbone, no prefix.
        library (str): One of ``LIBRARIES``.

    Returns:
        dict[str, Tensor]: Everything but the classifier. Tensors are contiguous and share
        no memory with ``state``.

    Raises:
        ValueError: The other library has no model with this backbone.
    """
    kind = recognise(state, f'this backbone has no counterpart in {library}')
    converted = {}
    for key, value in state.items():
        row, numbers = row_of(kind, key)
        name = row[1 + LIBRARIES.index(library)]
        if name is not None:
            value = layout(kind, row[0], value, library)
            converted[name.format(**numbers)] = value.contiguous().clone()
    return converted


def recognise(state: Mapping[str, Tensor], complaint: str,
              kinds: Sequence[str] = tuple(ARCHITECTURES)) -> str:
    """Which architecture a state dict belongs to, by the names of its tensors.

    Args:
        state (Mapping[str, Tensor]): State dict of a backbone, no prefix.
        complaint (str): How the message begins where it belongs to none.
        kinds (Sequence[str]): Architectures to choose from. Defaults to all.

    Raises:
        ValueError: It belongs to none.
    """
    for kind in kinds:
        if all(name in state for name in NEEDED[kind]):
            strange = [key for key in state if row_of(kind, key) is None]
            if not strange:
                return kind
            raise ValueError(f'{complaint}: {len(strange)} tensors are none of a plain '
                             f'{kind} (e.g. {strange[0]})')
    raise ValueError(f'{complaint}: it is none of mmpretrain\'s {", ".join(kinds)} (found '
                     f'{", ".join(list(state)[:2])}, ...)')


def row_of(kind: str, key: str) -> tuple | None:
    """Row of ``ARCHITECTURES`` for a key, and the numbers in it; None without one."""
    for row in ARCHITECTURES[kind]:
        pattern = re.escape(row[0]).replace(r'\{leaf\}', LEAVES)
        pattern = re.sub(r'\\\{(\w)\\\}', r'(?P<\1>\\d+)', pattern)
        match = re.fullmatch(pattern, key)
        if match:
            s = int(match.groupdict().get('s', 0))
            return row, match.groupdict() | dict(
                next=s + 1, double=2 * s, odd=2 * s + 1, even=2 * s + 2)
    return None


def layout(kind: str, name: str, value: Tensor, library: str) -> Tensor:
    """A tensor as the other library lays it out.

    Args:
        kind (str): Architecture.
        name (str): First entry of the tensor's row.
        value (Tensor): Any shape.
        library (str): One of ``LIBRARIES``.
    """
    if kind == 'Swin' and '.downsample.' in name:
        return regroup(value)
    if name.endswith('relative_position_index'):
        return value.flatten()
    if name.endswith('gamma') and library == 'torchvision':
        return value[:, None, None]
    if '.pointwise_conv' in name and value.ndim == 4:
        return value.flatten(1)
    return value


def regroup(value: Tensor) -> Tensor:
    """Columns of a patch merging from mmpretrain's order to Microsoft's.

    mmpretrain unfolds 2 x 2 neighbours channel by channel (index 4 c + 2 dy + dx), the
    others stack whole neighbours: (dy, dx) = (0, 0), (1, 0), (0, 1), (1, 1).

    Args:
        value (Tensor): (..., 4 C), of the norm or of the reduction.
    """
    return value.unflatten(-1, (-1, 2, 2)).transpose(-3, -1).flatten(-3)
