"""The training step on synthetic input."""
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch.utils import flop_counter
from torch.utils.benchmark import Timer

from .timing import clock_of, rates, seconds, spread, take_turns
from .trainee import Trainee

PHASES = ('preprocess', 'student forward', 'teacher forward', 'heads and losses', 'backward',
          'optimiser', 'teacher update', 'rest')


def measure_steps(trainees: dict[str, Trainee], steps: int, warmup: int,
                  tick: Callable[[], None]) -> dict:
    """All numbers of the step of each variant.

    Args:
        trainees (dict[str, Trainee]): By name; they step in turn on the same batch.
        steps (int): Steps to measure.
        warmup (int): Steps before these.
        tick (Callable): Called after every step.

    Returns:
        dict[str, dict]: By name: ``images_per_second`` and ``ratio`` to the first variant
        (see ``rates``); ``seconds`` of all steps; ``phases``, the share of each of
        :data:`PHASES`; ``precision``; ``flops_per_image``, ``flops_per_second`` at the
        median; ``matrix_rate``, FLOP/s of a matrix product in that precision;
        ``utilisation``, their quotient; ``peak_bytes`` (None where it cannot be measured),
        ``state_bytes``.
    """
    first = next(iter(trainees.values()))
    batch, clock = first.batch(), clock_of(first.device)

    def call(trainee):
        trainee.step(batch)
        tick()

    calls = [partial(call, trainee) for trainee in trainees.values()]
    take_turns(calls, warmup, clock)
    with ExitStack() as stack:
        notes = [stack.enter_context(record_phases(trainee, clock))
                 for trainee in trainees.values()]
        times = take_turns(calls, steps, clock)
    products = {precision: matrix_rate(first.device, precision)
                for precision in {trainee.precision for trainee in trainees.values()}}
    found = {}
    for (name, trainee), own, noted in zip(trainees.items(), times, notes):
        step, product = partial(trainee.step, batch), products[trainee.precision]
        flops = count_flops(step)
        rate = flops / spread(own)['median']
        found[name] = dict(
            **rates(own, trainee.batch_size, times[0] if found else ()), seconds=own,
            phases=phase_shares(noted, sum(own)),
            precision=str(trainee.precision).removeprefix('torch.'),
            flops_per_image=flops / trainee.batch_size, flops_per_second=rate,
            matrix_rate=product, utilisation=rate / product,
            peak_bytes=peak_bytes(step, trainee.device),
            state_bytes=state_bytes(trainee.model, trainee.wrapper.optimizer))
    return found


@contextmanager
def record_phases(trainee: Trainee, clock: Callable) -> Iterator[list]:
    """Context manager that records (phase, begin, end) of the methods that a step calls."""
    model, wrapper, notes = trainee.model, trainee.wrapper, []

    def recorded(method: Callable, phase: str) -> Callable:
        def call(*args, **kwargs):
            begin = clock()
            result = method(*args, **kwargs)
            notes.append((phase, begin, clock()))
            return result
        return call

    with ExitStack() as stack:
        for phase, owner, name in (
                ('preprocess', model.data_preprocessor, 'forward'), ('forward', model, 'forward'),
                ('student forward', model.backbone, 'forward'),
                ('teacher forward', model.teacher['backbone'], 'forward'),
                ('backward', wrapper, 'backward'), ('optimiser', wrapper, 'step'),
                ('optimiser', wrapper, 'zero_grad'),
                ('teacher update', model, 'update_teacher')):
            stack.enter_context(patch.object(owner, name, recorded(getattr(owner, name), phase)))
        yield notes


def phase_shares(notes: list, whole: float) -> dict:
    """Share of each of :data:`PHASES` of the ``whole`` time, in seconds.

    The heads' time is that of the forward pass without both encoders; the rest is the time
    between the phases.
    """
    spent = dict.fromkeys(('forward', *PHASES), 0.)
    for phase, begin, end in notes:
        spent[phase] += seconds(begin, end)
    encoders = spent['student forward'] + spent['teacher forward']
    spent['heads and losses'] = spent.pop('forward') - encoders
    spent['rest'] = whole - sum(spent.values())
    return {phase: spent[phase] / whole for phase in PHASES}


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product, the upper limit for a training step.

    Square matrices of side N, 2 N^3 operations: 8192 on CUDA, else 2048.
    """
    side = 8192 if device.type == 'cuda' else 2048
    matrix = torch.randn(side, side, device=device).to(dtype)
    timer = Timer('torch.mm(matrix, matrix, out=out)', num_threads=torch.get_num_threads(),
                  globals=dict(torch=torch, matrix=matrix, out=torch.empty_like(matrix)))
    return 2 * side**3 / timer.blocked_autorange(min_run_time=0.5).median


def count_flops(step: Callable[[], object]) -> int:
    """Floating point operations of the matrix products, convolutions and attention of a call.

    A multiply-add counts as two, and recomputed activations count twice.
    """
    aten, registry = torch.ops.aten, flop_counter.flop_registry
    # torch's table lacks the fused attention of the CPU
    like = {
        aten._scaled_dot_product_flash_attention_for_cpu:
            registry[aten._scaled_dot_product_flash_attention],
        aten._scaled_dot_product_flash_attention_for_cpu_backward:
            registry[aten._scaled_dot_product_flash_attention_backward],
    }
    for formula in like.values():
        # these take tensors and read their shapes themselves
        formula._get_raw = True
    with flop_counter.FlopCounterMode(display=False, custom_mapping=like) as counter:
        step()
    return counter.get_total_flops()


def peak_bytes(step: Callable[[], object], device: torch.device) -> int | None:
    """Peak memory of a call above what was used before it.

    On CUDA what torch has allocated, on Linux what is resident; None where the system does
    not allow to measure it.
    """
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    if sys.platform != 'linux':
        return None
    # freed memory that the process still holds would lower the measured peak
    getattr(ctypes.CDLL(None), 'malloc_trim', id)(0)
    try:
        # resets the peak to what is resident now
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        return None
    before = _resident('VmRSS')
    step()
    return max(0, _resident('VmHWM') - before)


def _resident(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def state_bytes(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of parameters, buffers and the state of the optimiser."""
    states = [value for state in optimizer.state.values() for value in state.values()]
    return sum(value.nbytes for value in [*model.parameters(), *model.buffers(), *states]
               if torch.is_tensor(value))
