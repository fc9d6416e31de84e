"""Feature maps of any stage of a backbone."""
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..models.selfsup.backbone_probe import stem_tokens


@contextmanager
def stage_maps(model: nn.Module, stage: int) -> Iterator[list]:
    """Note the map behind a stage whenever the backbone runs.

    Args:
        model (nn.Module): ResNet and relatives, Swin, ConvNeXt (four stages), or
            VisionTransformer, whose layers count as stages.
        stage (int): From 1 on.

    Yields:
        list[Tensor]: (B, C, h, w) of each pass, in their order.

    Raises:
        ValueError: The backbone has no such stage.
    """
    found, grid = [], {}
    stages = stages_of(model)
    if not 1 <= stage <= len(stages):
        raise ValueError(f'{type(model).__name__} has no stage {stage}: stages count from 1 '
                         f'to {len(stages)}')
    handles = [stages[stage - 1].register_forward_hook(
        lambda module, args, output: found.append(_as_map(output, grid, model)))]
    if hasattr(model, 'patch_embed'):
        handles.append(model.patch_embed.register_forward_hook(
            lambda module, args, output: grid.update(size=stem_tokens(output)[1])))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def stages_of(model: nn.Module) -> list:
    """Modules whose outputs are the maps of a backbone, from fine to coarse."""
    if hasattr(model, 'layer1'):
        return [getattr(model, f'layer{i}') for i in range(1, 9) if hasattr(model, f'layer{i}')]
    for name in ('stages', 'layers'):
        if isinstance(getattr(model, name, None), (nn.ModuleList, nn.Sequential)):
            return list(getattr(model, name))
    raise ValueError(f'{type(model).__name__} has no stages that are known here: leave --stage '
                     'away for its last feature map')


def _as_map(output, grid: dict, model: nn.Module) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.detach()
    # tokens with their grid (Swin), or with what is no place in front of them (ViT)
    tokens, size = output if isinstance(output, (tuple, list)) else (output, grid['size'])
    places = tokens[:, tokens.shape[1] - size[0] * size[1]:]
    return places.detach().transpose(1, 2).unflatten(2, tuple(size))
