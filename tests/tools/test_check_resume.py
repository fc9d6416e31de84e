"""The comparison of exact resume in short; ``tools/check_resume.py --kills 20`` is the long one."""
import json

import pytest
import torch


@pytest.fixture
def check(monkeypatch, capsys):
    """``check(*arguments)``: summary of tools/check_resume.py, which must find no difference."""
    from check_resume import main

    def run(*arguments):
        main(arguments)
        out = capsys.readouterr().out
        summary = json.loads(next(line for line in out.splitlines() if line[0] == '{'))
        assert summary['different'] == 0 and summary['compared'] > 500
        return summary
    return run


def test_killed_with_workers(check):
    summary = check('--kills', '1', '--workers', '2', '--epochs', '3', '--seconds', '0.5')
    assert summary['kills'] == 1 and summary['steps'] == [24, 24]


def test_two_processes_that_receive_a_signal(check):
    summary = check('--kills', '1', '--signal', 'TERM', '--processes', '2', '--epochs', '3')
    assert summary['kills'] == 1 and summary['steps'] == [24, 24]


def test_the_comparison_finds_a_single_bit():
    from check_resume import compare
    one = dict(a=torch.ones(3), b=torch.tensor([1, 2]))
    other = {name: value.clone() for name, value in one.items()}
    assert compare(one, other) == []
    other['a'][1] = torch.nextafter(other['a'][1], torch.tensor(2.))
    assert compare(one, other) == ['a']
    assert compare(one, dict(a=one['a'])) == ['b']
    assert compare(one, dict(one, b=torch.tensor([1, 2, 3]))) == ['b']


def test_processes_that_do_not_divide_the_batch_are_refused():
    from _errors import UserError
    from check_resume import main
    with pytest.raises(UserError, match='3 processes do not divide the batch of 8'):
        main(['--processes', '3'])
