"""Where a step makes the host wait for the device."""
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# their result, or its size, is a number that the host must know
_WAITING = {
    aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.equal, aten.nonzero,
    aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.bincount,
    aten.repeat_interleave
}
_INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
_COPIES = {aten._to_copy, aten.copy_}
_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)


def waiting_places(step: Callable[[], object], device: torch.device) -> dict:
    """Calls of a step that would make the host wait for an accelerator.

    They are found by what the operators are, so a CPU tells about a GPU too: reading a
    number, results whose size depends on values, copies to the host. On the CPU every such
    call counts, on an accelerator those about its own tensors. What torch does out of
    sight of dispatch modes (``torch.tensor(1, device='cuda')``) is for
    :func:`waits_by_cuda`. Compiled parts run uncompiled.

    Args:
        step (Callable): Called once.
        device (torch.device): Of the model.

    Returns:
        dict[str, int]: ``'module:line in function (operator)'`` -> calls, most first.
    """
    recorder = _Recorder(device)
    with torch.compiler.set_stance('force_eager'), recorder:
        step()
    return dict(recorder.places.most_common())


def waits_by_cuda(step: Callable[[], object], device: torch.device) -> int | None:
    """How often CUDA itself reports that a step waited; None on other devices.

    It knows what the operators do not tell, such as a copy from unpinned memory, but not
    always which line asked for it.
    """
    if device.type != 'cuda':
        return None
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            step()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return sum('synchronizing CUDA operation' in str(warning.message) for warning in caught)


class _Recorder(TorchDispatchMode):

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device
        self.places = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.waits(function, args, kwargs):
            self.places[f'{_caller()} ({function.overloadpacket.__name__})'] += 1
        return function(*args, **kwargs)

    def waits(self, function, args: tuple, kwargs: dict) -> bool:
        packet = function.overloadpacket
        tensors = [leaf for leaf in tree_leaves((args, kwargs))
                   if isinstance(leaf, torch.Tensor)]
        if not any(tensor.device.type == self.device.type for tensor in tensors):
            return False
        if packet is aten.repeat_interleave:
            return 'output_size' not in kwargs or kwargs['output_size'] is None
        if packet in _INDEXING:
            return any(tensor.dtype == torch.bool for tensor in tree_leaves(args[1])
                       if isinstance(tensor, torch.Tensor))
        if packet in _COPIES and self.device.type != 'cpu':
            target = kwargs.get('device') if packet is aten._to_copy else args[0].device
            return target is not None and torch.device(target).type == 'cpu'
        return packet in _WAITING


def _caller() -> str:
    """The innermost line outside of torch and of this package's benchmark."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_TORCH, _HERE)):
        frame = frame.f_back
    if frame is None:
        return 'torch'
    return f'{frame.f_globals["__name__"]}:{frame.f_lineno} in {frame.f_code.co_name}'
