import pytest
import torch

from cmid_mm.benchmark.synchronisation import waiting_places, waits_by_cuda

CPU = torch.device('cpu')
X = torch.arange(-3., 3.)


@pytest.mark.parametrize('step', [
    lambda: X.sum().item(), lambda: float(X[0]), lambda: bool((X > 0).any()),
    lambda: X[X > 0], lambda: X.nonzero(), lambda: X.masked_select(X > 0),
    lambda: X.repeat_interleave(torch.ones(6, dtype=torch.long))])
def test_what_makes_the_host_wait(step):
    (place, count), = waiting_places(step, CPU).items()
    assert count == 1
    assert place.startswith('test_synchronisation:') and ' in <lambda> (' in place


@pytest.mark.parametrize('step', [
    lambda: X + 1, lambda: X.masked_fill(X > 0, 0), lambda: torch.where(X > 0, X, 0),
    lambda: X[torch.tensor([1, 2])], lambda: X.repeat_interleave(2), lambda: X.argsort()])
def test_what_does_not(step):
    assert waiting_places(step, CPU) == {}


def test_the_place_is_counted_and_named():
    def step():
        for value in X:
            value.item()
        torch.nn.functional.relu(X).sum().item()

    (one, six), (other, once) = waiting_places(step, CPU).items()
    assert (six, once) == (6, 1)
    line = step.__code__.co_firstlineno
    assert one == f'test_synchronisation:{line + 2} in step (_local_scalar_dense)'
    assert other == f'test_synchronisation:{line + 3} in step (_local_scalar_dense)'


def test_a_backward_pass_is_seen():
    class Reading(torch.autograd.Function):

        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            gradient.sum().item()
            return gradient

    x = torch.ones(2, requires_grad=True)
    places = waiting_places(lambda: Reading.apply(x).sum().backward(), CPU)
    assert sum(places.values()) == 1 and 'in backward' in next(iter(places))


def test_only_cuda_reports():
    assert waits_by_cuda(lambda: X.sum().item(), CPU) is None
