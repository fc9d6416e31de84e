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

#: Argument ``query`` of ``attention_maps``.
QUERIES = ('cls', 'mean')


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
    windows = [module for module in model.modules() if _has_windows(module)]
    if windows:
        return _of_windows(model, images)
    layers = getattr(model, 'layers', None)
    last = getattr(layers[-1], 'attn', None) if isinstance(layers, nn.ModuleList) else None
    if type(last).__name__ == 'MultiheadAttention' and hasattr(model, 'patch_embed'):
        return _of_tokens(model, last, images, query)
    raise CMIDError(
        f'{type(model).__name__} has no attention like VisionTransformer or Swin: use '
        'tools/visualization/feature_pca.py to show its features')


def token_weights(attention: nn.Module, tokens: Tensor) -> Tensor:
    r"""Softmax of :math:`q k^T / \sqrt D`, as in mmpretrain's ``MultiheadAttention``.

    Args:
        attention (nn.Module): With ``qkv`` and ``num_heads``.
        tokens (Tensor): (B, N, C), its input.

    Returns:
        Tensor: (B, heads, N, N), rows sum to 1.
    """
    query, key = _query_and_key(attention, tokens)
    return (query @ key.transpose(-2, -1) * query.shape[-1]**-0.5).softmax(-1)


def window_weights(attention: nn.Module, windows: Tensor, mask: Tensor | None) -> Tensor:
    r"""Softmax of :math:`s\,q k^T + bias + mask`, as in Swin's ``WindowMSA``.

    Args:
        attention (nn.Module): ``WindowMSA`` or ``FusedWindowAttention``.
        windows (Tensor): (B * M, N, C), M windows an image.
        mask (Tensor, optional): (M, N, N).

    Returns:
        Tensor: (B * M, heads, N, N), rows sum to 1.
    """
    query, key = _query_and_key(attention, windows)
    index = attention.relative_position_index
    bias = attention.relative_position_bias_table[index.flatten()]
    scores = query @ key.transpose(-2, -1) * attention.scale
    scores = scores + bias.view(*index.shape, -1).permute(2, 0, 1)
    if mask is not None:
        scores = scores.unflatten(0, (-1, len(mask))) + mask[:, None]
        scores = scores.flatten(0, 1)
    return scores.softmax(-1)


def _query_and_key(attention: nn.Module, x: Tensor) -> tuple:
    qkv = attention.qkv(x).view(*x.shape[:2], 3, attention.num_heads, -1)
    return qkv.permute(2, 0, 3, 1, 4)[:2].unbind(0)


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
    inner = getattr(module, 'w_msa', None)
    return hasattr(inner, 'relative_position_bias_table') and hasattr(inner, 'scale')


@torch.no_grad()
def _of_windows(model: nn.Module, images: Tensor) -> dict:
    sizes, handles = {}, []

    def note_size(module, args, kwargs):
        sizes[module.w_msa] = args[1] if len(args) > 1 else kwargs['hw_shape']

    stages = []
    for stage in model.stages:
        blocks = [module for module in stage.modules() if _has_windows(module)][-2:]
        stages.append([])
        for block in blocks:
            def note_map(module, args, kwargs, block=block, maps=stages[-1]):
                mask = args[1] if len(args) > 1 else kwargs.get('mask')
                # the sum over the rows: on average a cell receives 1
                received = window_weights(module, args[0], mask).mean(1).sum(1)
                shift = 0 if mask is None else block.shift_size
                maps.append(join_windows(
                    received, tuple(sizes[module]), block.window_size, shift))

            handles += [block.register_forward_pre_hook(note_size, with_kwargs=True),
                        block.w_msa.register_forward_pre_hook(note_map, with_kwargs=True)]
    _run(model, images, handles)
    return {f'stage {i}': torch.stack(maps).mean(0).float().cpu().numpy()
            for i, maps in enumerate(stages, 1) if maps}


@torch.no_grad()
def _of_tokens(model: nn.Module, attention: nn.Module, images: Tensor,
               query: str | None) -> dict:
    seen = {}
    has_class = getattr(model, 'cls_token', None) is not None
    query = query or ('cls' if has_class and model.out_type == 'cls_token' else 'mean')
    if query == 'cls' and not has_class:
        raise CMIDError(f'{type(model).__name__} has no class token: show the mean over '
                        'cells (--query mean)')
    handles = [
        attention.register_forward_pre_hook(lambda module, args: seen.update(tokens=args[0])),
        model.patch_embed.register_forward_hook(
            lambda module, args, output: seen.update(grid=tuple(output[1]))),
    ]
    _run(model, images, handles)
    rows, columns = seen['grid']
    weights = token_weights(attention, seen['tokens'])
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
        shown = [name for name in found
                 if not name.startswith('head ') or int(name[5:]) <= heads]
        rows.append([picture] + [overlay(picture, found[name][0]) for name in shown])
        texts = [f'{name}: {found[name][0].min():.1f} to {found[name][0].max():.1f}'
                 for name in shown]
        captions.append([(text, 'black') for text in ['image', *texts]])
    save_grid(rows, path, title=title, captions=captions)
