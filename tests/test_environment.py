"""The checks of cmid_mm/environment.py, and what requirement files and setup.py declare."""
import os
import pickle
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from packaging.requirements import Requirement

from cmid_mm import environment
from cmid_mm.environment import UnsupportedEnvironment

REPOSITORY = Path(__file__).resolve().parents[1]
OFFICIAL = {
    'torch': '2.13.0+cpu', 'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0'}
ONEDL = {
    'torch': '2.13.0', 'mmengine': '0.10.12', 'mmcv': '2.3.6', 'mmpretrain': '1.3.6'}


# ---------------------------------------------------------------- families and versions


def refusal(check, *arguments):
    """Message of an environment that is refused; it is one line."""
    with pytest.raises(UnsupportedEnvironment) as error:
        check(*arguments)
    assert '\n' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('installed', [
    {'mmengine', 'onedl-mmengine'}, {'mmcv-lite', 'onedl-mmcv'},
    {'mmengine', 'onedl-mmpretrain'}, {'mmcv', 'mmcv-lite'}])
def test_two_owners_of_a_folder_are_refused(installed):
    message = refusal(environment.check_families, installed)
    assert all(name in message for name in installed) and 'pip uninstall -y' in message


def test_one_family_passes():
    for column in range(2):
        environment.check_families(
            {families[column][0] for families in environment.DISTRIBUTIONS.values()})
    environment.check_families({'mmengine', 'mmcv-lite', 'mmpretrain'})


def test_import_checks_before_it_imports_any_package(tmp_path):
    """A second family, whose files would raise another error if they were imported."""
    present = environment.installed_distributions()
    other = 'mmengine' if 'onedl-mmengine' in present else 'onedl-mmengine'
    folder = tmp_path / f'{other.replace("-", "_")}-1.0.dist-info'
    for path, text in ((folder / 'METADATA', f'Metadata-Version: 2.1\nName: {other}\n'),
                       (tmp_path / 'torch' / '__init__.py', 'raise SystemError')):
        path.parent.mkdir()
        path.write_text(text)
    result = subprocess.run(
        [sys.executable, '-c', 'import cmid_mm'], capture_output=True, text=True, timeout=120,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(REPOSITORY)])))
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1 and 'UnsupportedEnvironment' in last and other in last


@pytest.mark.parametrize('name, version', [
    ('torch', '2.5.1'), ('torch', '3.0.0'), ('mmengine', '0.9.1'), ('mmengine', '0.11.0'),
    ('mmcv', '2.0.1'), ('mmcv', '2.4.0'), ('mmpretrain', '1.1.1'), ('mmpretrain', '1.2.0rc1'),
    ('mmpretrain', '2.0.0')])
def test_an_unsupported_version_is_named_with_the_fix(name, version):
    lowest, beyond = next(row[1:] for row in environment.SUPPORTED if row[0] == name)
    for versions in (OFFICIAL, ONEDL):
        environment.check_versions(versions)
        message = refusal(environment.check_versions, {**versions, name: version})
        assert f'{name} {version} is installed' in message
        assert f'`pip install "{name}>={lowest},<{beyond}"`' in message


@pytest.mark.parametrize('versions, installed, message', [
    # a missing package comes first
    ({'torch': '1.0', 'mmcv': None}, set(), 'no mmcv is installed'),
    ({'mmcv': '1.7.0'}, {'mmcv-lite', 'mmengine'}, 'install "mmcv-lite>='),
    ({'mmcv': '1.7.0'}, {'onedl-mmengine'}, 'install "onedl-mmcv>=')])
def test_the_fix_stays_in_the_family(versions, installed, message):
    assert message in refusal(environment.check_versions, {**OFFICIAL, **versions}, installed)


@pytest.mark.parametrize('mmdet, mmcv, wanted, fix', [
    ('3.3.0', '2.2.0', '2.2', 'mmcv==2.1.0'), ('3.2.0', '2.3.6', '2.2', 'mmcv==2.1.0'),
    ('2.28.2', '2.1.0', '2.0', 'mmdet==3.2.0')])
def test_an_mmdet_that_would_end_the_import_is_named(mmdet, mmcv, wanted, fix):
    for good in (None, '2.2.0'), ('3.2.0', '2.1.0'), ('3.3.0', '2.1.0'), ('3.5.1', '2.3.6'):
        environment.check_mmdet(*good)
    message = refusal(environment.check_mmdet, mmdet, mmcv)
    assert f'mmdet {mmdet} is installed, which needs mmcv before {wanted}' in message
    assert f'mmcv {mmcv}, ' in message and fix in message


