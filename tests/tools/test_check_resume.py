"""The proof of exact resume, in short; ``tools/check_resume.py --kills 20`` is the long one."""
import json
import subprocess
import sys
from pathlib import Path

import torch

TOOL = Path(__file__).parents[2] / 'tools' / 'check_resume.py'


def check(*arguments):
    result = subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True,
                            text=True, timeout=500)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    summary = json.loads(next(line for line in result.stdout.splitlines() if line[0] == '{'))
    assert summary['different'] == 0 and summary['compared'] > 500
    return summary


def test_killed_twice_with_workers():
    summary = check('--kills', '2', '--workers', '2', '--epochs', '3', '--seconds', '0.5')
    assert summary['kills'] == 2 and summary['steps'] == [24, 24]


def test_two_processes_that_are_asked_to_stop():
    summary = check('--kills', '1', '--signal', 'TERM', '--processes', '2', '--epochs', '3')
    assert summary['kills'] == 1 and summary['steps'] == [24, 24]


def test_the_comparison_sees_a_single_bit():
    sys.path.insert(0, str(TOOL.parent))
    try:
        from check_resume import compare
    finally:
        sys.path.remove(str(TOOL.parent))
    one = dict(a=torch.ones(3), b=torch.tensor([1, 2]))
    other = {name: value.clone() for name, value in one.items()}
    assert compare(one, other) == []
    other['a'][1] = torch.nextafter(other['a'][1], torch.tensor(2.))
    assert compare(one, other) == ['a']
    assert compare(one, dict(a=one['a'])) == ['b']
    assert compare(one, dict(one, b=torch.tensor([1, 2, 3]))) == ['b']


def test_processes_that_do_not_divide_the_batch_are_refused():
    result = subprocess.run([sys.executable, str(TOOL), '--processes', '3'],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.strip().endswith('3 processes do not divide the batch of 8')
