"""The training step on synthetic input."""
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch.utils import flop_counter

from .machine import matrix_rate
from .timing import clock_of, paired_ratios, rates, seconds, spread, take_turns
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
        dict[str, dict]: By name: ``images_per_second`` and, except for the first variant,
        ``ratio`` to the first (each a ``spread``); ``seconds`` of all steps; ``precision``;
        ``flops_per_image``, ``flops_per_second`` at the median; ``matrix_rate``, FLOP/s of a
        matrix product in that precision; ``utilisation``, their quotient; ``peak_bytes``
        (None where it cannot be measured), ``state_bytes``; ``breakdown``.
    """
    first, *others = trainees.values()
    batch = first.batch()

    def call(trainee):
        trainee.step(batch)
        tick()

    calls = [lambda trainee=trainee: call(trainee) for trainee in trainees.values()]
    clock = clock_of(first.device)
    take_turns(calls, warmup, clock)
    times = dict(zip(trainees, take_turns(calls, steps, clock)))
    found, products = {}, {}
    for name, trainee in trainees.items():
        own, precision = times[name], trainee.precision
        if precision not in products:
            products[precision] = matrix_rate(trainee.device, precision)
        flops = count_flops(lambda trainee=trainee: trainee.step(batch))
        rate = flops / spread(own)['median']
        found[name] = dict(
            images_per_second=rates(own, trainee.batch_size), seconds=own,
            precision=str(precision).removeprefix('torch.'),
            flops_per_image=flops / trainee.batch_size, flops_per_second=rate,
            matrix_rate=products[precision], utilisation=rate / products[precision],
            peak_bytes=peak_bytes(lambda trainee=trainee: trainee.step(batch), trainee.device),
            state_bytes=state_bytes(trainee.model, trainee.wrapper.optimizer),
            breakdown=measure_breakdown(trainee, batch, max(3, steps // 4)))
        if trainee is not first:
            found[name]['ratio'] = paired_ratios(next(iter(times.values())), own)
    return found


def measure_breakdown(trainee: Trainee, batch: dict, steps: int) -> dict:
    """Phase -> :func:`spread` of its seconds, with ``share`` of the median step."""
    clock, found = clock_of(trainee.device), []
    for number in range(1 + steps):
        with record_phases(trainee) as notes:
            begin = clock()
            trainee.step(batch)
            notes.append(('step', begin, clock()))
        # the first one warms up
        if number:
            found.append(phase_seconds(notes))
    whole = spread([phases['step'] for phases in found])['median']
    result = {name: spread([phases[name] for phases in found]) for name in PHASES}
    for numbers in result.values():
        numbers['share'] = numbers['median'] / whole
    return result


@contextmanager
def record_phases(trainee: Trainee) -> Iterator[list]:
    """Context manager that records (phase, begin, end) of the methods that a step calls."""
    model, wrapper, notes = trainee.model, trainee.wrapper, []
    clock = clock_of(trainee.device)

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


def phase_seconds(notes: list) -> dict:
    """Seconds of each of :data:`PHASES` and of the whole ``step``.

    The heads' time is that of the forward pass without both encoders; the rest is the time
    between the phases.
    """
    spent = dict.fromkeys(('forward', 'step', *PHASES), 0.)
    for phase, begin, end in notes:
        spent[phase] += seconds(begin, end)
    encoders = spent['student forward'] + spent['teacher forward']
    spent['heads and losses'] = spent.pop('forward') - encoders
    spent['rest'] = spent['step'] - sum(spent[name] for name in PHASES[:-1])
    return spent


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

    On CUDA what torch has allocated, on Linux what is resident; None on other systems.
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
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        # freed memory that the process still holds would lower the measured peak
        trim(0)
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
    tensors = [*model.parameters(), *model.buffers()]
    for state in optimizer.state.values():
        tensors.extend(value for value in state.values() if torch.is_tensor(value))
    return sum({id(tensor): tensor.nbytes for tensor in tensors}.values())
