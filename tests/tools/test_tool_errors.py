"""Which errors end a tool in one line, and which keep their traceback."""
import collections
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from cmid_mm.datasets.scenes import writing
from cmid_mm.environment import check_versions
from cmid_mm.utils.errors import CMIDError

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SCRIPTS = sorted(str(path.relative_to(TOOLS)) for path in TOOLS.rglob('*.py')
                 if not any(part.startswith('_') for part in path.relative_to(TOOLS).parts))


class FailingData(torch.utils.data.Dataset):
    """Fails as an unreadable image does."""

    def __len__(self):
        return 1

    def __getitem__(self, i):
        from cmid_mm.datasets.file_limits import ImageError
        raise ImageError('a.tif: is damaged')


def error_of(function):
    try:
        function()
    except Exception as error:
        return error


@pytest.mark.parametrize('workers', [0, 1])
def test_a_foreseeable_error_of_a_worker_is_one_line(errors, workers):
    error = error_of(lambda: list(DataLoader(FailingData(), num_workers=workers)))
    assert errors.clear_line(error) == 'a.tif: is damaged'


def raise_internally():
    """An error of the package's own code: a raise statement in a file below `cmid_mm`."""
    source = "raise KeyError('an internal table')"
    exec(compile(source, str(TOOLS.parent / 'cmid_mm' / 'internal.py'), 'exec'))


def test_which_errors_are_one_line(errors):
    assert errors.clear_line(errors.UserError('wrong')) == 'wrong'
    assert errors.clear_line(CMIDError('wrong: the file')) == 'wrong: the file'
    # never an empty line
    assert errors.clear_line(CMIDError()) == 'CMIDError'
    missing = error_of(lambda: check_versions(dict.fromkeys(
        ('torch', 'mmengine', 'mmcv', 'mmpretrain'))))
    assert errors.clear_line(missing).startswith('no torch is installed')
    out_of_memory = torch.OutOfMemoryError('Tried to allocate 2 GiB\nmore')
    line = errors.clear_line(out_of_memory)
    assert 'Tried to allocate 2 GiB' in line and 'batch_size' in line and '\n' not in line
    line = errors.clear_line(ModuleNotFoundError('x', name='mmengine'))
    assert line.startswith('mmengine is not installed')
    for internal in (lambda: 1 / 0, lambda: int('x'), raise_internally):
        assert errors.clear_line(error_of(internal)) is None


# what the packages of the onedl family print when they are imported
IMPORT_MESSAGES = {'Could not import OneDL'}
# what a tool needs to get as far as its missing input
ARGUMENTS = {
    'test.py': ['gone.py', 'gone.pth'], 'train.py': ['gone.py'],
    'generate_scenes.py': ['file'], 'pack_dataset.py': ['gone', 'out.lmdb'],
    'replay_step.py': ['gone.py', 'gone.json'],
    'inference/retrieve_scenes.py': ['gone.py', 'gone.pth', 'gone', '--collection', 'gone'],
    'model_converters/export_hub.py': ['gone', 'out', '--licence', 'mit'],
    'model_converters/export_onnx.py': ['gone.py', 'gone.pth', 'out.onnx'],
    'visualization/browse_views.py': ['gone.py'],
    'visualization/correspondence.py': ['gone.py', 'gone.pth', '1', '2']}
ARGUMENTS_IN = dict(model_converters=['gone', 'out'], inference=['gone.py', 'gone.pth', 'gone'],
                    visualization=['gone.py', 'gone.pth', 'gone'])
FAILING = [script for script in SCRIPTS if script not in ('quickstart.py', 'check_resume.py')]


# one of each folder, from a shell; the others in this process, which has imported it all
FROM_A_SHELL = ('train.py', 'inference/predict_raster.py', 'model_converters/extract_backbone.py',
                'visualization/feature_pca.py', 'dataset_converters/dota.py')


