"""Attention maps of transformers, computed from the inputs of their attention modules.

The weights are recomputed, so that they do not depend on the kernel of the module.
"""
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ..utils.errors import CMIDError
from .panels import save_grid, to_rgb


def attention_maps(model: nn.Module, images: Tensor, query: str | None = None) -> dict:
    """Attention of images as maps; 1 is the share of a cell under uniform attention.

    VisionTransformer: attention of the class token, or of all cells on average, to every cell
    in the last layer; the mean of the heads and each head. Swin: attention that a cell
    receives within its window, averaged over the heads and the last two blocks of a stage, of
    which one has shifted windows; of each stage.

    Args:
        model (nn.Module): Backbone of mmpretrain, in evaluation mode.
        images (Tensor): (B, bands, H, W), normalised, on its device.
        query (str, optional): ``'cls'`` or ``'mean'``, for VisionTransformer. Defaults to None:
            the class token where it is the output, else the mean, because CMID does not
            train the class token.

    Returns:
        dict[str, ndarray]: Name of the map -> (B, h, w) float32.

    Raises:
        CMIDError: The backbone is neither a VisionTransformer nor a Swin.
    """
    if any(map(_has_windows, model.modules())):
        return _of_windows(model, images)
    layers = getattr(model, 'layers', None)
    last = getattr(layers[-1], 'attn', None) if isinstance(layers, nn.ModuleList) else None
    if type(last).__name__ == 'MultiheadAttention' and hasattr(model, 'patch_embed'):
        return _of_tokens(model, last, images, query)
    raise CMIDError(
        f'{type(model).__name__} has no attention like VisionTransformer or Swin: use '
        'tools/visualization/feature_pca.py to show its features')


