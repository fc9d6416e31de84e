"""Mask token in the output of a backbone's stem."""
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn


def stem_tokens(output: Tensor | tuple) -> tuple[Tensor, tuple]:
    """Tensor and (rows, columns) of the output of a stem.

    Args:
        output (Tensor | tuple): (B, C, h, w), or ((B, h * w, C), (h, w)).
    """
    if isinstance(output, Tensor):
        return output, tuple(output.shape[-2:])
    tokens, size = output
    return tokens, tuple(size)


def insert_mask_token(tokens: Tensor, size: tuple, mask: Tensor, token: Tensor,
                      mode: str) -> Tensor:
    """Add the mask token to the masked positions of a stem's output.

    Args:
        tokens (Tensor): (B, C, h, w), or (B, h * w, C) in row-major order.
        size (tuple[int, int]): h and w.
        mask (Tensor): (B, H, W), mask of pixels, true = masked. The pixels of a position are
            all masked or all visible.
        token (Tensor): (1, C, 1, 1) or (1, 1, C).
        mode (str): ``'add'`` adds the token, ``'replace'`` replaces the stem's output
            by it.

    Returns:
        Tensor: The shape of ``tokens``.
    """
    mask = F.interpolate(mask[:, None].float(), size, mode='nearest-exact')
    mask = mask if tokens.ndim == 4 else mask.flatten(2).transpose(1, 2)
    mask, token = mask.to(tokens.dtype), token.to(tokens.dtype)
    if mode == 'replace':
        tokens = tokens * (1 - mask)
    return tokens + token * mask


@contextmanager
def masking(stem: nn.Module, mask: Tensor, token: Tensor, mode: str):
    """Add the mask token to every output of the stem within this context.

    A forward hook works for every architecture whose stem is a module, without a subclass for
    each, and does not change the backbone's parameter names.
    """

    def hook(module, args, output):
        tokens, size = stem_tokens(output)
        marked = insert_mask_token(tokens, size, mask, token, mode)
        return marked if isinstance(output, Tensor) else (marked, output[1])

    handle = stem.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
