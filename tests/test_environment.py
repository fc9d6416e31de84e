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


# ---------------------------------------------------------------- families


@pytest.mark.parametrize('installed', [
    {'mmengine', 'onedl-mmengine'},
    {'mmcv-lite', 'onedl-mmcv'},
    {'mmengine', 'onedl-mmpretrain'},
    {'mmcv', 'mmcv-lite'},
])
def test_two_owners_of_a_folder_are_refused(installed):
    with pytest.raises(UnsupportedEnvironment) as error:
        environment.check_families(installed)
    message = str(error.value)
    assert all(name in message for name in installed)
    assert 'pip uninstall -y' in message and '\n' not in message


def test_one_family_passes():
    for column in range(2):
        environment.check_families(
            {families[column][0] for families in environment.DISTRIBUTIONS.values()})
    environment.check_families({'mmengine', 'mmcv-lite', 'mmpretrain'})


@pytest.mark.parametrize('name, file, content, message', [
    ('other-1.0.dist-info', 'METADATA',
     'Metadata-Version: 2.1\nName: {other}\nVersion: 0.10.9\n', '{other}'),
    ('mmpretrain', 'version.py', "__version__ = '2.0.0'\n", 'mmpretrain 2.0.0 is installed'),
    ('mmdet', 'version.py', "__version__ = '2.28.2'\n", 'mmdet 2.28.2 is installed'),
])
def test_import_refuses_a_package_without_importing_it(tmp_path, name, file, content, message):
    """A second family, an unsupported version, an mmdet that refuses this mmcv."""
    present = environment.installed_distributions()
    other = 'mmengine' if 'onedl-mmengine' in present else 'onedl-mmengine'
    folder = tmp_path / name.replace('other', other.replace('-', '_'))
    folder.mkdir()
    (folder / '__init__.py').write_text('raise SystemError("was imported")\n')
    (folder / file).write_text(content.format(other=other))
    result = subprocess.run(
        [sys.executable, '-c', 'import cmid_mm'], capture_output=True, text=True, timeout=120,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(REPOSITORY)])))
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1 and 'UnsupportedEnvironment' in last
    assert message.format(other=other) in last and 'was imported' not in result.stderr


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize('name, version', [
    ('torch', '2.5.1'),
    ('torch', '3.0.0'),
    ('mmengine', '0.9.1'),
    ('mmengine', '0.11.0'),
    ('mmcv', '2.0.1'),
    ('mmcv', '2.4.0'),
    ('mmpretrain', '1.1.1'),
    ('mmpretrain', '1.2.0rc1'),
    ('mmpretrain', '2.0.0'),
])
def test_an_unsupported_version_is_named_with_the_fix(name, version):
    for versions in (OFFICIAL, ONEDL):
        environment.check_versions(versions)
        with pytest.raises(UnsupportedEnvironment) as error:
            environment.check_versions({**versions, name: version})
        lowest, beyond = next(row[1:] for row in environment.SUPPORTED if row[0] == name)
        message = str(error.value)
        assert f'{name} {version} is installed' in message
        assert f'`pip install "{name}>={lowest},<{beyond}"`' in message
        assert '\n' not in message


@pytest.mark.parametrize('versions, installed, message', [
    # a missing package comes first
    ({'torch': '1.0', 'mmcv': None}, set(), 'no mmcv is installed'),
    ({'mmcv': '1.7.0'}, {'mmcv-lite', 'mmengine'}, 'install "mmcv-lite>='),
    ({'mmcv': '1.7.0'}, {'onedl-mmengine'}, 'install "onedl-mmcv>='),
])
def test_the_fix_stays_in_the_family(versions, installed, message):
    with pytest.raises(UnsupportedEnvironment, match=message):
        environment.check_versions({**OFFICIAL, **versions}, installed)


@pytest.mark.parametrize('mmdet, mmcv, wanted, fix', [
    ('3.3.0', '2.2.0', '2.2', 'mmcv==2.1.0'),
    ('3.2.0', '2.3.6', '2.2', 'mmcv==2.1.0'),
    ('2.28.2', '2.1.0', '2.0', 'mmdet==3.2.0'),
])
def test_an_mmdet_that_would_end_the_import_is_named(mmdet, mmcv, wanted, fix):
    for good in (None, '2.2.0'), ('3.2.0', '2.1.0'), ('3.3.0', '2.1.0'), ('3.5.1', '2.3.6'):
        environment.check_mmdet(*good)
    with pytest.raises(UnsupportedEnvironment) as error:
        environment.check_mmdet(mmdet, mmcv)
    message = str(error.value)
    assert f'mmdet {mmdet} is installed, which needs mmcv before {wanted}' in message
    assert f'mmcv {mmcv}, ' in message and fix in message and '\n' not in message