def attention_weights(attention: nn.Module, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Softmax of :math:`s\,q k^T + bias + mask`; s is :math:`1/\sqrt D` for D channels a head.

    Args:
        attention (nn.Module): mmpretrain's ``MultiheadAttention``, which has no bias, or
            Swin's ``WindowMSA`` or ``FusedWindowAttention``.
        tokens (Tensor): (B, N, C), its input; of Swin B = images * M windows.
        mask (Tensor, optional): (M, N, N) of Swin.

    Returns:
        Tensor: (B, heads, N, N), rows sum to 1.
    """
    qkv = attention.qkv(tokens).view(*tokens.shape[:2], 3, attention.num_heads, -1)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    scale = getattr(attention, 'scale', query.shape[-1]**-0.5)
    scores = query @ key.transpose(-2, -1) * scale
    if hasattr(attention, 'relative_position_bias_table'):
        index = attention.relative_position_index
        bias = attention.relative_position_bias_table[index.flatten()]
        scores = scores + bias.view(*index.shape, -1).permute(2, 0, 1)
    if mask is not None:
        scores = (scores.unflatten(0, (-1, len(mask))) + mask[:, None]).flatten(0, 1)
    return scores.softmax(-1)


def join_windows(received: Tensor, size: tuple, side: int, shift: int) -> Tensor:
    """Rearrange values of the cells of windows into a map.

    Args:
        received (Tensor): (B * M, N), M windows an image, N = side * side cells.
        size (tuple[int, int]): Rows and columns of the map, without padding.
        side (int): Side of a window in cells.
        shift (int): Shift of the padded map to the top left, in cells.

    Returns:
        Tensor: (B, rows, columns).
    """
    rows, columns = (-(-length // side) for length in size)
    cells = received.view(-1, rows, columns, side, side).transpose(2, 3)
    cells = cells.reshape(-1, rows * side, columns * side)
    return cells.roll((shift, shift), (1, 2))[:, :size[0], :size[1]]


def _has_windows(module: nn.Module) -> bool:
    return hasattr(getattr(module, 'w_msa', None), 'relative_position_bias_table')


@torch.no_grad()
def _of_windows(model: nn.Module, images: Tensor) -> dict:
    sizes, handles = {}, []

    def record_size(module, args, kwargs):
        sizes[module.w_msa] = args[1] if len(args) > 1 else kwargs['hw_shape']

    stages = []
    for stage in model.stages:
        blocks = [module for module in stage.modules() if _has_windows(module)][-2:]
        stages.append([])
        for block in blocks:
            def record_map(module, args, kwargs, block=block, maps=stages[-1]):
                mask = args[1] if len(args) > 1 else kwargs.get('mask')
                # the sum over the rows: on average a cell receives 1
                received = attention_weights(module, args[0], mask).mean(1).sum(1)
                shift = 0 if mask is None else block.shift_size
                maps.append(join_windows(
                    received, tuple(sizes[module]), block.window_size, shift))

            handles += [block.register_forward_pre_hook(record_size, with_kwargs=True),
                        block.w_msa.register_forward_pre_hook(record_map, with_kwargs=True)]
    _run(model, images, handles)
    return {f'stage {i}': torch.stack(maps).mean(0).float().cpu().numpy()
            for i, maps in enumerate(stages, 1) if maps}


@torch.no_grad()
def _of_tokens(model: nn.Module, attention: nn.Module, images: Tensor,
               query: str | None) -> dict:
    found = {}
    has_class = getattr(model, 'cls_token', None) is not None
    query = query or ('cls' if has_class and model.out_type == 'cls_token' else 'mean')
    if query == 'cls' and not has_class:
        raise CMIDError(f'{type(model).__name__} has no class token: show the mean over '
                        'cells (--query mean)')
    handles = [
        attention.register_forward_pre_hook(lambda module, args: found.update(tokens=args[0])),
        model.patch_embed.register_forward_hook(
            lambda module, args, output: found.update(grid=tuple(output[1]))),
    ]
    _run(model, images, handles)
    rows, columns = found['grid']
    weights = attention_weights(attention, found['tokens'])
    # the class token, which has no position, comes first
    extra = weights.shape[-1] - rows * columns
    paid = weights[:, :, 0] if query == 'cls' else weights[:, :, extra:].mean(2)
    maps = paid[..., extra:].unflatten(-1, (rows, columns)) * (rows * columns)
    maps = maps.float().cpu().numpy()
    return {'mean of heads': maps.mean(1)} | {
        f'head {i + 1}': maps[:, i] for i in range(maps.shape[1])}


def _run(model: nn.Module, images: Tensor, handles: list) -> None:
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()


def overlay(image: np.ndarray, heat: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """Draw a map as colours over an image, from dark (minimum) to yellow (maximum).

    Args:
        image (ndarray): (H, W, 3) uint8.
        heat (ndarray): (h, w) of any range.
        strength (float): Share of the colours. Defaults to 0.6.

    Returns:
        ndarray: (H, W, 3) uint8.
    """
    low, high = float(heat.min()), float(heat.max())
    scaled = (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    fine = cv2.resize(scaled.astype(np.float32), image.shape[1::-1],
                      interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((fine * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(colours[..., ::-1].copy(), strength, grey, 1 - strength, 0)


def save_attention(images: Sequence[np.ndarray], maps: Sequence[dict], path: str,
                   title: str = '', heads: int = 6) -> None:
    """Write images with their maps over them, a row for each image.

    The title of a map is its range.

    Args:
        images (Sequence[ndarray]): (H, W, bands) uint8.
        maps (Sequence[dict]): Result of ``attention_maps`` for each image.
        path (str): File to write, PNG by its ending.
        title (str): Line above the picture.
        heads (int): Largest number of single heads. Defaults to 6.
    """
    rows, captions = [], []
    for image, found in zip(images, maps):
        picture = to_rgb(image)
        shown = {name: heat[0] for name, heat in found.items()
                 if not name.startswith('head ') or int(name[5:]) <= heads}
        rows.append([picture, *(overlay(picture, heat) for heat in shown.values())])
        captions.append([('image', 'black'), *(
            (f'{name}: {heat.min():.1f} to {heat.max():.1f}', 'black')
            for name, heat in shown.items())])
    save_grid(rows, path, title=title, captions=captions)
