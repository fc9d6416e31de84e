"""Page faults tell whether memory was given back."""
import resource
import sys

import pytest
import torch

from cmid_mm.utils.process_memory import freed_memory_kept, give_freed_memory_back

MIB = 2**20


def faults():
    """Page faults of five tensors of 64 MB, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(64 * MIB, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != 'linux', reason='settings of glibc')
def test_tensors_take_the_pages_of_those_before_them():
    pages = 5 * 64 * MIB // resource.getpagesize()
    with freed_memory_kept() as kept:
        if not kept:
            pytest.skip('another C library')
        faults()
        assert faults() < pages / 10
        give_freed_memory_back()
        assert faults() > pages / 2
    assert faults() > pages / 2
