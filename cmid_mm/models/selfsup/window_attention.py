"""Window attention of Swin, through torch's fused attention.

mmpretrain's, mmseg's and mmdet's Swin write attention out: scores, bias, mask, softmax and
product are five passes over the largest tensors of the network, and autograd keeps most of
them. Here bias and mask are one addend of ``scaled_dot_product_attention``. The numbers are
the same but for rounding.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

# scores that are worked on at a time by one thread: 1 MB stays in its cache
_SCORES_IN_CACHE = 2**18


def use_fused_attention(model: nn.Module) -> int:
    """Replace the window attentions below a module, Swin's of any OpenMMLab package.

    Parameters stay the same objects under the same names.

    Args:
        model (nn.Module): Changed in place.

    Returns:
        int: How many were replaced.
    """
    found = [(parent, name, child) for parent in model.modules()
             for name, child in parent.named_children() if is_window_attention(child)]
    for parent, name, child in found:
        setattr(parent, name, FusedWindowAttention(child))
        if hasattr(parent, 'get_attn_mask'):
            # mmpretrain asks for it; the others build theirs within their forward
            parent.get_attn_mask = shift_mask
    return len(found)


def is_window_attention(module: nn.Module) -> bool:
    """Whether a module is the first version of Swin's, which all packages spell alike."""
    wanted = ('relative_position_bias_table', 'relative_position_index', 'qkv', 'proj',
              'num_heads', 'scale', 'attn_drop', 'proj_drop')
    return (type(module).__name__ == 'WindowMSA'
            and all(hasattr(module, name) for name in wanted))


