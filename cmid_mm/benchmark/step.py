"""The training step on synthetic input."""
from collections.abc import Callable, Sequence

import torch

from cmid_mm.utils.process_memory import memory_of_a_training

from .breakdown import measure_breakdown
from .clock import clock_of
from .machine import matrix_rate
from .memory import peak_of, state_bytes
from .operations import count_flops
from .spread import paired_ratios, rates, spread
from .synchronisation import waiting_places, waits_by_cuda
from .trainee import Trainee


def in_turn(calls: Sequence[Callable], rounds: int, clock) -> list[list[float]]:
    """Time several calls in turn, A B A B: what disturbs one disturbs its neighbour too.

    Args:
        calls (Sequence[Callable]): Without arguments.
        rounds (int): How often each is called.
        clock: Of :func:`clock_of`.

    Returns:
        list[list[float]]: Seconds of every round, for each call.
    """
    moments = [[] for _ in calls]
    for _ in range(rounds):
        for call, noted in zip(calls, moments):
            begin = clock.now()
            call()
            noted.append((begin, clock.now()))
    clock.wait()
    return [[clock.seconds(*pair) for pair in noted] for noted in moments]


def measure_steps(trainees: Sequence[Trainee], steps: int, warmup: int,
                  tick: Callable[[], None] = lambda: None) -> dict:
    """All numbers of the step, of each variant.

    Args:
        trainees (Sequence[Trainee]): On the same device; each is stepped in turn on the
            same synthetic batch.
        steps (int): That count.
        warmup (int): That do not, before.
        tick (Callable): Called after every step.

    Returns:
        dict[str, dict]: By the variant's name: ``images_per_second`` and, unless it is the
        first, ``ratio`` to the first (each a ``spread``); ``seconds`` of all steps;
        ``losses`` of all steps on that one batch, warm-up included; ``precision``;
        ``flops_per_image``, ``flops_per_second`` at the median; ``matrix_rate``, FLOP a
        second of a matrix product in that precision; ``utilisation``, their quotient;
        ``peak_bytes`` (None where it cannot be measured), ``peak_meaning``,
        ``state_bytes``; ``breakdown``; ``waiting``, see ``waiting_places``, and
        ``waits_by_cuda``.
    """
    clock = clock_of(trainees[0].device)
    _start_alike(trainees)
    batch = trainees[0].batch()
    losses = [[] for _ in trainees]

    def call(trainee, kept):
        kept.append(trainee.step(batch))
        tick()

    calls = [lambda trainee=trainee, kept=kept: call(trainee, kept)
             for trainee, kept in zip(trainees, losses)]
    with memory_of_a_training(trainees[0].device):
        in_turn(calls, warmup, clock)
        seconds = in_turn(calls, steps, clock)
    # before what is counted one by one adds steps of its own
    losses = [torch.stack(kept).float().tolist() for kept in losses]
    found, products = {}, {}
    for trainee, own, loss in zip(trainees, seconds, losses):
        name, precision = trainee.variant.name, trainee.precision
        if precision not in products:
            products[precision] = matrix_rate(trainee.device, precision)
        found[name] = dict(
            images_per_second=rates(own, trainee.batch_size), seconds=own, losses=loss,
            precision=str(precision).removeprefix('torch.'))
        if trainee is not trainees[0]:
            found[name]['ratio'] = paired_ratios(seconds[0], own)
        found[name] |= _operations(trainee, batch, spread(own)['median'], products[precision])
        found[name] |= _memory(trainee, batch)
        tick()
        with memory_of_a_training(trainee.device):
            found[name]['breakdown'] = measure_breakdown(trainee, batch, max(3, steps // 4))
        found[name] |= _waits(trainee, batch)
        tick()
    return found


def _start_alike(trainees: Sequence[Trainee]) -> None:
    """Give all the first one's weights, where they fit, so that losses can be compared.

    The seed is not enough: random numbers fill a tensor in the order of its memory.
    """
    first = trainees[0].model.state_dict()
    shapes = {name: tensor.shape for name, tensor in first.items()}
    for other in trainees[1:]:
        own = other.model.state_dict()
        if {name: tensor.shape for name, tensor in own.items()} == shapes:
            other.model.load_state_dict(first)


def _operations(trainee: Trainee, batch: dict, seconds: float, product: float) -> dict:
    flops = count_flops(lambda: trainee.step(batch))
    return dict(flops_per_image=flops / trainee.batch_size, flops_per_second=flops / seconds,
                matrix_rate=product, utilisation=flops / seconds / product)


def _memory(trainee: Trainee, batch: dict) -> dict:
    meter = peak_of(trainee.device)
    meter.begin()
    trainee.step(batch)
    return dict(peak_bytes=meter.end(), peak_meaning=meter.meaning,
                state_bytes=state_bytes(trainee.model, trainee.wrapper.optimizer))


def _waits(trainee: Trainee, batch: dict) -> dict:
    def step():
        trainee.step(batch)

    return dict(waiting=waiting_places(step, trainee.device),
                waits_by_cuda=waits_by_cuda(step, trainee.device))
