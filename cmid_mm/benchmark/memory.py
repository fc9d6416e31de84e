"""Memory of a step."""
import gc
from pathlib import Path

import torch
from torch import nn

from cmid_mm.utils.process_memory import trim_heap

_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')
# what this number means to the kernel: set the peak back to what is resident now
_RESET_PEAK = '5'


class DevicePeak:
    """Bytes that torch's allocator gave out on a CUDA device, above those at ``begin``."""

    meaning = 'allocated on the device above what it held before the step'

    def begin(self) -> None:
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        self.before = torch.cuda.memory_allocated()

    def end(self) -> int:
        """Bytes."""
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - self.before


class ProcessPeak:
    """Resident bytes of this process, above those at ``begin``; Linux only."""

    meaning = 'resident in the process above what was before the step'

    def begin(self) -> None:
        gc.collect()
        # memory that was freed but not given back would hide a part of the peak
        trim_heap()
        self.before = None
        try:
            _CLEAR.write_text(_RESET_PEAK)
            self.before = _resident('VmRSS')
        except OSError:
            pass

    def end(self) -> int | None:
        """Bytes; None where the system does not tell."""
        return None if self.before is None else max(0, _resident('VmHWM') - self.before)


def peak_of(device: torch.device) -> DevicePeak | ProcessPeak:
    """The meter of a device."""
    return DevicePeak() if device.type == 'cuda' else ProcessPeak()


def state_bytes(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes that stay from step to step: parameters, buffers, state of the optimiser."""
    tensors = [*model.parameters(), *model.buffers()]
    for state in optimizer.state.values():
        tensors.extend(value for value in state.values() if torch.is_tensor(value))
    return sum({id(tensor): tensor.numel() * tensor.element_size()
                for tensor in tensors}.values())


def _resident(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = _STATUS.read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])
