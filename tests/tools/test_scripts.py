"""The shell scripts of tools/, with a stand-in for Python where it would install."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / 'tools'

# Stands in for Python: makes an "environment" that holds a copy of itself, and notes
# every call of pip and of the main jobs. Which family is there is asked of the real Python,
# which sees the distributions in $NOTES/installed only.
STUB = '''#!/usr/bin/env bash
note() { printf '%s\\n' "$*" >>"$NOTES/calls"; }
case "$1 ${2:-}" in
    '-V ') echo Python 3.11.0 ;;
    '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" ;;
    '-m pip')
        note "${@:3}"
        case "$*" in
            *"${FAIL_AT:-nothing fails}"*) echo 'ERROR: No matching distribution'; exit 1 ;;
            *' uninstall '*) rm -f "$NOTES/compiled" ;;
            *' --no-build-isolation '*mmcv==*) touch "$NOTES/compiled" ;;
        esac ;;
    -c*)
        case "$2" in
            *load_ext*) [ -f "$NOTES/compiled" ] ;;
            *socket*) echo 4711 ;;
            *installed_distributions*) PYTHONPATH="$NOTES/installed" "$REAL" -S "$@" ;;
        esac ;;
    *) note "$@" ;;
esac
'''


@pytest.fixture
def clone(tmp_path):
    """A copy of the scripts at a path with a space."""
    folder = tmp_path / 'a clone'
    for name in ('tools', 'requirements', '.ci'):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / 'cmid_mm').mkdir()
    shutil.copy(REPOSITORY / 'cmid_mm' / 'environment.py', folder / 'cmid_mm')
    return folder


@pytest.fixture
def shell(clone, tmp_path):
    """Function that runs a script of the clone; ``.calls()`` are the stand-in's notes."""
    stub = tmp_path / 'stub python'
    stub.write_text(STUB)
    stub.chmod(0o755)
    notes = tmp_path / 'calls'

    def run(script, *arguments, **environment):
        kept = {key: value for key, value in os.environ.items()
                if key not in ('VIRTUAL_ENV', 'CMID_VENV', 'OMP_NUM_THREADS', 'PORT')}
        environment = {'PYTHON': str(stub), 'NOTES': str(tmp_path), 'REAL': sys.executable,
                       **environment}
        return subprocess.run(
            [clone / script, *arguments], cwd=tmp_path, env={**kept, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def calls():
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    run.calls = calls
    return run


def steps(result):
    """Numbers of the installation steps that a script announced."""
    return [line.split()[1] for line in result.stdout.splitlines() if line.startswith('[ ')]


@pytest.mark.parametrize('script', sorted(
    path.name for path in TOOLS.glob('*.sh') if path.name != 'environment.sh'))
def test_help(shell, script):
    result = shell(f'tools/{script}', '-h')
    assert result.returncode == 0
    assert f'tools/{script} ' in result.stdout and 'Environment:' in result.stdout
    assert shell.calls() == []


def test_quickstart_installs_once(shell, clone, tmp_path):
    images = tmp_path / 'my images'
    images.mkdir()
    (images / 'a.jpg').touch()
    first = shell('tools/quickstart.sh', 'my images', '--seed', 'a b')
    assert first.returncode == 0, first.stderr
    assert steps(first) == [f'{n}/6' for n in range(1, 7)]
    assert 'a quarter of an hour' in first.stdout
    *installs, job = shell.calls()
    assert job == f'tools/quickstart.py {images} --seed a b'
    assert any('torch torchvision' in line for line in installs)
    assert installs[-1].endswith('-r official/pretrain.txt')
    assert not any(' mmcv==' in line for line in installs)
    second = shell('tools/quickstart.sh')
    assert second.stdout == '' and shell.calls() == ['tools/quickstart.py']
    with (clone / 'requirements' / 'official' / 'base.txt').open('a') as file:
        file.write('another\n')
    third = shell('tools/quickstart.sh')
    assert 'using the environment' in third.stdout and len(shell.calls()) > 2


def test_tests_replace_mmcv_lite_by_mmcv(shell):
    shell('tools/quickstart.sh')
    shell.calls()
    result = shell('tools/run_tests.sh', '-k', 'some name')
    assert result.returncode == 0, result.stderr
    *installs, job = shell.calls()
    assert job == '-m pytest -k some name'
    removed = installs.index('uninstall -y mmcv mmcv-lite')
    compiled = next(i for i, line in enumerate(installs) if ' mmcv==' in line)
    assert removed < compiled and '--no-build-isolation' in installs[compiled]
    assert installs[-2].endswith('-r official/tasks.txt') and installs[-1].endswith('-r tests.txt')
    assert shell('.ci/run').stdout == '' and shell.calls() == ['-m pytest']
    assert shell('tools/quickstart.sh').stdout == ''
    assert shell.calls() == ['tools/quickstart.py']


@pytest.mark.parametrize('option', [['--task', 'all'], ['--task=detection']])
def test_tasks_need_their_packages(shell, option):
    result = shell('tools/quickstart.sh', *option, '--seed', '1')
    assert result.returncode == 0, result.stderr
    assert steps(result) == [f'{n}/7' for n in range(1, 8)]
    assert 'installing mmsegmentation 1.2.2, mmdet 3.2.0 ...' in result.stdout
    *installs, job = shell.calls()
    assert job == f'tools/quickstart.py --seed 1 --task {option[-1].split("=")[-1]}'
    assert any(line.endswith('--no-build-isolation mmcv==2.1.0') for line in installs)
    assert installs[-1].endswith('-r official/tasks.txt')
    for ready in (['--task', 'pretrain'], ['--task', 'segmentation'], []):
        assert shell('tools/quickstart.sh', *ready).stdout == ''
        assert shell.calls() == [' '.join(['tools/quickstart.py', *ready])]
    tests = shell('tools/run_tests.sh')
    assert 'mmcv 2.1.0 is there already' in tests.stdout
    *installs, _ = shell.calls()
    assert installs[-1].endswith('-r tests.txt')
    assert not any('mmcv==' in line for line in installs)


def test_pretraining_asked_for_by_name_compiles_nothing(shell):
    result = shell('tools/quickstart.sh', '--task', 'pretrain')
    assert steps(result)[-1] == '6/6'
    assert not any('--no-build-isolation' in line for line in shell.calls())


def test_tasks_of_the_script_are_those_of_the_quickstart(shell):
    from _quickstart_tasks import TASKS
    line = shell('tools/quickstart.sh', '--task', 'no such').stderr
    for name in ('pretrain', *TASKS, 'all'):
        assert shell('tools/quickstart.sh', '--task', name).returncode == 0
        assert name in line


def test_options_before_the_folder(shell, tmp_path):
    (tmp_path / 'my images').mkdir()
    (tmp_path / 'my images' / 'a.jpg').touch()
    shell('tools/quickstart.sh', '--task', 'all', '--family=official', 'my images', '--bands',
          '3')
    assert shell.calls()[-1] == (
        f'tools/quickstart.py {tmp_path}/my images --bands 3 --task all')


# ---------------------------------------------------------------- families


def test_pretraining_in_the_onedl_family(shell, clone):
    result = shell('tools/quickstart.sh', '--family', 'onedl')
    assert result.returncode == 0, result.stderr
    assert steps(result) == [f'{n}/6' for n in range(1, 7)]
    assert 'There is no onedl-mmcv-lite' in result.stdout
    assert 'installing onedl-mmcv 2.3.6, without operators ...' in result.stdout
    *installs, job = shell.calls()
    assert job == 'tools/quickstart.py'
    removed, built, rest = installs[-3:]
    assert removed == 'uninstall -y onedl-mmcv'
    # in isolation, and where a build with operators will not look for it
    assert built.endswith('--no-cache-dir --no-deps onedl-mmcv==2.3.6')
    assert '--no-build-isolation' not in built
    assert rest.endswith('-r onedl/pretrain.txt')
    assert not any('official' in line for line in installs)
    assert (clone / '.venv-onedl').is_dir() and not (clone / '.venv').exists()
    assert shell('tools/quickstart.sh', '--family=onedl').stdout == ''


def test_tests_in_the_onedl_family(shell, clone):
    shell('tools/quickstart.sh', '--family', 'onedl')
    shell.calls()
    result = shell('tools/run_tests.sh', 'tests/engine', '--family', 'onedl', '-x')
    assert result.returncode == 0, result.stderr
    assert steps(result) == [f'{n}/8' for n in range(1, 9)]
    assert ('installing onedl-mmsegmentation 1.4.2, onedl-mmdetection 3.5.1, '
            'onedl-mmrotate 1.2.1 ...') in result.stdout
    *installs, job = shell.calls()
    assert job == '-m pytest tests/engine -x'
    removed, compiled, tasks, tests = installs[-4:]
    assert removed == 'uninstall -y onedl-mmcv'
    assert compiled.endswith('-v --no-build-isolation onedl-mmcv==2.3.6')
    assert tasks.endswith('-r onedl/tasks.txt') and tests.endswith('-r tests.txt')
    assert shell('tools/run_tests.sh', '--family', 'onedl').stdout == ''
    assert not (clone / '.venv').exists()


@pytest.mark.parametrize('asked, there, distribution', [
    ('official', 'onedl', 'onedl-mmengine'),
    ('onedl', 'official', 'mmcv-lite'),
])
@pytest.mark.parametrize('script', ['quickstart.sh', 'run_tests.sh'])
def test_an_environment_of_the_other_family_is_refused(
        shell, tmp_path, script, asked, there, distribution):
    shell('tools/quickstart.sh', '--family', there, CMID_VENV='environment')
    shell.calls()
    info = tmp_path / 'installed' / f'{distribution.replace("-", "_")}-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n')
    result = shell(f'tools/{script}', '--family', asked, CMID_VENV='environment')
    assert result.returncode == 2 and result.stdout == ''
    (line,) = result.stderr.splitlines()
    assert f'holds the {there} family' in line and 'set CMID_VENV to another folder' in line
    assert shell.calls() == []
    # its own family may complete it
    result = shell('tools/run_tests.sh', '--family', there, CMID_VENV='environment')
    assert result.returncode == 0, result.stderr


def test_launchers_find_the_environment_of_either_family(shell, clone, tmp_path):
    (tmp_path / 'c.py').touch()
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nexit 1\n')
    python.chmod(0o755)
    settings = dict(PYTHON='', PATH=f'{python.parent}:/usr/bin:/bin')
    result = shell('tools/dist_train.sh', 'c.py', '2', **settings)
    assert 'no Python with mmengine was found' in result.stderr
    shell('tools/quickstart.sh', '--family', 'onedl')
    shell.calls()
    result = shell('tools/dist_train.sh', 'c.py', '2', **settings)
    assert result.returncode == 0, result.stderr
    assert 'torch.distributed.run' in shell.calls()[0]


# ---------------------------------------------------------------- where, and what goes wrong


def test_where_the_environment_lies(shell, clone, tmp_path):
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'), CMID_VENV='own')
    assert (tmp_path / 'own' / 'bin' / 'python').exists()
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'))
    assert (tmp_path / 'active' / 'bin' / 'python').exists()
    assert not (clone / '.venv').exists()


def test_a_failing_step_shows_why_and_the_cure(shell, clone):
    result = shell('tools/quickstart.sh', FAIL_AT='-r official/base.txt')
    assert result.returncode == 2
    *log, last = result.stderr.splitlines()
    assert 'ERROR: No matching distribution' in log
    assert 'step 4 of 6 failed' in last and 'Cure: ' in last
    assert 'quickstart.py' not in ' '.join(shell.calls())
    again = shell('tools/quickstart.sh')
    assert again.returncode == 0 and 'using the environment' in again.stdout


@pytest.mark.parametrize('script, arguments, environment, message', [
    ('quickstart.sh', ['gone'], {}, 'no such folder of images: gone'),
    ('quickstart.sh', ['empty'], {}, 'the folder is empty: empty'),
    ('quickstart.sh', [], {'PYTHON': 'false'}, 'PYTHON=false is not a Python'),
    ('quickstart.sh', [], {'CMID_VENV': 'full'}, 'full is not a virtual environment'),
    ('quickstart.sh', ['--task', 'sorting'], {}, "no such task: 'sorting'"),
    ('quickstart.sh', ['--task'], {}, '--task needs a value'),
    ('quickstart.sh', ['--task', 'all'], {'CXX': 'no-such-compiler'}, 'no C++ compiler'),
    ('quickstart.sh', ['--family', 'open'], {}, 'the families are official and onedl'),
    ('run_tests.sh', ['--family=open'], {}, "no such family: 'open'"),
    ('run_tests.sh', ['--family'], {}, '--family needs a value'),
    ('run_tests.sh', [], {'CMID_DATA': 'gone'}, 'CMID_DATA is not a folder: gone'),
    ('run_tests.sh', [], {'CXX': 'no-such-compiler'}, 'there is no C++ compiler'),
    ('dist_train.sh', ['c.py'], {}, 'expected CONFIG GPUS'),
    ('dist_train.sh', ['gone.py', '2'], {}, 'no such config: gone.py'),
    ('dist_train.sh', ['c.py', 'two'], {}, "positive number, not 'two'"),
    ('dist_test.sh', ['c.py', 'x.pth', '0'], {}, "positive number, not '0'"),
    ('slurm_train.sh', ['part', 'job', 'gone.py', 'out'], {}, 'no such config: gone.py'),
])
def test_wrong_input_is_one_line(shell, tmp_path, script, arguments, environment, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'thesis.tex').touch()
    (tmp_path / 'c.py').touch()
    result = shell(f'tools/{script}', *arguments, **environment)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f'{script}: error: ') and message in line
    assert result.stdout == '' and shell.calls() == []


