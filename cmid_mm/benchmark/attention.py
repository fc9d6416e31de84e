"""Swin's window attention by itself, written out and fused."""
import copy
import dataclasses
from collections import defaultdict
from collections.abc import Callable

import torch
from mmengine.config import Config
from torch import Tensor, nn

from cmid_mm.models.selfsup.window_attention import FusedWindowAttention, is_window_attention
from cmid_mm.utils.process_memory import memory_of_a_training

from .clock import clock_of
from .spread import paired_ratios, spread
from .step import in_turn
from .trainee import Trainee
from .variants import Variant

# what would hide or change the attention that is compared
_WRITTEN_OUT = {'model.fused_attention': False, 'model.compile': None}


class _Given(nn.Module):
    """In place of a linear layer: returns a tensor that is there already."""

    def __init__(self, out: Tensor):
        super().__init__()
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        return self.out


class Block:
    """The attention of one block, without its linear layers and without dropout.

    Args:
        attention (nn.Module): mmpretrain's ``WindowMSA``; stays as it is.
        x (Tensor): (W, N, C) that enters it, for its shape.
        mask (Tensor, optional): (M, N, N) of the shift.
        dtype (torch.dtype): Of what the linear layer would give.
    """

    def __init__(self, attention: nn.Module, x: Tensor, mask: Tensor | None,
                 dtype: torch.dtype):
        self.windows, self.cells, channels = x.shape
        self.heads, self.mask = attention.num_heads, mask
        self.x = x.new_empty(()).expand(x.shape)
        self.qkv = torch.randn(
            *x.shape[:2], 3 * channels, device=x.device).to(dtype).requires_grad_()
        self.grad = torch.randn(x.shape, device=x.device)
        self.eager = copy.deepcopy(attention).eval()
        self.eager.qkv, self.eager.proj = _Given(self.qkv), nn.Identity()
        self.fused = FusedWindowAttention(self.eager)

    def run(self, attention: nn.Module, context: Callable) -> tuple[Tensor, ...]:
        """Forward and backward: values, gradients of query, key and value and of the table.

        Args:
            attention (nn.Module): ``self.eager`` or ``self.fused``.
            context (Callable): Makes the context of a forward pass.
        """
        with context():
            out = attention(self.x, self.mask)
        wanted = self.qkv, attention.relative_position_bias_table
        return out.detach(), *torch.autograd.grad(out, wanted, self.grad.to(out.dtype))


def find_blocks(trainee: Trainee) -> dict[str, list[Block]]:
    """Blocks of the student with window attention, by the name of their stage.

    Shapes and masks are those of a step: both views of a batch, where they pass as one.
    """
    model, seen = trainee.model, []

    def note(name):
        return lambda module, args, kwargs: seen.append(
            (name.partition('.blocks.')[0], module, args[0], kwargs.get('mask')))

    hooks = [module.register_forward_pre_hook(note(name), with_kwargs=True)
             for name, module in model.backbone.named_modules() if is_window_attention(module)]
    images = torch.zeros(
        trainee.batch_size * (2 if model.joint_views else 1), model.data_preprocessor.bands,
        model.image_size, model.image_size, device=trainee.device)
    with torch.no_grad():
        model.backbone(images)
    for hook in hooks:
        hook.remove()
    stages = defaultdict(list)
    # now, because copies would have the hooks too
    for name, *attention in seen:
        stages[name].append(Block(*attention, trainee.precision))
    return dict(stages)


def measure_attention(cfg: Config, variant: Variant, steps: int, warmup: int,
                      tick: Callable[[], None] = lambda: None) -> dict | None:
    """Time every block's attention, mmpretrain's and the fused one in turn.

    Args:
        cfg (Config): Of a CMID training.
        variant (Variant): What is changed in it.
        steps (int): Rounds over all blocks that count.
        warmup (int): Rounds before.
        tick (Callable): Called after every round.

    Returns:
        dict | None: ``stages``, by name, and ``all``, each with ``blocks``, how many,
        ``eager`` and ``fused``, seconds of a forward and backward pass through all of them
        (each a ``spread``), and their ``ratio`` (of rounds, a ``spread``); stages also with
        ``windows``, ``cells`` of a window, ``heads`` and ``shifted``, how many blocks have a
        mask; ``difference`` of ``values`` and of ``gradients``, the greatest of all blocks,
        relative to the greatest magnitude of the tensor; ``precision``. None where the
        student has no window attention.
    """
    trainee = Trainee(cfg, dataclasses.replace(variant, options=variant.options | _WRITTEN_OUT))

    def context():
        return trainee.wrapper.optim_context(trainee.model)

    stages = find_blocks(trainee)
    if not stages:
        return None
    pairs = [(block, attention) for blocks in stages.values() for block in blocks
             for attention in (block.eager, block.fused)]
    calls = [lambda pair=pair: pair[0].run(pair[1], context) for pair in pairs]
    clock = clock_of(trainee.device)
    seconds = [[] for _ in calls]
    with memory_of_a_training(trainee.device):
        for number in range(warmup + steps):
            times = in_turn(calls, 1, clock)
            tick()
            if number >= warmup:
                for kept, of_round in zip(seconds, times):
                    kept += of_round
    found, place = {}, 0
    for name, blocks in stages.items():
        own = seconds[place:place + 2 * len(blocks)]
        place += len(own)
        first = blocks[0]
        found[name] = _compare(own) | dict(
            windows=first.windows, cells=first.cells, heads=first.heads,
            shifted=sum(block.mask is not None for block in blocks))
    differences = [_difference(block, context) for blocks in stages.values() for block in blocks]
    values, gradients = (max(column) for column in zip(*differences))
    return dict(stages=found, all=_compare(seconds),
                difference=dict(values=values, gradients=gradients),
                precision=str(trainee.precision).removeprefix('torch.'))


def _compare(seconds: list[list[float]]) -> dict:
    """Of rounds of blocks, eager and fused by turns."""
    eager, fused = ([sum(of_round) for of_round in zip(*seconds[kind::2])] for kind in (0, 1))
    return dict(blocks=len(seconds) // 2, eager=spread(eager), fused=spread(fused),
                ratio=paired_ratios(eager, fused))


def _difference(block: Block, context: Callable) -> tuple[float, float]:
    """Of values and of gradients, relative to the greatest magnitude."""
    value, *gradients = (
        ((one - other).abs().max() / one.abs().max()).item()
        for one, other in zip(block.run(block.eager, context), block.run(block.fused, context)))
    return value, max(gradients)
