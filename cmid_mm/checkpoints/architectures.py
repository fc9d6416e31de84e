"""Table of backbone families: names of modules and tensors here and in other libraries."""
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..utils.errors import CMIDError

LIBRARIES = ('torchvision', 'timm')


@dataclass(frozen=True)
class Family:
    """Names in a family of mmpretrain's backbones.

    Attributes:
        stem (str): Last module of the stem; the mask token is added to its output.
        stage (str): Pattern of the modules whose outputs are the feature maps.
        block (str): Pattern of a tensor that every block has once; its first group is the
            stage.
        width (str): Tensor whose length is the width of the first stage.
        needed (tuple[str, ...]): Tensors that the other libraries' models require; they
            identify the family.
        tensors (list[tuple]): A row for every kind of tensor: its name here, in torchvision's
            classification model and in timm's, checked with torchvision 0.28 and timm 1.0.31.
            ``{leaf}`` is weight, bias or a running statistic, other fields are numbers; in the
            other libraries' names ``{next}``, ``{double}``, ``{odd}`` and ``{even}`` are s + 1,
            2 s, 2 s + 1 and 2 s + 2 for stage ``{s}``. None: the library has no such tensor.
        sizes (dict): (width, blocks of every stage) -> letter of that size.
    """
    stem: str
    stage: str
    block: str
    width: str
    needed: tuple
    tensors: list
    sizes: dict = field(default_factory=dict)


def _same(*names: str) -> list:
    """Rows of tensors that have the same name everywhere."""
    return [(name, name, name) for name in names]