@pytest.fixture
def end_of(tmp_path, monkeypatch, capfd):
    """Calls a tool in a folder of its own; gives its status and what it printed."""
    (tmp_path / 'file').touch()
    monkeypatch.chdir(tmp_path)

    def run(script, *arguments, from_a_shell=False):
        if from_a_shell:
            # as a clone without installation
            monkeypatch.delenv('PYTHONPATH', raising=False)
            status = subprocess.run([sys.executable, TOOLS / script, *arguments],
                                    timeout=600).returncode
            return status, *capfd.readouterr()
        monkeypatch.setattr(sys, 'argv', [str(TOOLS / script), *arguments])
        monkeypatch.syspath_prepend((TOOLS / script).parent)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / script), run_name='__main__')
        code = end.value.code or 0
        out, error = capfd.readouterr()
        # Python prints a text and leaves with 1
        return (code, out, error) if isinstance(code, int) else (1, out, f'{error}{code}\n')

    return run


@pytest.mark.parametrize('script', SCRIPTS)
def test_every_tool_helps_from_any_folder(script, end_of):
    status, out, error = end_of(script, '--help')
    assert status == 0, error
    assert out.startswith(f'usage: {Path(script).name}') and not error


@pytest.mark.parametrize('script', FAILING)
def test_every_tool_ends_in_one_line(script, end_of):
    """The package reports the missing input, so the tool has found the package."""
    arguments = ARGUMENTS.get(script, ARGUMENTS_IN.get(Path(script).parent.name, ['gone']))
    status, out, error = end_of(script, *arguments, from_a_shell=script in FROM_A_SHELL)
    (line, ) = error.splitlines()
    name = Path(script).name
    assert line.startswith(f'{name}: error: ') and ('gone' in line or 'file is a file' in line)
    assert status == 1 and set(out.splitlines()) <= IMPORT_MESSAGES


def test_scenes_are_offered_for_every_task():
    offered = runpy.run_path(str(TOOLS / 'generate_scenes.py'))['TASKS']
    assert offered == tuple(writing.TASKS)


def test_wrong_paths_are_one_line(errors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('file').touch()
    Path('folder').mkdir()
    for action in (lambda: Path('file').mkdir(exist_ok=True), lambda: os.listdir('file'),
                   lambda: Path('file/deep/er').mkdir(parents=True)):
        assert errors.clear_line(error_of(action)).startswith('file is a file, but a folder')
    line = errors.clear_line(error_of(lambda: Path('folder').write_text('')))
    assert line.startswith('folder is a folder, but a file')
    refused = PermissionError(13, 'Permission denied', 'folder')
    assert errors.clear_line(refused).startswith('folder cannot be used: Permission denied')
    assert errors.clear_line(PermissionError('without a path')) is None


@pytest.mark.parametrize('tool, options', [
    ('trainer', ['--resume', 'bad.pth']), ('trainer', ['--cfg-options', 'load_from=bad.pth']),
    ('tester', ['bad.pth'])])
@pytest.mark.parametrize('content, message', [
    (b'junk' * 9, 'cannot be read as a checkpoint'),
    (b'', 'cannot be read as a checkpoint'),
    (None, 'holds a collections.UserDict and would have to run code to be read')])
def test_bad_checkpoint_is_one_line(request, errors, toy, monkeypatch, tool, options, content,
                                    message):
    if content is None:
        torch.save(dict(state_dict=collections.UserDict()), 'bad.pth')
    else:
        Path('bad.pth').write_bytes(content)
    if '--cfg-options' not in options:
        options = [*options, '--cfg-options']
    # mmengine keeps its logger by this name for as long as the process lives
    options = [*options, f'experiment_name={toy.parent.name}']
    monkeypatch.setattr(sys, 'argv', ['tool', 'toy_config.py', *options])
    with pytest.raises(SystemExit) as end:
        errors.run(request.getfixturevalue(tool).main)
    assert end.value.code.startswith(f'tool: error: bad.pth {message}')
    assert '\n' not in end.value.code and 'weights_only' not in end.value.code


def test_tool_ends_in_one_line(trainer, errors, toy, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', 'for_torchrun.json')
    monkeypatch.setattr(sys, 'argv', ['train.py', 'toy_conifg.py'])
    with pytest.raises(SystemExit) as end:
        errors.run(trainer.main)
    assert end.value.code == ('train.py: error: no such config: toy_conifg.py; did you '
                              'mean toy_config.py?')
    report = json.loads(Path('for_torchrun.json').read_text())
    assert end.value.code.endswith(report['message'])
    monkeypatch.setenv('CMID_TRACEBACK', '1')
    with pytest.raises(errors.UserError):
        errors.run(trainer.main)