class FusedWindowAttention(BaseModule):
    """Takes the place of a ``WindowMSA``.

    Args:
        attention (nn.Module): A ``WindowMSA`` of mmpretrain, mmseg or mmdet, whose
            parameters and settings are taken over.
    """

    def __init__(self, attention: nn.Module):
        super().__init__()
        self.num_heads = attention.num_heads
        self.scale = attention.scale
        # in the order of the original, which state dicts show
        self.relative_position_bias_table = attention.relative_position_bias_table
        self.register_buffer('relative_position_index', attention.relative_position_index)
        self.qkv = attention.qkv
        self.attn_drop = attention.attn_drop
        self.proj = attention.proj
        self.proj_drop = attention.proj_drop
        self.train(attention.training)

    def init_weights(self) -> None:
        """As the original's."""
        super().init_weights()
        trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention within each window.

        Args:
            x (Tensor): (B * M, N, C), M windows an image, N cells a window.
            mask (Tensor, optional): (M, N, N), added to the scores of every head.

        Returns:
            Tensor: (B * M, N, C).
        """
        qkv = self.qkv(x).view(*x.shape[:2], 3, self.num_heads, -1)
        dropout = self.attn_drop.p if self.training else 0.
        out = window_attention(qkv, self.position_bias(), mask, self.scale, dropout)
        return self.proj_drop(self.proj(out))

    def position_bias(self) -> Tensor:
        """(heads, N, N), what is added to the scores of two cells by their distance."""
        index = self.relative_position_index
        bias = self.relative_position_bias_table[index.flatten()]
        return bias.view(*index.shape, self.num_heads).permute(2, 0, 1)


def window_attention(qkv: Tensor, bias: Tensor, mask: Tensor | None, scale: float,
                     dropout: float = 0.) -> Tensor:
    r"""Softmax of :math:`s\,q k^T + bias + mask`, times v, for each window and head.

    Args:
        qkv (Tensor): (W, N, 3, heads, D), W = B * M windows.
        bias (Tensor): (heads, N, N).
        mask (Tensor, optional): (M, N, N), without gradient.
        scale (float): s.
        dropout (float): Share of the weights that are dropped. Defaults to 0.

    Returns:
        Tensor: (W, N, heads * D).
    """
    addend = bias[None] if mask is None else bias + mask[:, None].to(bias.dtype)
    learning = torch.is_grad_enabled() and (qkv.requires_grad or bias.requires_grad)
    if learning and qkv.device.type == 'cpu' and not dropout \
            and not torch.compiler.is_compiling():
        # torch's fused kernel for the CPU has no gradient for the addend
        return _AttentionOnCPU.apply(qkv, addend, scale)
    return _attend(qkv, addend, scale, dropout)


def _attend(qkv: Tensor, addend: Tensor, scale: float, dropout: float = 0.) -> Tensor:
    """As ``window_attention``, with (1 or M, heads, N, N) that is added."""
    windows = len(qkv)
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    if len(addend) > 1:
        addend = addend.expand(windows // len(addend), *addend.shape).flatten(0, 1)
    out = F.scaled_dot_product_attention(
        query, key, value, addend.expand(windows, *addend.shape[1:]).to(query.dtype),
        dropout, scale=scale)
    return out.transpose(1, 2).flatten(2)


class _AttentionOnCPU(torch.autograd.Function):
    """Works on as many windows as the cache holds, and keeps nothing but the weights.

    Source of the backward pass: Dao et al., FlashAttention, arXiv 2205.14135, appendix B; the
    weights are kept because computing them again takes longer than reading them.
    """

    @staticmethod
    def forward(ctx, qkv, addend, scale):
        windows, cells, _, heads, width = qkv.shape
        out = qkv.new_empty(windows, cells, heads, width)
        weight = addend.new_empty(windows, heads, cells, cells)
        for part, masks in _in_cache(windows, len(addend), heads * cells**2):
            query, key, value = _by_head(qkv[part])
            scores = torch.bmm(query.mul_(scale), key.transpose(1, 2)).to(addend.dtype)
            scores = scores.view(-1, *addend[masks].shape).add_(addend[masks])
            torch.softmax(scores.flatten(0, 1), -1, out=weight[part])
            product = torch.bmm(weight[part].flatten(0, 1).to(qkv.dtype), value)
            out[part] = product.view(-1, heads, cells, width).transpose(1, 2)
        ctx.save_for_backward(qkv, weight)
        ctx.scale, ctx.masks = scale, len(addend)
        return out.flatten(2)

    @staticmethod
    def backward(ctx, grad_out):
        qkv, weight = ctx.saved_tensors
        grad_qkv = torch.empty_like(qkv)
        grad_addend = weight.new_zeros(ctx.masks, *weight.shape[1:])
        for part, masks in _in_cache(len(qkv), ctx.masks, weight[0].numel()):
            _backward(qkv[part], weight[part], grad_out[part], ctx.scale, grad_qkv[part],
                      grad_addend[masks])
        return grad_qkv, grad_addend, None


def _in_cache(windows: int, masks: int, scores: int):
    """Slices of the windows and of their masks, window after window through the masks."""
    size = max(1, _SCORES_IN_CACHE * torch.get_num_threads() // scores)
    if size >= masks:
        size = size // masks * masks
        for start in range(0, windows, size):
            yield slice(start, min(start + size, windows)), slice(None)
        return
    for first in range(0, windows, masks):
        for start in range(0, masks, size):
            stop = min(start + size, masks)
            yield slice(first + start, first + stop), slice(start, stop)


def _by_head(qkv: Tensor) -> tuple:
    """Copies of query, key and value: (W, N, 3, heads, D) to (W * heads, N, D) each."""
    return qkv.permute(2, 0, 3, 1, 4).contiguous().flatten(1, 2).unbind(0)


def _backward(qkv, weight, grad_out, scale, grad_qkv, grad_addend) -> None:
    """Gradients of a few windows, written to ``grad_qkv`` and added to ``grad_addend``."""
    windows, cells, _, heads, width = qkv.shape
    query, key, value = _by_head(qkv)
    grad_out = grad_out.view(windows, cells, heads, width).transpose(1, 2)
    grad_out = grad_out.contiguous().flatten(0, 1)
    weight = weight.flatten(0, 1)
    grad_weight = torch.bmm(grad_out, value.transpose(1, 2)).to(weight.dtype)
    mean = (grad_weight * weight).sum(-1, keepdim=True)
    grad_scores = grad_weight.sub_(mean).mul_(weight)
    grad_addend += grad_scores.view(-1, *grad_addend.shape).sum(0)
    grad_scores, weight = grad_scores.to(qkv.dtype), weight.to(qkv.dtype)
    grads = torch.stack([
        torch.bmm(grad_scores, key).mul_(scale),
        torch.bmm(grad_scores.transpose(1, 2), query).mul_(scale),
        torch.bmm(weight.transpose(1, 2), grad_out),
    ])
    grad_qkv.copy_(grads.view(3, windows, heads, cells, width).permute(1, 3, 0, 2, 4))


@lru_cache(maxsize=8)
def shift_mask(hw_shape: tuple, window_size: int, shift_size: int,
               device=None) -> Tensor | None:
    """What keeps cells apart that only the cyclic shift has brought together.

    mmpretrain makes it anew in every block of every pass.

    Args:
        hw_shape (tuple[int, int]): Rows and columns of the padded map.
        window_size (int): Side of a window.
        shift_size (int): By how many cells the map was shifted.
        device (torch.device, optional): Of the mask.

    Returns:
        Tensor | None: (M, N, N), 0 or -100; None without a shift.
    """
    if shift_size == 0:
        return None
    # a tensor made in inference mode could not serve a training that comes later
    with torch.inference_mode(False), torch.no_grad():
        rows, columns = (torch.arange(length, device=device) for length in hw_shape)
        region = [(place >= length - window_size).long() + (place >= length - shift_size)
                  for place, length in zip((rows, columns), hw_shape)]
        region = 3 * region[0][:, None] + region[1]
        windows = region.view(hw_shape[0] // window_size, window_size,
                              hw_shape[1] // window_size, window_size)
        windows = windows.transpose(1, 2).reshape(-1, window_size**2)
        apart = windows[:, None] != windows[:, :, None]
        return apart.float() * -100
