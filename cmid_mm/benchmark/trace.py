"""A profile to look at."""
import gzip
import shutil
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from cmid_mm.checkpoints.output_file import complete_or_absent

from .trainee import Trainee

_STEPS = 3


def write_trace(trainee: Trainee, path: str) -> int:
    """Write a Chrome trace of three steps after one for warming up.

    Args:
        trainee (Trainee): Whose steps.
        path (str): JSON file; compressed where it ends in ``.gz``.

    Returns:
        int: Steps in it.
    """
    batch = trainee.batch()
    trainee.step(batch)
    activities = [ProfilerActivity.CPU]
    if trainee.device.type == 'cuda':
        activities.append(ProfilerActivity.CUDA)
        torch.cuda.synchronize()
    with profile(activities=activities) as profiler:
        for _ in range(_STEPS):
            trainee.step(batch)
        if trainee.device.type == 'cuda':
            torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder, complete_or_absent(path) as out:
        # the profiler goes by the ending of the name, which an unfinished file has not yet
        plain = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(plain))
        opener = gzip.open if str(path).endswith('.gz') else open
        with plain.open('rb') as source, opener(out, 'wb') as target:
            shutil.copyfileobj(source, target)
    return _STEPS