def test_a_data_folder_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'just_a_folder').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert environment.module_version('just_a_folder') is None
    assert environment.module_version('no_such_module_at_all') is None
    assert environment.module_version('torch') == torch.__version__


# ---------------------------------------------------------------- requirement files


def requirements(file):
    """Requirements of a file under requirements/ and of those it includes, by name."""
    path = REPOSITORY / 'requirements' / file
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith('-r '):
            included = path.parent / line[3:]
            found.update(requirements(included.resolve().relative_to(
                REPOSITORY / 'requirements')))
        elif line and not line.startswith('#'):
            found[Requirement(line).name] = Requirement(line)
    return found


def pinned(requirement):
    """The version of a requirement by ``==``; None for any other."""
    specifiers = [s for s in requirement.specifier if s.operator == '==']
    return specifiers[0].version if specifiers else None


@pytest.fixture
def packaging_of_setup(monkeypatch):
    """What setup.py gives to setuptools."""
    given = {}
    monkeypatch.setattr('setuptools.setup', given.update)
    runpy.run_path(str(REPOSITORY / 'setup.py'))
    return given


@pytest.mark.parametrize('file, extra', [
    ('official/pretrain.txt', 'official'),
    ('official/tasks.txt', 'official-tasks'),
    ('onedl/pretrain.txt', 'onedl'),
    ('onedl/tasks.txt', 'onedl-tasks'),
])
def test_extras_admit_what_the_requirement_files_pin(packaging_of_setup, file, extra):
    common = requirements('common.txt')
    pins = {name: r for name, r in requirements(file).items() if name not in common}
    ranges = {r.name: r for r in map(Requirement, packaging_of_setup['extras_require'][extra])}
    assert set(ranges) == set(pins)
    for name, requirement in pins.items():
        version = pinned(requirement)
        assert version is None or ranges[name].specifier.contains(version), name
        assert version is not None or not ranges[name].specifier, name


def test_packaging_requires_what_is_common(packaging_of_setup):
    common = requirements('common.txt')
    required = [Requirement(line) for line in packaging_of_setup['install_requires']]
    assert {'torch', 'torchvision', 'safetensors'} <= {r.name for r in required}
    for requirement in required:
        assert requirement.name in common
        version = pinned(common[requirement.name])
        assert version is None or requirement.specifier.contains(version)
    tests = [str(r) for r in requirements('tests.txt').values()]
    assert packaging_of_setup['extras_require']['tests'] == tests


@pytest.mark.parametrize('column, family, tried', [
    (0, 'official', OFFICIAL), (1, 'onedl', ONEDL)], ids=['official', 'onedl'])
@pytest.mark.parametrize('name', ['pretrain', 'tasks'])
def test_pins_are_of_one_family_and_those_that_were_tried(column, family, tried, name):
    pins = {key: pinned(r) for key, r in requirements(f'{family}/{name}.txt').items()}
    assert tried['torch'].startswith(pins['torch'])
    owners = {module: [n for n in families[column] if n in pins]
              for module, families in environment.DISTRIBUTIONS.items()}
    for module in ('mmengine', 'mmcv', 'mmpretrain'):
        assert [pins[n] for n in owners[module]] == [tried[module]]
    assert all(len(names) <= 1 for names in owners.values())
    others = {n for families in environment.DISTRIBUTIONS.values()
              for n in families[1 - column]}
    assert not others & set(pins)


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
    Call(os.mkdir, 'opened'),
    Call(getattr, HistoryBuffer, '__init__'),
    Call(getattr, HistoryBuffer, 'register_statistics'),
    Call(getattr, np.ndarray, 'tofile'),
], ids=['call', 'constructor', 'class method', 'array'])
def test_a_file_that_would_run_code_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=call), 'evil.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load('evil.pth', weights_only=True)
    assert not Path('opened').exists()


def test_prepare_is_done_once():
    assert environment.prepare() is environment.prepare() is None
    assert environment.prepare.cache_info().currsize == 1
