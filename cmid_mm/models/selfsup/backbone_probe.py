"""Sizes of a backbone's outputs, measured with a blank image."""
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cmid_mm.checkpoints.architectures import STEMS
from cmid_mm.utils.errors import CMIDError

from ..preprocessing.mask_token import stem_tokens


@dataclass(frozen=True)
class BackboneShape:
    """Sizes of a backbone for square images of one size.

    Attributes:
        stem (str): Name of the module to whose output the mask token is added.
        stem_size (tuple[int, int]): Rows and columns of the stem's output.
        token_shape (tuple[int, ...]): Shape of a mask token that broadcasts over the
            stem's output: (1, C, 1, 1) for maps, (1, 1, C) for token sequences.
        channels (int): Channels of the last feature map.
        stride (int): Pixels that a cell of the last feature map covers per direction.
    """
    stem: str
    stem_size: tuple
    token_shape: tuple
    channels: int
    stride: int


def find_stem(backbone: nn.Module, name: str | None = None) -> str:
    """Name of the stem's last module; raises CMIDError where there is none."""
    modules = dict(backbone.named_modules())
    for candidate in STEMS if name is None else (name, ):
        if candidate in modules:
            return candidate
    raise CMIDError(
        f'{type(backbone).__name__} has no module {name or " or ".join(STEMS)}: set '
        '`mask_stem` of the CMID model to the module to whose output the mask token is '
        f'added; there are {", ".join(name for name, _ in backbone.named_children())}')


@torch.no_grad()
def probe_backbone(backbone: nn.Module,
                   bands: int,
                   image_size: int,
                   stem: str | None = None) -> BackboneShape:
    """Run a backbone on one blank image and return the sizes of its outputs.

    Args:
        backbone (nn.Module): Any mmpretrain backbone; its mode is not changed.
        bands (int): Bands of the images.
        image_size (int): Side of the images in pixels.
        stem (str, optional): Name of the stem's last module; detected where None.

    Returns:
        BackboneShape: The sizes.

    Raises:
        CMIDError: The backbone does not end in a feature map whose cells tile the image,
            does not take images of these bands and this size, or has no known stem.
    """
    name = type(backbone).__name__
    stem = find_stem(backbone, stem)
    outputs = {}
    handle = backbone.get_submodule(stem).register_forward_hook(
        lambda module, args, output: outputs.update(stem=stem_tokens(output)))
    training = backbone.training
    backbone.eval()
    try:
        output = backbone(torch.zeros(1, bands, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise CMIDError(
            f'{name} does not take images of {bands} bands and {image_size} px: '
            f'{error}. Check in_channels, img_size and the window size of model.backbone, '
            'model.data_preprocessor.mean and model.image_size.') from error
    finally:
        handle.remove()
        backbone.train(training)
    feature_map = output[-1] if isinstance(output, (tuple, list)) else output
    if not isinstance(feature_map, Tensor) or feature_map.ndim != 4:
        found = getattr(feature_map, 'shape', type(feature_map).__name__)
        raise CMIDError(
            f'{name} does not end in a feature map (B, C, h, w) but in {found}: CMID '
            "matches cells of maps. VisionTransformer needs out_type='featmap', "
            'ConvNeXt needs gap_before_final_norm=False.')
    channels, rows, columns = feature_map.shape[1:]
    if rows != columns or image_size % rows:
        raise CMIDError(
            f'{name} gives a map of {rows} x {columns} cells of an image of {image_size} '
            f'px, which they do not tile. Choose a model.image_size that its stride divides.')
    if 'stem' not in outputs:
        raise CMIDError(f'{name} does not call its module {stem}: set `mask_stem`.')
    tokens, stem_size = outputs['stem']
    token_shape = (1, tokens.shape[1], 1, 1) if tokens.ndim == 4 else (1, 1, tokens.shape[2])
    return BackboneShape(stem, stem_size, token_shape, channels, image_size // rows)
