import json

import pytest
import torch

from cmid_mm.benchmark import machine
from cmid_mm.benchmark.machine import describe, matrix_rate, product_seconds, usable_cores

CPU = torch.device('cpu')


def test_the_machine_is_told_in_plain_values():
    told = describe(CPU)
    assert json.loads(json.dumps(told)) == told
    assert told['device'] == 'CPU' and told['processor']
    assert 1 <= told['cores'] == usable_cores()
    assert told['versions']['torch'] == torch.__version__


def test_products_are_timed_one_by_one():
    seconds = product_seconds(CPU, torch.float32, 64, 3)
    assert len(seconds) == 3 and min(seconds) > 0


@pytest.mark.parametrize('long, size', [(0, 256), (1e9, 2048)])
def test_matrices_grow_until_a_product_takes_long_enough(monkeypatch, long, size):
    asked = []

    def seconds(device, dtype, size, runs):
        asked.append((size, runs))
        return [0.5] * runs

    monkeypatch.setattr(machine, 'product_seconds', seconds)
    monkeypatch.setattr(machine, '_LONG_ENOUGH', long)
    assert matrix_rate(CPU, torch.float32) == 2 * size**3 / 0.5
    assert asked[-1] == (size, 5)
