"""Window attention of Swin, through torch's fused attention.

The Swins of mmpretrain, mmseg and mmdet compute scores, bias, mask, softmax and product in five
passes over the largest tensors of the network, and autograd keeps most of these. Here the sum of
bias and mask is the additive mask of ``scaled_dot_product_attention``. The results agree within
rounding.
"""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn


def use_fused_attention(model: nn.Module) -> int:
    """Replace the window attentions in a module, of any OpenMMLab Swin.

    Parameters remain the same objects with the same names.

    Args:
        model (nn.Module): Changed in place.

    Returns:
        int: Number of replaced modules.
    """
    found = [(parent, name, child) for parent in model.modules()
             for name, child in parent.named_children() if is_window_attention(child)]
    for parent, name, child in found:
        setattr(parent, name, FusedWindowAttention(child))
    return len(found)


def is_window_attention(module: nn.Module) -> bool:
    """Whether a module is the window attention of Swin's first version."""
    attributes = ('relative_position_bias_table', 'relative_position_index', 'qkv', 'proj',
                  'num_heads', 'scale', 'attn_drop', 'proj_drop')
    return (type(module).__name__ == 'WindowMSA'
            and all(hasattr(module, name) for name in attributes))


class FusedWindowAttention(BaseModule):
    """Replacement of a ``WindowMSA``.

    Args:
        attention (nn.Module): A ``WindowMSA`` of mmpretrain, mmseg or mmdet, whose
            parameters and settings are used.
    """

    def __init__(self, attention: nn.Module):
        super().__init__()
        # all attributes, because the original forward pass is used without a fused kernel
        self.__dict__.update(attention.__dict__)
        self.original_forward = type(attention).forward

    def init_weights(self) -> None:
        """Initialise as the original does."""
        super().init_weights()
        trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention within each window.

        Args:
            x (Tensor): (B * M, N, C), M windows per image, N cells per window.
            mask (Tensor, optional): (M, N, N), added to the scores of every head.

        Returns:
            Tensor: (B * M, N, C).
        """
        if not self.has_fused_kernel(x):
            return self.original_forward(self, x, mask)
        qkv = self.qkv(x).view(*x.shape[:2], 3, self.num_heads, -1)
        dropout = self.attn_drop.p if self.training else 0.
        out = window_attention(qkv, self.position_bias(), mask, self.scale, dropout)
        return self.proj_drop(self.proj(out))

    @staticmethod
    def has_fused_kernel(x: Tensor) -> bool:
        """Whether torch has one: the kernel for CPUs has no gradient for the additive mask."""
        return x.device.type != 'cpu' or not torch.is_grad_enabled()

    def position_bias(self) -> Tensor:
        """Position bias (heads, N, N) of the scores of two cells, by their offset."""
        index = self.relative_position_index
        bias = self.relative_position_bias_table[index.flatten()]
        return bias.view(*index.shape, self.num_heads).permute(2, 0, 1)


def window_attention(qkv: Tensor, bias: Tensor, mask: Tensor | None, scale: float,
                     dropout: float = 0.) -> Tensor:
    r"""Softmax of :math:`s\,q k^T + bias + mask`, times v, for each window and head.

    Args:
        qkv (Tensor): (W, N, 3, heads, D), W = B * M windows, image after image.
        bias (Tensor): (heads, N, N).
        mask (Tensor, optional): (M, N, N), without gradient.
        scale (float): s.
        dropout (float): Share of the weights that are dropped. Defaults to 0.

    Returns:
        Tensor: (W, N, heads * D).
    """
    addend = bias[None] if mask is None else bias + mask[:, None].to(bias.dtype)
    # cast before repeating to save memory; torch has a fused kernel for contiguous masks only
    addend = addend.to(qkv.dtype).contiguous()
    if mask is not None:
        addend = addend.repeat(len(qkv) // len(mask), 1, 1, 1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(query, key, value, addend, dropout, scale=scale)
    return out.transpose(1, 2).flatten(2)
