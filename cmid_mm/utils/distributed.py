"""Reductions over processes, with the same result as in one process."""
import torch
from mmengine.dist import all_gather, all_reduce, get_world_size
from torch import Tensor


def global_mean(x: Tensor) -> Tensor:
    """Mean of a tensor over all processes, with the gradient of a single process.

    A loss of the global mean is the same number on every process, and
    ``DistributedDataParallel`` averages the gradients. Therefore each process must contribute
    the whole derivative with respect to the mean for its own share: the backward pass
    returns the gradient unchanged.

    Args:
        x (Tensor): Any shape, the same on every process.

    Returns:
        Tensor: The shape of ``x``, bitwise equal on every process.
    """
    return x if get_world_size() == 1 else _GlobalMean.apply(x)


class _GlobalMean(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x):
        mean = x.clone()
        all_reduce(mean, op='mean')
        return mean

    @staticmethod
    def backward(ctx, gradient):
        return gradient


@torch.no_grad()
def global_max(x: Tensor) -> Tensor:
    """Largest element of the tensors of all processes, a scalar without gradient."""
    largest = x.max()
    all_reduce(largest, op='max')
    return largest


@torch.no_grad()
def gather_interleaved(x: Tensor) -> Tensor:
    """Rows of all processes, in the order of the global batch.

    The samplers give process r the samples r, r + W, r + 2W, ... of the global batch, so
    rows are interleaved to give the order of one process.

    Args:
        x (Tensor): (B, ...), the same shape on every process.

    Returns:
        Tensor: (B * W, ...), without gradient.
    """
    if get_world_size() == 1:
        return x.detach()
    return torch.stack(all_gather(x.detach().contiguous()), dim=1).flatten(0, 1)
