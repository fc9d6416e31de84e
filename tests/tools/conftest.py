"""The scripts of tools/ as modules, and a toy project to run them on."""
import importlib
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load_tool(name):
    """A script of tools/ as a module."""
    spec = spec_from_file_location(f'tools_{name}', TOOLS / f'{name}.py')
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    monkeypatch.setenv('LOCAL_RANK', '0')


@pytest.fixture
def trainer():
    return load_tool('train')


@pytest.fixture
def tester():
    return load_tool('test')


@pytest.fixture
def launch(trainer):
    return sys.modules['_launch']


@pytest.fixture
def errors(trainer):
    return sys.modules['_errors']


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Folder with the toy config; the tests run inside it."""
    folder = tmp_path / 'a project'
    folder.mkdir()
    shutil.copy(Path(__file__).with_name('toy_config.py'), folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def converter(monkeypatch):
    """Function that imports a module of tools/dataset_converters by name."""
    monkeypatch.syspath_prepend(TOOLS / 'dataset_converters')
    return importlib.import_module


@pytest.fixture
def user_error(converter):
    return converter('_preparation').UserError
