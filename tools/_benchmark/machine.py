"""Description of the machine and its rate of matrix products."""
import os
import platform
from pathlib import Path

import torch
from mmengine.utils.dl_utils import collect_env
from torch.utils.benchmark import Timer


def describe(device: torch.device) -> dict:
    """Device, processor, threads and versions, as plain values for JSON."""
    gpu = device.type == 'cuda'
    features = getattr(torch.cpu, 'get_capabilities', dict)()
    return dict(
        device=torch.cuda.get_device_name(device) if gpu else 'CPU',
        processor=_processor_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity')
        else os.cpu_count(),
        threads=torch.get_num_threads(),
        bfloat16_instructions=bool(features.get('amx_bf16') or features.get('avx512_bf16')),
        environment={key: str(value) for key, value in collect_env().items()})


def _processor_name() -> str:
    """Model of the CPU where Linux reports it, else its architecture."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor() or platform.machine())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product, the upper limit for a training step.

    Square matrices of side N, 2 N^3 operations: 8192 on CUDA, else 2048.
    """
    side = 8192 if device.type == 'cuda' else 2048
    matrix = torch.randn(side, side, device=device).to(dtype)
    timer = Timer('torch.mm(matrix, matrix, out=out)', num_threads=torch.get_num_threads(),
                  globals=dict(torch=torch, matrix=matrix, out=torch.empty_like(matrix)))
    return 2 * side**3 / timer.blocked_autorange(min_run_time=0.5).median
