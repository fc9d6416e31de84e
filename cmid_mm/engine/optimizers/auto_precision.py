"""Choice of the precision by the hardware."""
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS

from cmid_mm.utils.errors import CMIDError

from .finite_step import FiniteAmpOptimWrapper, FiniteOptimWrapper

PRECISIONS = ('auto', 'float32', 'bfloat16', 'float16')


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(FiniteOptimWrapper):
    """Forward passes under bfloat16 autocast, on any device.

    bfloat16 has float32's range, so it needs no loss scale.
    """

    @contextmanager
    def optim_context(self, model):
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


@OPTIM_WRAPPERS.register_module()
def AutoPrecisionOptimWrapper(precision: str = 'auto', **kwargs) -> OptimWrapper:
    """Build the optimiser wrapper for a precision.

    Args:
        precision (str): ``'float32'``; ``'bfloat16'``; ``'float16'`` (CUDA only, with
            mmengine's dynamic loss scale); ``'auto'`` for what the hardware computes
            fastest. Defaults to 'auto'.
        **kwargs: Passed to mmengine's ``OptimWrapper``.

    Returns:
        OptimWrapper: The wrapper; it skips steps that are not finite.

    Raises:
        CMIDError: The precision is unknown.
    """
    if precision not in PRECISIONS:
        raise CMIDError(f'precision must be one of {PRECISIONS}, not {precision!r}')
    reason = 'as configured'
    if precision == 'auto':
        precision, reason = best_precision()
    print_log(f'precision: {precision} ({reason})', 'current')
    if precision == 'float16':
        return FiniteAmpOptimWrapper(loss_scale='dynamic', dtype='float16', **kwargs)
    wrapper = BFloat16OptimWrapper if precision == 'bfloat16' else FiniteOptimWrapper
    return wrapper(**kwargs)


def best_precision() -> tuple[str, str]:
    """The precision that this machine computes fastest, and why."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.get_device_capability() >= (8, 0):
            return 'bfloat16', f'{name} has bfloat16 tensor cores'
        return 'float16', f'{name} has no bfloat16 tensor cores'
    # older versions of torch do not report it; float32 is never slower there
    features = getattr(torch.cpu, 'get_capabilities', dict)()
    if features.get('amx_bf16') or features.get('avx512_bf16'):
        return 'bfloat16', 'this CPU multiplies bfloat16 matrices'
    return 'float32', 'this CPU would emulate bfloat16'
