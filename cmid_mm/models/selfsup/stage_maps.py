"""Feature maps of any stage of a backbone."""
import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ...checkpoints.architectures import FAMILIES
from ...utils.errors import CMIDError
from ..preprocessing.mask_token import stem_tokens


@contextmanager
def stage_maps(model: nn.Module, stage: int) -> Iterator[list]:
    """Context manager: record the output of a stage at every pass of the backbone.

    Args:
        model (nn.Module): ResNet and relatives, Swin, ConvNeXt (four stages), or
            VisionTransformer, whose layers count as stages.
        stage (int): Number of the stage, from 1 on.

    Yields:
        list[Tensor]: (B, C, h, w) of each pass, in their order.

    Raises:
        CMIDError: The backbone has no such stage.
    """
    found, grid = [], {}
    handles = [require_stage(model, stage).register_forward_hook(
        lambda module, args, output: found.append(_as_map(output, grid, model)))]
    if hasattr(model, 'patch_embed'):
        handles.append(model.patch_embed.register_forward_hook(
            lambda module, args, output: grid.update(size=stem_tokens(output)[1])))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def require_stage(model: nn.Module, stage: int) -> nn.Module:
    """The module of a stage, which count from 1; CMIDError where there is none."""
    stages = stages_of(model)
    if not 1 <= stage <= len(stages):
        raise CMIDError(f'{type(model).__name__} has no stage {stage}: stages count from 1 '
                        f'to {len(stages)}')
    return stages[stage - 1]


def stages_of(model: nn.Module) -> list:
    """Modules whose outputs are the feature maps of a backbone, from fine to coarse."""
    for family in FAMILIES.values():
        stages = [module for name, module in model.named_modules()
                  if re.fullmatch(family.stage, name)]
        if stages:
            return stages
    raise CMIDError(f'{type(model).__name__} is of no known family with stages: omit '
                    '--stage for its last feature map')


def _as_map(output, grid: dict, model: nn.Module) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.detach()
    # tokens with their grid (Swin), or after a class token (ViT)
    tokens, size = output if isinstance(output, (tuple, list)) else (output, grid['size'])
    places = tokens[:, tokens.shape[1] - size[0] * size[1]:]
    return places.detach().transpose(1, 2).unflatten(2, tuple(size))
