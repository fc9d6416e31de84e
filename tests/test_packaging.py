"""What pip builds from this repository, and whether it works where there is no repository."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tiny_run import write_images

import cmid_mm

REPOSITORY = Path(__file__).resolve().parents[1]
TOY = 'configs/cmid/cmid_resnet18_toy.py'
RECIPES = sorted(
    str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / 'configs').rglob('*.py')
    if '_base_' not in path.parts)
PRETRAINING = [name for name in RECIPES if name.startswith('configs/cmid/')]
IGNORED = shutil.ignore_patterns('__pycache__', '*.pyc', '.mim')


def run_python(*arguments, folder, path=''):
    """Runs Python in ``folder``, with ``path`` and without this repository on its path."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        timeout=600, env=dict(os.environ, PYTHONPATH=str(path), OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Folder with ``source`` (a copy with an editable build), ``sdist`` and ``wheel``.

    The wheel is built from the source distribution, so that has all that it takes.
    """
    folder = tmp_path_factory.mktemp('built')
    source = folder / 'source'
    for name in ('cmid_mm', 'configs', 'tools', 'requirements'):
        shutil.copytree(REPOSITORY / name, source / name, ignore=IGNORED)
    (source / 'tests').mkdir()
    shutil.copy(REPOSITORY / 'tests' / 'test_packaging.py', source / 'tests')
    (source / 'work_dirs').mkdir()
    (source / 'work_dirs' / 'config.py').write_text('')
    for file in REPOSITORY.iterdir():
        if file.is_file() and not file.name.startswith('.'):
            shutil.copy(file, source)
    code = ('from setuptools import build_meta as build; '
            'build.build_sdist("../sdist"); build.build_editable("../editable")')
    for name in ('sdist', 'editable'):
        (folder / name).mkdir()
    run_python('-c', code, folder=source)
    archive, = (folder / 'sdist').glob('*.tar.gz')
    run_python('-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
               '--disable-pip-version-check', archive, '-w', folder / 'wheel', folder=folder)
    return folder


@pytest.fixture(scope='module')
def wheel(built):
    file, = (built / 'wheel').glob('cmid_mm-*.whl')
    return file


@pytest.fixture(scope='module')
def site(built, wheel):
    """What ``pip install`` puts into site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / 'site')
    return built / 'site'


# ---------------------------------------------------------------- what is built


def test_wheel_has_the_package_and_what_mim_looks_for(wheel):
    modules = {str(path.relative_to(REPOSITORY))
               for path in (REPOSITORY / 'cmid_mm').rglob('*.py')
               if '.mim' not in path.parts}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert modules <= names
    mim = {name.removeprefix('cmid_mm/.mim/') for name in names if '/.mim/' in name}
    assert {'model-index.yml', 'tools/train.py', 'tools/test.py', 'tools/dist_train.sh',
            'tools/model_converters/extract_backbone.py', 'configs/cmid/metafile.yml',
            *RECIPES} <= mim
    # and nothing else
    assert [name for name in mim if not (REPOSITORY / name).is_file()] == []
    assert {name.split('/')[0] for name in names} == {
        'cmid_mm', f'cmid_mm-{cmid_mm.__version__}.dist-info'}
    unwanted = re.compile(r'/test_|tests/|work_dirs|\.pyc$|run_tests|quickstart\.sh')
    assert not [name for name in names if unwanted.search(name)]


def test_sdist_has_what_its_users_need_and_no_tests(built):
    with tarfile.open(next((built / 'sdist').glob('*.tar.gz'))) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {'LICENSE', 'README.md', 'CHANGELOG.md', 'CITATION.cff', 'tools/quickstart.sh',
            'requirements/official/base.txt', 'model-index.yml', TOY} <= names
    assert not [name for name in names if name.startswith(('tests', 'work_dirs'))]


