import sys

import pytest
import torch
from torch import nn

from cmid_mm.benchmark.memory import ProcessPeak, state_bytes

MIB = 2**20


@pytest.mark.skipif(sys.platform != 'linux', reason='the system does not tell')
def test_the_peak_is_that_of_what_happens_in_between():
    big = torch.ones(600 * MIB, dtype=torch.uint8)
    del big
    meter = ProcessPeak()
    meter.begin()
    if meter.before is None:
        pytest.skip('this system forbids setting the peak back')
    for _ in range(3):
        torch.ones(64 * MIB, dtype=torch.uint8)
    # the system may take each of them back only after the next
    assert 60 * MIB < meter.end() < 300 * MIB


def test_state_is_parameters_buffers_and_optimiser():
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10))
    optimizer = torch.optim.Adam(model.parameters())
    parameters = 4 * (100 + 10 + 10)
    # mean and variance, and the number of batches as int64
    buffers = 4 * 20 + 8
    assert state_bytes(model, optimizer) == parameters + buffers
    model(torch.randn(4, 10)).sum().backward()
    optimizer.step()
    # two moments each, and a step as float32 for each of three tensors
    assert state_bytes(model, optimizer) == 3 * parameters + buffers + 3 * 4
