"""What was measured on, and how fast it multiplies matrices."""
import os
import platform
from pathlib import Path

import cv2
import mmcv
import mmengine
import mmpretrain
import numpy as np
import PIL
import torch

import cmid_mm

from .clock import clock_of
from .spread import spread

_MATRIX = dict(cuda=8192, cpu=2048)
_SMALLEST = 256
_LONG_ENOUGH = 0.05
_RUNS = 5


def describe(device: torch.device) -> dict:
    """Device, processor, threads and versions, of plain values for JSON."""
    modules = (cmid_mm, torch, mmengine, mmcv, mmpretrain, np, cv2, PIL)
    return dict(
        device=device_name(device),
        processor=processor_name(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        bfloat16_instructions=has_bfloat16(),
        system=platform.platform(terse=True),
        versions=dict(python=platform.python_version(), cuda=torch.version.cuda)
        | {module.__name__: module.__version__ for module in modules})


def device_name(device: torch.device) -> str:
    """Name of the GPU, or 'CPU'."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'


def processor_name() -> str:
    """Model of the CPU, as far as the system tells."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor() or platform.machine())


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()


def has_bfloat16() -> bool | None:
    """Whether the CPU multiplies bfloat16 matrices; None where torch does not tell."""
    tell = getattr(torch.cpu, 'get_capabilities', None)
    found = tell() if tell else {}
    return bool(found.get('amx_bf16') or found.get('avx512_bf16')) if found else None


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of a large matrix product, what a step could reach at most.

    The matrices grow until a product takes a twentieth of a second or has the largest side:
    8192 on CUDA, else 2048.

    Args:
        device (torch.device): Where.
        dtype (torch.dtype): Of both factors.

    Returns:
        float: Median of five products; one of N x N matrices counts 2 N^3 operations.
    """
    largest = _MATRIX.get(device.type, _MATRIX['cpu'])
    size = _SMALLEST
    # the first one starts libraries, and says nothing about the size
    product_seconds(device, dtype, size, 1)
    while size < largest and product_seconds(device, dtype, size, 1)[0] < _LONG_ENOUGH:
        size *= 2
    return 2 * size**3 / spread(product_seconds(device, dtype, size, _RUNS))['median']


def product_seconds(device: torch.device, dtype: torch.dtype, size: int,
                    runs: int) -> list[float]:
    """Seconds of products of two square matrices."""
    clock = clock_of(device)
    one = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(one)
    moments = []
    for _ in range(runs):
        begin = clock.now()
        torch.mm(one, one, out=out)
        moments.append((begin, clock.now()))
    clock.wait()
    return [clock.seconds(*pair) for pair in moments]
