"""Where the time of a step goes."""
import functools
from collections.abc import Callable

import torch

from .clock import clock_of
from .spread import spread
from .trainee import Trainee

PHASES = ('preprocess', 'student forward', 'teacher forward', 'heads and losses', 'backward',
          'optimiser', 'teacher update', 'rest')


class Breakdown:
    """Context in which the steps of a trainee note when their phases begin and end.

    On a GPU moments are events on the stream: nothing waits within a step, and a phase is
    the device's time from the end of what came before it. The heads' share is what the
    forward pass takes beyond both encoders; the rest is what lies between the phases.

    Args:
        trainee (Trainee): Its modules and wrapper carry marks within the context only.
    """

    def __init__(self, trainee: Trainee):
        self.trainee = trainee
        self.clock = clock_of(trainee.device)
        self.steps = []

    def __enter__(self):
        model, wrapper = self.trainee.model, self.trainee.wrapper
        self.handles = []
        for name, module in (('preprocess', model.data_preprocessor), ('forward', model),
                             ('student forward', model.backbone),
                             ('teacher forward', model.teacher['backbone'])):
            # compiled code leaves a mark as it is, instead of looking into it
            begin = torch.compiler.disable(functools.partial(self._begin, name))
            end = torch.compiler.disable(functools.partial(self._end, name))
            self.handles += [module.register_forward_pre_hook(begin),
                             module.register_forward_hook(end)]
        self.patched = [
            self._patch(wrapper, 'backward', 'backward'),
            self._patch(wrapper, 'step', 'optimiser'),
            self._patch(wrapper, 'zero_grad', 'optimiser'),
            self._patch(model, 'update_teacher', 'teacher update'),
        ]
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()
        for target, name, before in self.patched:
            if before is None:
                delattr(target, name)
            else:
                setattr(target, name, before)

    def step(self, batch: dict) -> None:
        """Run and note one step."""
        self.steps.append([])
        self._begin('step')
        self.trainee.step(batch)
        self._end('step')

    def seconds(self) -> list[dict]:
        """Of every noted step: phase -> seconds, and ``step``, their sum."""
        self.clock.wait()
        return [self._phases(notes) for notes in self.steps]

    def _phases(self, notes: list) -> dict:
        spent = dict.fromkeys(('forward', 'step', *PHASES), 0.)
        for name, begin, end in notes:
            spent[name] += self.clock.seconds(begin, end)
        encoders = spent['student forward'] + spent['teacher forward']
        spent['heads and losses'] = spent.pop('forward') - encoders
        spent['rest'] = spent['step'] - sum(spent[name] for name in PHASES[:-1])
        return spent

    def _begin(self, name: str, *_) -> None:
        self.steps[-1].append([name, self.clock.now(), None])

    def _end(self, name: str, *_) -> None:
        moment = self.clock.now()
        note = next(note for note in reversed(self.steps[-1])
                    if note[0] == name and note[2] is None)
        note[2] = moment

    def _patch(self, target, name: str, phase: str) -> tuple:
        """Put marks around a method of one object; return how to undo it."""
        before = vars(target).get(name)
        method: Callable = getattr(target, name)

        @functools.wraps(method)
        def marked(*args, **kwargs):
            self._begin(phase)
            result = method(*args, **kwargs)
            self._end(phase)
            return result

        setattr(target, name, marked)
        return target, name, before


def measure_breakdown(trainee: Trainee, batch: dict, steps: int) -> dict:
    """Phase -> :func:`spread` of its seconds, with ``share`` of the median step.

    Args:
        steps (int): After one for warming up.
    """
    with Breakdown(trainee) as breakdown:
        for _ in range(1 + steps):
            breakdown.step(batch)
        noted = breakdown.seconds()[1:]
    whole = spread([phases['step'] for phases in noted])['median']
    result = {}
    for name in PHASES:
        result[name] = spread([phases[name] for phases in noted])
        result[name]['share'] = result[name]['median'] / whole
    return result
