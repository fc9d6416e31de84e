"""Which errors end a tool in one line, and which keep their traceback."""
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader


class FailingData(torch.utils.data.Dataset):
    """Fails inside the package, as an unreadable image does."""

    def __len__(self):
        return 1

    def __getitem__(self, i):
        from cmid_mm.environment import check_versions
        check_versions(dict(torch=None, mmengine=None, mmcv=None, mmpretrain=None))


def error_of(function):
    try:
        function()
    except Exception as error:
        return error


@pytest.mark.parametrize('workers', [0, 1])
def test_a_check_of_the_package_is_one_line(errors, workers):
    error = error_of(lambda: list(DataLoader(FailingData(), num_workers=workers)))
    assert errors.clear_line(error).startswith('no torch is installed')


def test_which_errors_are_one_line(errors):
    assert errors.clear_line(errors.UserError('wrong')) == 'wrong'
    out_of_memory = torch.OutOfMemoryError('Tried to allocate 2 GiB\nmore')
    line = errors.clear_line(out_of_memory)
    assert 'Tried to allocate 2 GiB' in line and 'batch_size' in line and '\n' not in line
    line = errors.clear_line(ModuleNotFoundError('x', name='mmengine'))
    assert line.startswith('mmengine is not installed')
    assert errors.clear_line(error_of(lambda: 1 / 0)) is None
    assert errors.clear_line(error_of(lambda: int('x'))) is None


def test_tool_ends_in_one_line(trainer, errors, toy, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', 'for_torchrun.json')
    monkeypatch.setattr(sys, 'argv', ['train.py', 'toy_conifg.py'])
    with pytest.raises(SystemExit) as end:
        errors.run(trainer.main)
    assert end.value.code == ('train.py: error: no such config: toy_conifg.py; did you '
                              'mean toy_config.py?')
    told = json.loads(Path('for_torchrun.json').read_text())
    assert end.value.code.endswith(told['message'])
    monkeypatch.setenv('CMID_TRACEBACK', '1')
    with pytest.raises(errors.UserError):
        errors.run(trainer.main)
