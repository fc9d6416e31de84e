"""How long it takes from nothing to the first step."""
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

import cmid_mm

from .spread import spread
from .trainee import Trainee
from .variants import Variant, apply_variant

RUNS = 3
_SCRIPT = """
import json, sys, time
moments = [time.perf_counter()]
import torch
moments.append(time.perf_counter())
import cmid_mm
moments.append(time.perf_counter())
from cmid_mm.benchmark.start import first_step
moments += first_step(sys.argv[1], time.perf_counter)
print(json.dumps(moments))
"""
# what lies between two of the moments
_STAGES = ('import_torch', 'import_cmid_mm', 'build', 'first_step')


def first_step(config: str, now: Callable[[], float]) -> list[float]:
    """Build what a config trains and step once; the moments after either."""
    trainee = Trainee(Config.fromfile(config), Variant('default'))
    batch = trainee.batch()
    built = now()
    # reading the loss waits for the device
    trainee.step(batch).item()
    return [built, now()]


def measure_start(cfg: Config, variant: Variant, tick: Callable[[], None] = lambda: None,
                  runs: int = RUNS) -> dict:
    """Seconds from the start of Python's imports to the end of a first synthetic step.

    Args:
        cfg (Config): Of a CMID training.
        variant (Variant): What is changed in it.
        tick (Callable): Called after every process.
        runs (int): Fresh processes, one after the other. Defaults to 3.

    Returns:
        dict[str, dict]: ``spread`` of ``import_torch``, ``import_cmid_mm`` (all but torch:
        mmengine, mmcv, mmpretrain and the plugin), ``build`` (model, optimiser),
        ``first_step`` and of their sum, ``to_first_step``.

    Raises:
        ValueError: A process fails; its last line tells why.
    """
    environment = dict(os.environ)
    folders = [str(Path(cmid_mm.__file__).parents[1]), environment.get('PYTHONPATH')]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, folders))
    moments = []
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, 'config.py')
        apply_variant(cfg, variant).dump(config)
        for _ in range(runs):
            result = subprocess.run([sys.executable, '-c', _SCRIPT, config], text=True,
                                    capture_output=True, env=environment)
            if result.returncode:
                reason = (result.stderr.strip() or 'no message').splitlines()[-1]
                raise ValueError(f'{variant.name}: a fresh process failed: {reason}')
            moments.append(json.loads(result.stdout.splitlines()[-1]))
            tick()
    seconds = [[end - begin for begin, end in zip(run, run[1:])] for run in moments]
    return {stage: spread(values) for stage, values in zip(_STAGES, zip(*seconds))} | dict(
        to_first_step=spread([sum(values) for values in seconds]))