def test_a_version_is_read_without_the_package_and_a_data_folder_is_none(tmp_path, monkeypatch):
    for name in ('just_a_folder', 'a_package'):
        (tmp_path / name).mkdir()
    (tmp_path / 'a_package' / '__init__.py').write_text('raise SystemError("was imported")\n')
    (tmp_path / 'a_package' / 'version.py').write_text("__version__ = '2.0.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert environment.module_version('a_package') == '2.0.0'
    assert environment.module_version('just_a_folder') is None
    assert environment.module_version('no_such_module_at_all') is None
    assert environment.module_version('torch') == torch.__version__


# ---------------------------------------------------------------- requirement files


def pins_of(file):
    """Name to version of a requirement file and of those it includes; None without ``==``."""
    path = REPOSITORY / 'requirements' / file
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith('-r '):
            found |= pins_of(path.parent / line[3:])
        elif line and not line.startswith('#'):
            requirement = Requirement(line)
            exact = [s.version for s in requirement.specifier if s.operator == '==']
            found[requirement.name] = exact[0] if exact else None
    return found


def assert_admitted(requirements, pins):
    """Every requirement is pinned, or has no exact version in both places."""
    for requirement in map(Requirement, requirements):
        version = pins[requirement.name]
        assert version is None or requirement.specifier.contains(version), requirement


@pytest.fixture
def declared(monkeypatch):
    """What setup.py gives to setuptools."""
    given = {}
    monkeypatch.setattr('setuptools.setup', given.update)
    runpy.run_path(str(REPOSITORY / 'setup.py'))
    return given


@pytest.mark.parametrize('name', ['pretrain', 'tasks'])
@pytest.mark.parametrize('column, family, tried', [
    (0, 'official', OFFICIAL), (1, 'onedl', ONEDL)], ids=['official', 'onedl'])
def test_pins_are_of_one_family_and_what_setup_py_admits(declared, column, family, tried, name):
    common, pins = pins_of('common.txt'), pins_of(f'{family}/{name}.txt')
    extra = declared['extras_require'][family + '-tasks' * (name == 'tasks')]
    assert {Requirement(line).name for line in extra} == set(pins) - set(common)
    assert_admitted(extra, pins)
    assert_admitted(declared['install_requires'], common)
    assert tried['torch'].startswith(pins['torch'])
    for module, families in environment.DISTRIBUTIONS.items():
        versions = [pins[owner] for owner in families[column] if owner in pins]
        assert len(versions) <= 1 and not set(families[1 - column]) & set(pins)
        assert module not in tried or versions == [tried[module]]


def test_requirements_for_tests_are_those_of_the_extra(declared):
    assert {Requirement(line).name for line in declared['extras_require']['tests']} == set(
        pins_of('tests.txt'))
    assert {'torch', 'torchvision', 'safetensors'} <= {
        Requirement(line).name for line in declared['install_requires']}


# ---------------------------------------------------------------- torchvision


def test_schemas_are_declared_only_where_they_are_missing(monkeypatch):
    import torchvision
    loads = environment.compiled_part_loads(Path(torchvision.__file__).parent)
    assert hasattr(torch.ops.torchvision, 'qnms')
    assert hasattr(torch.ops.torchvision, 'roi_align') == loads
    for found in (True, False):
        monkeypatch.setattr(environment, 'compiled_part_loads', lambda folder, x=found: x)
        assert environment.declare_torchvision_schemas() == []


def test_compiled_part(tmp_path):
    assert not environment.compiled_part_loads(tmp_path)
    broken = tmp_path / '_C.so'
    broken.write_bytes(b'no library')
    assert not environment.compiled_part_loads(tmp_path)
    library = Path(torch.__file__).parent / 'lib' / 'libc10.so'
    if not library.is_file():
        pytest.skip('libraries have another name on this system')
    broken.unlink()
    broken.symlink_to(library)
    assert environment.compiled_part_loads(tmp_path)


def test_missing_torchvision_is_named(monkeypatch):
    monkeypatch.setattr(environment, 'find_spec', lambda name: None)
    with pytest.raises(UnsupportedEnvironment, match='torchvision is not installed'):
        environment.declare_torchvision_schemas()


# ---------------------------------------------------------------- safe loading


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint with all that mmengine's message hub can hold."""
    hub = MessageHub('environment_test')
    for value in (1, 2.5, np.float32(3).item()):
        hub.update_scalar('train/loss', value, 2)
    hub.update_info('best_score', np.float32(0.5))
    hub.update_info('count', np.int64(7))
    hub.update_info('good', np.bool_(True))
    path = tmp_path / 'checkpoint.pth'
    torch.save(dict(message_hub=hub.state_dict(), state_dict=dict(w=torch.ones(2))), path)
    return path


def check_loaded(path):
    hub = torch.load(path, weights_only=True)['message_hub']
    values, counts = hub['log_scalars']['train/loss'].data
    assert values.tolist() == [1, 2.5, 3] and counts.tolist() == [2, 2, 2]
    assert hub['log_scalars']['train/loss'].statistics('max') == 3
    assert hub['runtime_info'] == dict(best_score=np.float32(0.5), count=7, good=True)


def test_an_mmengine_checkpoint_loads_safely(checkpoint):
    check_loaded(checkpoint)
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
            torch.load(checkpoint, weights_only=True)
    finally:
        torch.serialization.add_safe_globals(allowed)


def test_a_checkpoint_of_the_other_numpy_loads_safely(checkpoint, tmp_path):
    here, there = b'numpy._core.', b'numpy.core.'
    other = tmp_path / 'other.pth'
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(other, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith('data.pkl'):
                here, there = (here, there) if here in data else (there, here)
                assert here in data
                data = data.replace(here, there)
            target.writestr(name, data)
    check_loaded(other)


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('call', [
    Call(os.mkdir, 'opened'), Call(getattr, HistoryBuffer, '__init__'),
    Call(getattr, HistoryBuffer, 'register_statistics'), Call(getattr, np.ndarray, 'tofile')])
def test_a_file_that_would_run_code_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=call), 'evil.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load('evil.pth', weights_only=True)
    assert not Path('opened').exists()
