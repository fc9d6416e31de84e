"""Page faults tell whether memory was given back."""
import json
import subprocess
import sys

import pytest

# in a process of its own: what others left in the heap would be used first
PROGRAM = """
import json, resource
import torch
from cmid_mm.utils.process_memory import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(2**26, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

found = dict(pages=5 * 2**26 // resource.getpagesize(), before=faults())
with freed_memory_kept() as found['kept']:
    faults()
    found['within'] = faults()
found['after'] = faults()
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='settings of glibc')
def test_tensors_take_the_pages_of_those_before_them():
    result = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True,
                            check=True, timeout=120)
    found = json.loads(result.stdout.splitlines()[-1])
    if not found['kept']:
        pytest.skip('another C library')
    assert found['within'] < found['pages'] / 10
    assert found['before'] > found['pages'] / 2, found
    # what was kept went back at the end
    assert found['after'] > found['pages'] / 10, found