def test_editable_install_links_to_the_clone(built):
    mim = built / 'source' / 'cmid_mm' / '.mim'
    assert sorted(path.name for path in mim.iterdir()) == ['configs', 'model-index.yml', 'tools']
    assert (mim / TOY).samefile(built / 'source' / TOY)
    # a file that comes later is there too
    (built / 'source' / 'configs' / 'later.py').write_text('')
    assert (mim / 'configs' / 'later.py').is_file()


def test_extras_can_be_uploaded(site):
    """A package index refuses requirements that are addresses."""
    metadata = next(site.glob('*.dist-info/METADATA')).read_text()
    required = re.findall(r'^Requires-Dist: (.+)$', metadata, flags=re.M)
    assert required and not [line for line in required if '@' in line]
    extras = set(re.findall(r'^Provides-Extra: (.+)$', metadata, flags=re.M))
    assert {'official', 'onedl', 'opencd', 'mmrotate', 'visualization', 'docs'} <= extras
    pages = (REPOSITORY / 'requirements' / 'docs.txt').read_text().splitlines()
    assert [line.partition(';')[0] for line in required if 'extra == "docs"' in line] == [
        line for line in pages if line[0] not in '#-']


# ---------------------------------------------------------------- model index


def models():
    """Entries of all metafiles."""
    index = yaml.safe_load((REPOSITORY / 'model-index.yml').read_text())
    files = [yaml.safe_load((REPOSITORY / name).read_text()) for name in index['Import']]
    return [model for file in files for model in file['Models']]


def test_index_lists_every_pretraining_once_and_agrees_with_its_name():
    assert sorted(model['Config'] for model in models()) == PRETRAINING
    for model in models():
        name, about = model['Name'], model['Metadata']
        assert name == Path(model['Config']).stem and model['In Collection'] == 'CMID'
        batch = re.search(r'_(\d+)xb(\d+)', name)
        assert not batch or about['Batch Size'] == int(batch[1]) * int(batch[2]), name
        epochs = re.search(r'-(\d+)e_', name)
        assert not epochs or about['Epochs'] == int(epochs[1]), name


def test_index_is_one_that_mim_reads():
    # comes with mmpretrain
    modelindex = pytest.importorskip('modelindex')
    index = modelindex.load(str(REPOSITORY / 'model-index.yml'))
    assert index.check(silent=True) == []
    assert len(index.models.data) == len(PRETRAINING)


def test_names_are_enough_for_mim():
    """``mim train cmid_mm NAME`` looks for the name in all folders."""
    counted = Counter(path.name for path in (REPOSITORY / 'configs').rglob('*.py'))
    assert [name for name in map(os.path.basename, RECIPES) if counted[name] > 1] == []


# ---------------------------------------------------------------- outside of the repository


def test_installed_package_trains(site, tmp_path):
    """The wheel's own tool and config, in an empty folder."""
    write_images(tmp_path / 'images', 8)
    mim = site / 'cmid_mm' / '.mim'
    options = ['train_dataloader.dataset.data_root=images', 'train_cfg.max_epochs=1',
               'train_dataloader.batch_size=8', 'train_dataloader.num_workers=0',
               'param_scheduler.0.warmup=0']
    run_python(mim / 'tools' / 'train.py', mim / TOY, '--cfg-options', *options,
               folder=tmp_path, path=site)
    assert (tmp_path / 'work_dirs' / 'cmid_resnet18_toy' / 'epoch_1.pth').is_file()


# ---------------------------------------------------------------- one version everywhere


def test_citation_and_changelog_name_the_version():
    citation = yaml.safe_load((REPOSITORY / 'CITATION.cff').read_text())
    assert citation['version'] == cmid_mm.__version__
    assert citation['license'] == 'Apache-2.0'
    releases = re.findall(r'^## \[(.+?)\]', (REPOSITORY / 'CHANGELOG.md').read_text(), re.M)
    assert next(name for name in releases if name != 'Unreleased') == cmid_mm.__version__