FAMILIES = dict(
    ResNet=Family(
        stem='maxpool', stage=r'layer\d+', block=r'(layer\d+)\.\d+\.conv1\.weight',
        width='layer1.0.conv1.weight',
        needed=('conv1.weight', 'bn1.weight', 'layer4.0.conv1.weight'),
        tensors=_same(
            'conv1.weight', 'bn1.{leaf}',
            'layer{s}.{b}.conv{i}.weight', 'layer{s}.{b}.bn{i}.{leaf}',
            'layer{s}.{b}.downsample.0.weight', 'layer{s}.{b}.downsample.1.{leaf}')),
    Swin=Family(
        stem='patch_embed', stage=r'stages\.\d+',
        block=r'(stages\.\d+)\.blocks\.\d+\.attn\.w_msa\.relative_position_bias_table',
        width='patch_embed.projection.weight',
        needed=('patch_embed.norm.weight', 'stages.0.blocks.0.attn.w_msa.qkv.bias',
                'norm3.weight'),
        tensors=[
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
        sizes={(96, (2, 2, 6, 2)): 'T', (96, (2, 2, 18, 2)): 'S', (128, (2, 2, 18, 2)): 'B',
               (192, (2, 2, 18, 2)): 'L'}),
    VisionTransformer=Family(
        stem='patch_embed', stage=r'layers\.\d+', block=r'(layers)\.\d+\.ln1\.weight',
        width='patch_embed.projection.weight',
        needed=('cls_token', 'pos_embed', 'patch_embed.projection.bias',
                'layers.0.attn.qkv.bias', 'ln1.weight'),
        tensors=[
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
        sizes={(192, (12, )): 'Ti', (384, (12, )): 'S', (768, (12, )): 'B', (1024, (24, )): 'L'}),
    ConvNeXt=Family(
        stem='downsample_layers.0', stage=r'stages\.\d+',
        block=r'(stages\.\d+)\.\d+\.depthwise_conv\.weight',
        width='stages.0.0.depthwise_conv.weight',
        needed=('downsample_layers.0.0.weight', 'stages.0.0.gamma', 'norm3.weight'),
        tensors=[
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
            ('norm{s}.{leaf}', None, None)]),
)
# Families of the published backbones, whose code has mmpretrain's names and layouts.
PUBLISHED = ('ResNet', 'Swin')
# Last modules of stems; many other backbones have one called `stem`.
STEMS = (*dict.fromkeys(family.stem for family in FAMILIES.values()), 'stem')
# A model with fewer stages than its checkpoint can use it, unlike a ViT with fewer layers.
STAGE = re.compile(r'^(?:layer|stages\.|downsample_layers\.)(\d+)\.')
# Norms of the output of a stage, and of the whole backbone.
STAGE_NORM = re.compile(r'^norm(\d+)\.')
FINAL_NORM = re.compile(r'^(ln1|ln2|norm)\.')
# The same tensors in mmpretrain's and in mmseg's VisionTransformer.
SYNONYMS = (
    ('.attn.qkv.weight', '.attn.attn.in_proj_weight'),
    ('.attn.qkv.bias', '.attn.attn.in_proj_bias'),
    ('.attn.proj.', '.attn.attn.out_proj.'),
)
_LEAVES = '(?P<leaf>weight|bias|running_mean|running_var|num_batches_tracked)'


def recognise(state: Mapping[str, Tensor], complaint: str,
              kinds: Sequence[str] = tuple(FAMILIES)) -> str:
    """Family of a state dict, all of whose tensors are in the table.

    Args:
        state (Mapping[str, Tensor]): State dict of a backbone, no prefix.
        complaint (str): Beginning of the error message.
        kinds (Sequence[str]): Families to choose from. Defaults to all.

    Raises:
        CMIDError: It belongs to none of them.
    """
    for kind in kinds:
        if all(name in state for name in FAMILIES[kind].needed):
            strange = [key for key in state if _row_of(kind, key) is None]
            if not strange:
                return kind
            raise CMIDError(f'{complaint}: {len(strange)} tensors are none of a plain '
                            f'{kind} (e.g. {strange[0]})')
    raise CMIDError(f'{complaint}: it is none of mmpretrain\'s {", ".join(kinds)} (found '
                    f'{", ".join(list(state)[:2])}, ...)')


def family_of(names: Iterable[str]) -> str | None:
    """Family of a backbone by the names of its tensors; None for other backbones."""
    names = set(names)
    # HRNet's first stage has the names of ResNet's
    if any(re.match(r'(stage|transition)\d', name) for name in names):
        return None
    return next((kind for kind, family in FAMILIES.items() if family.width in names and any(
        re.fullmatch(family.block, name) for name in names)), None)


def describe(state: Mapping[str, Tensor]) -> str:
    """Name and settings of a backbone for a message; '' for unknown families.

    Args:
        state (Mapping[str, Tensor]): State dict of a backbone, no prefix.
    """
    kind = family_of(state)
    if kind is None:
        return ''
    family = FAMILIES[kind]
    blocks = blocks_of(kind, state)
    width, depths = len(state[family.width]), depths_of(kind, state)
    size = family.sizes.get((width, tuple(depths)))
    name = f'{kind}-{size}' if size else kind
    if kind == 'ResNet':
        convolutions = 3 if 'layer1.0.conv3.weight' in state else 2
        # V1c and V1d have three convolutions in the stem
        version = 'V1c/V1d' if any(key.startswith('stem.') for key in state) else ''
        return (f'ResNet{version}-{2 + convolutions * sum(depths)} (blocks {depths}, '
                f'base_channels={width})')
    if kind == 'Swin':
        heads = {found[1]: state[found[0]].shape[1] for found in blocks}
        return f'{name} (embed_dims={width}, depths={depths}, num_heads={[*heads.values()]})'
    if kind == 'VisionTransformer':
        return f'{name} (embed_dims={width}, num_layers={depths[0]})'
    return f'{name} (depths={depths}, first of channels={width})'


def blocks_of(kind: str, state: Iterable[str]) -> list[re.Match]:
    """Matches of ``Family.block`` among the names of tensors."""
    return [found for key in state if (found := re.fullmatch(FAMILIES[kind].block, key))]


def depths_of(kind: str, state: Iterable[str]) -> list[int]:
    """Number of blocks of every stage of a backbone of a family."""
    return [*Counter(found[1] for found in blocks_of(kind, state)).values()]


def convert_backbone(state: Mapping[str, Tensor], library: str) -> dict[str, Tensor]:
    """Convert a backbone for ``load_state_dict`` of another library's model.

    Args:
        state (Mapping[str, Tensor]): State dict of an mmpretrain backbone, no prefix.
        library (str): One of ``LIBRARIES``.

    Returns:
        dict[str, Tensor]: All tensors except the classifier. Tensors are contiguous and share
        no memory with ``state``.

    Raises:
        CMIDError: The other library has no model with this backbone.
    """
    kind = recognise(state, f'this backbone has no counterpart in {library}')
    converted = {}
    for key, value in state.items():
        row, numbers = _row_of(kind, key)
        name = row[1 + LIBRARIES.index(library)]
        if name is not None:
            value = _layout(kind, row[0], value, library)
            converted[name.format(**numbers)] = value.contiguous().clone()
    return converted


def _row_of(kind: str, key: str) -> tuple | None:
    """Row of a tensor in its family's table, and the numbers in its name; None without one."""
    for row in FAMILIES[kind].tensors:
        pattern = re.escape(row[0]).replace(r'\{leaf\}', _LEAVES)
        pattern = re.sub(r'\\\{(\w)\\\}', r'(?P<\1>\\d+)', pattern)
        match = re.fullmatch(pattern, key)
        if match:
            s = int(match.groupdict().get('s', 0))
            return row, match.groupdict() | dict(
                next=s + 1, double=2 * s, odd=2 * s + 1, even=2 * s + 2)
    return None


def _layout(kind: str, name: str, value: Tensor, library: str) -> Tensor:
    """Change a tensor, whose row in the table begins with ``name``, to another layout."""
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
    """Reorder the columns of a patch merging from mmpretrain's order to Microsoft's.

    mmpretrain unfolds 2 x 2 neighbours channel by channel (index 4 c + 2 dy + dx), the
    others stack whole neighbours: (dy, dx) = (0, 0), (1, 0), (0, 1), (1, 1).

    Args:
        value (Tensor): (..., 4 C), weight of the norm or of the reduction.
    """
    return value.unflatten(-1, (-1, 2, 2)).transpose(-3, -1).flatten(-3)
