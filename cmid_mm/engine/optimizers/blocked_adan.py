"""Adan that reads and writes memory once a step."""
import math

import torch
from mmpretrain.engine.optimizers.adan_t import Adan
from mmpretrain.registry import OPTIMIZERS
from torch import Tensor

from cmid_mm.utils.distributed import local_part

# elements: the eight tensors that a block touches stay in the cache that the cores share
_BLOCK = 2**18


@OPTIMIZERS.register_module()
class BlockedAdan(Adan):
    """mmpretrain's Adan; on a CPU it updates the parameters block by block.

    Adan's formula is a dozen operations on five tensors as large as the model. Each of them
    on all parameters passes through memory, and needs room for five more copies of the model.
    Block by block everything but the first reading and the last writing happens in the cache.
    The result is bitwise the same. Other devices, and ``max_grad_norm``, take mmpretrain's way.
    Source of the formula: Xie et al., arXiv 2208.06677, algorithm 1.
    """

    @torch.no_grad()
    def step(self) -> None:
        """One step of all parameters that have a gradient."""
        on_cpu = all(parameter.device.type == 'cpu' for group in self.param_groups
                     for parameter in group['params'])
        if not on_cpu or self.defaults['max_grad_norm'] > 0:
            super().step()
            return
        for group in self.param_groups:
            group['step'] = group.get('step', 0) + 1
            for parameter in group['params']:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if 'exp_avg' not in state:
            for name in ('exp_avg', 'exp_avg_sq', 'exp_avg_diff'):
                state[name] = torch.zeros_like(parameter)
        if 'pre_grad' not in state or group['step'] == 1:
            state['pre_grad'] = parameter.grad.clone()
        tensors = [parameter, parameter.grad] + [
            state[name] for name in ('exp_avg', 'exp_avg_sq', 'exp_avg_diff', 'pre_grad')]
        for block in _blocks([local_part(tensor) for tensor in tensors]):
            _update_block(*block, group)


def _blocks(tensors: list[Tensor]):
    """The same pieces of all tensors, one after the other, in the order of the memory."""
    first = tensors[0]
    dense = first.is_contiguous() or first.is_contiguous(memory_format=torch.channels_last)
    if not dense or any(tensor.stride() != first.stride() for tensor in tensors):
        # a checkpoint of another memory format
        yield tensors
        return
    flat = [tensor.as_strided((tensor.numel(), ), (1, ), tensor.storage_offset())
            for tensor in tensors]
    yield from zip(*(tensor.split(_BLOCK) for tensor in flat))


def _update_block(parameter, grad, exp_avg, exp_avg_sq, exp_avg_diff, pre_grad,
                  group: dict) -> None:
    """The step of some elements, in place, with mmpretrain's order of operations."""
    beta1, beta2, beta3 = group['betas']
    correction1, correction2, correction3 = (1 - beta**group['step'] for beta in group['betas'])
    rate, decay = group['lr'], group['weight_decay']
    difference = pre_grad.neg_().add_(grad)
    update = torch.add(grad, difference, alpha=beta2)
    exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
    exp_avg_diff.mul_(beta2).add_(difference, alpha=1 - beta2)
    exp_avg_sq.mul_(beta3).addcmul_(update, update, value=1 - beta3)
    pre_grad.copy_(grad)
    root = exp_avg_sq.sqrt().div_(math.sqrt(correction3)).add_(group['eps'])
    update = torch.mul(exp_avg_diff, beta2 / correction2, out=update)
    update.add_(exp_avg.div(correction1)).div_(root)
    if group['no_prox']:
        parameter.mul_(1 - rate * decay).add_(update, alpha=-rate)
    else:
        parameter.add_(update, alpha=-rate).div_(1 + rate * decay)
