"""How many operations a step has."""
from collections.abc import Callable

import torch
from torch.utils import flop_counter

aten = torch.ops.aten
# the attention of the CPU is missing in torch's own table
_OF_CPU = {
    '_scaled_dot_product_flash_attention_for_cpu': flop_counter.sdpa_flop,
    '_scaled_dot_product_flash_attention_for_cpu_backward': flop_counter.sdpa_backward_flop,
}


def count_flops(step: Callable[[], object]) -> int:
    """Floating point operations of matrix products, convolutions and attention.

    A multiply-add counts as two. What activation checkpointing computes twice counts
    twice. Everything else (norms, losses, the optimiser) is not counted. Compiled parts run
    uncompiled, because the counter sees no inside of them.

    Args:
        step (Callable): What is counted; it is called once.
    """
    mapping = {getattr(aten, name): formula for name, formula in _OF_CPU.items()
               if hasattr(aten, name)}
    counter = flop_counter.FlopCounterMode(display=False, custom_mapping=mapping)
    with torch.compiler.set_stance('force_eager'), counter:
        step()
    return counter.get_total_flops()