def test_processes_of_dist_scripts(shell, clone, tmp_path):
    (tmp_path / 'c.py').touch()
    shell('tools/dist_train.sh', 'c.py', '3', '--cfg-options', 'a=b c')
    assert shell.calls() == [
        f'-m torch.distributed.run --nnodes=1 --node-rank=0 --master-addr=127.0.0.1 '
        f'--master-port=4711 --nproc-per-node=3 {clone}/tools/train.py c.py '
        f'--cfg-options a=b c --launcher pytorch']
    shell('tools/dist_test.sh', 'c.py', 'x.pth', '8', '--amp',
          NNODES='2', NODE_RANK='1', MASTER_ADDR='node0')
    assert shell.calls() == [
        f'-m torch.distributed.run --nnodes=2 --node-rank=1 --master-addr=node0 '
        f'--master-port=29500 --nproc-per-node=8 {clone}/tools/test.py c.py x.pth '
        f'--amp --launcher pytorch']
    shell('tools/dist_train.sh', 'c.py', '1', PORT='29777')
    assert '--master-port=29777' in shell.calls()[0]


def test_slurm_scripts(shell, clone, tmp_path):
    (tmp_path / 'c.py').touch()
    srun = tmp_path / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text('#!/bin/sh\necho "$*"\n')
    srun.chmod(0o755)
    path = f'{srun.parent}{os.pathsep}{os.environ["PATH"]}'
    settings = dict(PATH=path, GPUS='4', CPUS_PER_TASK='6', SRUN_ARGS='--time 1:00 -x n1')
    common = ('--ntasks=4 --ntasks-per-node=4 --cpus-per-task=6 --kill-on-bad-exit=1 '
              f'--time 1:00 -x n1 {tmp_path}/stub python -u {clone}/tools')
    result = shell('tools/slurm_train.sh', 'part', 'job', 'c.py', 'out dir', '--amp',
                   **settings)
    assert result.stdout == (f'-p part --job-name=job --gres=gpu:4 {common}/train.py c.py '
                             f'--work-dir out dir --amp --launcher slurm\n')
    result = shell('tools/slurm_test.sh', 'part', 'job', 'c.py', 'x.pth', '--tta',
                   **settings, GPUS_PER_NODE='2')
    assert '--gres=gpu:2' in result.stdout and '--ntasks-per-node=2' in result.stdout
    assert result.stdout.endswith('/test.py c.py x.pth --tta --launcher slurm\n')


def test_two_processes_on_the_cpu(tmp_path):
    """A real run: gloo without a GPU, further arguments, cores shared out."""
    here = Path(__file__).parent
    environment = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(here),
                   'CUDA_VISIBLE_DEVICES': '', 'NOTES': str(tmp_path)}
    environment.pop('OMP_NUM_THREADS', None)
    environment.pop('LOCAL_RANK', None)
    result = subprocess.run(
        [TOOLS / 'dist_train.sh', here / 'toy_config.py', '2', '--work-dir', 'out dir',
         '--cfg-options', 'train_cfg.max_epochs=1'],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count('2 processes on the CPU, backend gloo') == 1
    assert 'Epoch(train) [1][2/2]' in result.stdout + result.stderr
    assert (tmp_path / 'out dir' / 'epoch_1.pth').is_file()
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    for rank in range(2):
        assert Path(tmp_path, f'rank{rank}').read_text() == threads
