"""How many operations a step has."""
from collections.abc import Callable

import torch
from torch.utils import flop_counter

aten = torch.ops.aten
# the attention of the CPU is missing in torch's own table
_LIKE = {
    '_scaled_dot_product_flash_attention_for_cpu': aten._scaled_dot_product_flash_attention,
    '_scaled_dot_product_flash_attention_for_cpu_backward':
        aten._scaled_dot_product_flash_attention_backward,
}


def count_flops(step: Callable[[], object]) -> int:
    """Floating point operations of matrix products, convolutions and attention.

    A multiply-add counts as two. What activation checkpointing computes twice counts
    twice. Everything else (norms, losses, the optimiser) is not counted. Compiled parts run
    uncompiled, because the counter sees no inside of them.

    Args:
        step (Callable): What is counted; it is called once.
    """
    mapping = {getattr(aten, name): _formula_of(like) for name, like in _LIKE.items()
               if hasattr(aten, name)}
    counter = flop_counter.FlopCounterMode(display=False, custom_mapping=mapping)
    with torch.compiler.set_stance('force_eager'), counter:
        step()
    return counter.get_total_flops()


def _formula_of(operator) -> Callable:
    """An entry of torch's table, as the counter takes it from others."""
    def formula(*args, **kwargs):
        return flop_counter.flop_registry[operator](*args, **kwargs)

    # it is called with tensors, and takes their shapes itself
    formula._get_raw = True
    return formula
