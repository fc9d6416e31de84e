"""How a backbone learns which places are masked."""
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn


def stem_tokens(output: Tensor | tuple) -> tuple[Tensor, tuple]:
    """The tensor and the (rows, columns) of what a stem returns.

    Args:
        output (Tensor | tuple): (B, C, h, w), or ((B, h * w, C), (h, w)).
    """
    if isinstance(output, Tensor):
        return output, tuple(output.shape[-2:])
    tokens, size = output
    return tokens, tuple(size)


def insert_mask_token(tokens: Tensor, size: tuple, mask: Tensor, token: Tensor,
                      mode: str) -> Tensor:
    """Mark the masked places of a stem's output.

    Args:
        tokens (Tensor): (B, C, h, w), or (B, h * w, C) in row-major order.
        size (tuple[int, int]): h and w.
        mask (Tensor): (B, H, W), of pixels, true = masked. A token's pixels are all masked
            or all visible.
        token (Tensor): (1, C, 1, 1) or (1, 1, C).
        mode (str): ``'add'`` adds the token, ``'replace'`` puts it in place of the stem's
            output.

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
    """Within this context the stem marks the masked places of what passes it.

    A hook serves every architecture whose stem is a module, without a subclass for each,
    and leaves the backbone's parameter names alone.
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
