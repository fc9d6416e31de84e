"""How a backbone is told which places are hidden."""
from contextlib import contextmanager

from torch import Tensor, nn

from ..selfsup.backbone_probe import stem_tokens
from .block_mask import upsample_mask


def insert_mask_token(tokens: Tensor, size: tuple, mask: Tensor, token: Tensor,
                      mode: str) -> Tensor:
    """Mark the masked places behind the stem.

    Args:
        tokens (Tensor): (B, C, h, w), or (B, h * w, C) in row-major order.
        size (tuple[int, int]): h and w.
        mask (Tensor): (B, rows, columns), true = masked; rows and columns divide h and w.
        token (Tensor): (1, C, 1, 1) or (1, 1, C).
        mode (str): ``'add'`` adds the token, ``'replace'`` puts it in place of what the
            stem saw.

    Returns:
        Tensor: The shape of ``tokens``.
    """
    mask = upsample_mask(mask, size)
    mask = mask[:, None] if tokens.ndim == 4 else mask.flatten(1)[..., None]
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
