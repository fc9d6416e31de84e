"""What the C library does with memory that torch gives back."""
import ctypes
from contextlib import contextmanager, nullcontext

import torch

# of glibc's <malloc.h>
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER, _DEFAULT_TRIM_THRESHOLD, _DEFAULT_MMAP_MAX = -1, 128 * 1024, 65536


@contextmanager
def freed_memory_kept():
    """Within this context the process uses freed memory again instead of giving it back.

    glibc asks the system for every tensor above 32 MB anew and gives it back after its use;
    every page of it then is a page fault, and has to be cleared, in each step again. Yields
    whether it could be done: other C libraries have no such setting.
    """
    try:
        yield _set(_NEVER, 0)
    finally:
        give_freed_memory_back()
        trim_heap()


def memory_of_a_training(device: torch.device):
    """The context of a training on a device: ``freed_memory_kept`` on a CPU.

    Yields:
        bool | None: Whether freed memory is kept; None on other devices.
    """
    return freed_memory_kept() if device.type == 'cpu' else nullcontext()


def give_freed_memory_back() -> None:
    """Bring glibc's own behaviour back, also in a process forked within the context."""
    _set(_DEFAULT_TRIM_THRESHOLD, _DEFAULT_MMAP_MAX)


def trim_heap() -> None:
    """Give back what is free already, where the C library can."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def _set(trim_threshold: int, mmap_max: int) -> bool:
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    # both, even if one fails
    done = [mallopt(_TRIM_THRESHOLD, trim_threshold), mallopt(_MMAP_MAX, mmap_max)]
    return all(done)
