"""The shell scripts of tools/, with a substitute for Python where it would install."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / 'tools'
SCRIPTS = sorted(path.name for path in TOOLS.glob('*.sh') if os.access(path, os.X_OK))

# Substitute for Python: makes an "environment" that holds a copy of itself, and records every
# call of pip and of the main jobs. The real Python, which finds the distributions in
# $NOTES/installed only, checks which family is installed.
STUB = '''#!/usr/bin/env bash
note() { printf '%s\\n' "$*" >>"$NOTES/calls"; }
case "$*" in
    *"${FAIL_AT:-nothing fails}"*)
        [ "$1" = -c ] || echo 'ERROR: No matching distribution'
        exit 1 ;;
    *"${SLOW_AT:-nothing is slow}"*) echo '[3/77] c++ nms.cpp'; sleep 3 ;;
esac
case "$1 ${2:-}" in
    '-V ') echo Python 3.11.0 ;;
    '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" ;;
    '-m pip')
        case "$*" in
            *--version*) [ -f "$(dirname "$0")/../pyvenv.cfg" ]; exit ;;
            *' uninstall '*) rm -f "$NOTES/compiled" ;;
            *' --no-build-isolation '*mmcv==*) touch "$NOTES/compiled" ;;
        esac
        note "${@:3}" ;;
    -c*)
        case "$2" in
            *load_ext*) [ -f "$NOTES/compiled" ] ;;
            *socket*) echo 4711 ;;
            *installed_distributions*) PYTHONPATH="$NOTES/installed" "$REAL" -S "$@" ;;
        esac ;;
    *torch.distributed.run*) note "OMP_NUM_THREADS=$OMP_NUM_THREADS $*" ;;
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
    """Function that runs a script of the clone; ``.calls()`` are the substitute's records."""
    stub = tmp_path / 'stub python'
    stub.write_text(STUB)
    stub.chmod(0o755)
    notes = tmp_path / 'calls'
    (tmp_path / 'c.py').touch()
    (tmp_path / 'my images').mkdir()
    (tmp_path / 'my images' / 'a.jpg').touch()

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
    assert result.returncode == 0, result.stderr
    return [line[2] for line in result.stdout.splitlines() if line.endswith(' ...')]


@pytest.mark.parametrize('script', SCRIPTS)
def test_help(shell, script):
    result = shell(f'tools/{script}', '-h')
    assert result.returncode == 0
    assert f'tools/{script} ' in result.stdout and 'Environment:' in result.stdout
    assert shell.calls() == []


# ---------------------------------------------------------------- installing


def test_quickstart_installs_once(shell, clone, tmp_path):
    first = shell('tools/quickstart.sh', 'my images', '--task', 'pretrain', '--seed', 'a b')
    assert steps(first) == list('1235')
    *installs, job = shell.calls()
    assert job == f'tools/quickstart.py {tmp_path}/my images --seed a b --task pretrain'
    assert installs[0].endswith('-r build.txt -r official/base.txt')
    assert installs[-1].endswith('-r official/pretrain.txt')
    assert not any('--no-build-isolation' in line for line in installs)
    second = shell('tools/quickstart.sh')
    assert second.stdout == '' and shell.calls() == ['tools/quickstart.py']
    with (clone / 'requirements' / 'official' / 'base.txt').open('a') as file:
        file.write('another\n')
    assert steps(shell('tools/quickstart.sh')) == list('235')
    assert len(shell.calls()) > 2


@pytest.mark.parametrize('family, mmcv, modules', [
    ('official', 'mmcv==2.1.0', 'mmseg.models, mmdet.models'),
    ('onedl', 'onedl-mmcv==2.3.6', 'mmseg.models, mmdet.models, mmrotate.models')])
def test_the_tests_replace_the_light_mmcv(shell, clone, family, mmcv, modules):
    options = ['--family', family]
    assert steps(shell('tools/quickstart.sh', *options)) == list('1235')
    *_, built, light, job = shell.calls()
    assert light.endswith(f'-r {family}/pretrain.txt') and job == 'tools/quickstart.py'
    # in isolation, and where a build with operators will not look for it
    assert built.endswith(f'--no-cache-dir --no-deps {mmcv}') == (family == 'onedl')
    result = shell('tools/run_tests.sh', '-k', 'some name', f'--family={family}', '-x')
    assert steps(result) == list('2345') and modules in result.stdout
    *_, removed, compiled, rest, job = shell.calls()
    assert removed == 'uninstall -y mmcv mmcv-lite onedl-mmcv'
    assert compiled.endswith(f'-v --no-build-isolation {mmcv}')
    assert rest.endswith(f'-r {family}/tasks.txt -r tests.txt')
    tests = f'-m pytest -n {min(os.cpu_count(), 4)} --dist loadfile'
    assert job == f'{tests} -k some name -x'
    for script in ('run_tests.sh', 'quickstart.sh'):
        assert shell(f'tools/{script}', *options).stdout == ''
    assert shell.calls() == [tests, 'tools/quickstart.py']
    if family == 'official':
        assert shell('.ci/run').stdout == ''
    folders = {'official': '.venv', 'onedl': '.venv-onedl'}
    assert [path.name for path in clone.glob('.venv*')] == [folders[family]]


def test_tasks_need_their_packages(shell, tmp_path):
    result = shell('tools/quickstart.sh', '--task=all', 'my images', '--seed', '1')
    assert steps(result) == list('12345') and 'mmdet==3.2.0' in result.stdout
    *installs, job = shell.calls()
    assert job == f'tools/quickstart.py {tmp_path}/my images --seed 1 --task all'
    assert any(line.endswith('--no-build-isolation mmcv==2.1.0') for line in installs)
    assert installs[-1].endswith('-r official/tasks.txt')
    assert shell('tools/quickstart.sh', '--task', 'segmentation').stdout == ''
    assert shell.calls() == ['tools/quickstart.py --task segmentation']
    assert steps(shell('tools/run_tests.sh')) == list('245')
    assert not any('mmcv==' in line for line in shell.calls())


def test_tasks_of_the_script_are_those_of_the_quickstart(shell):
    from _quickstart_tasks import TASKS
    line = shell('tools/quickstart.sh', '--task', 'no such').stderr
    for name in ('pretrain', *TASKS, 'all'):
        assert shell('tools/quickstart.sh', '--task', name).returncode == 0
        assert name in line


@pytest.mark.parametrize('family, other, distribution', [
    ('official', 'onedl', 'onedl-mmengine'), ('onedl', 'official', 'mmcv-lite')])
def test_an_environment_of_the_other_family_is_refused(
        shell, tmp_path, family, other, distribution):
    shell('tools/quickstart.sh', '--family', other, CMID_VENV='environment')
    shell.calls()
    info = tmp_path / 'installed' / f'{distribution.replace("-", "_")}-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n')
    result = shell('tools/run_tests.sh', '--family', family, CMID_VENV='environment')
    assert result.returncode == 2 and result.stdout == '' and shell.calls() == []
    (line,) = result.stderr.splitlines()
    assert f'holds the {other} family' in line and 'set CMID_VENV to another folder' in line
    # its own family may complete it
    assert steps(shell('tools/run_tests.sh', '--family', other, CMID_VENV='environment'))


def test_where_the_environment_is(shell, clone, tmp_path):
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'), CMID_VENV='own')
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'))
    for name in ('own', 'active'):
        assert (tmp_path / name / 'bin' / 'python').exists()
    assert not (clone / '.venv').exists()


@pytest.mark.parametrize('step, command', [
    ('1/5', '-m venv'), ('2/5', '-r official/base.txt'), ('3/5', '-r official/pretrain.txt')])
def test_a_failed_step_is_explained_and_can_be_tried_again(shell, clone, step, command):
    result = shell('tools/quickstart.sh', FAIL_AT=command)
    assert result.returncode == 2
    *log, last = result.stderr.splitlines()
    assert 'ERROR: No matching distribution' in log
    assert f'step {step} failed' in last and 'run the same command again' in last
    assert 'quickstart.py' not in ' '.join(shell.calls())
    again = shell('tools/quickstart.sh')
    assert steps(again) == list('1235' if step == '1/5' else '235')


def test_an_unfinished_environment_is_completed(shell, clone):
    """As after a call that was killed while pip was being installed."""
    shell('tools/quickstart.sh')
    (clone / '.venv' / 'cmid-sets').unlink()
    assert steps(shell('tools/quickstart.sh', FAIL_AT='--version')) == list('1235')


def test_a_long_step_shows_its_progress(shell):
    result = shell('tools/quickstart.sh', SLOW_AT='-r official/base.txt', CMID_HEARTBEAT='1')
    running = [line for line in result.stdout.splitlines() if 'running' in line]
    assert running and all(line.startswith('[ 2/5  00:00:0') for line in running)
    assert running[-1].endswith('running, file 3/77')


@pytest.mark.parametrize('script, arguments, environment, message', [
    ('quickstart.sh', ['gone'], {}, 'no such folder of images: gone'),
    ('quickstart.sh', ['empty'], {}, 'the folder is empty: empty'),
    ('quickstart.sh', [], {'PYTHON': 'false'}, 'false: no Python 3.10'),
    ('quickstart.sh', [], {'CMID_VENV': 'my images'}, 'images is not a virtual environment'),
    ('quickstart.sh', ['--task', 'sorting'], {}, "no such task: 'sorting'"),
    ('quickstart.sh', ['--task'], {}, '--task needs a value'),
    ('quickstart.sh', ['--task', 'all'], {'CXX': 'no-such-compiler'}, 'no C++ compiler'),
    ('quickstart.sh', ['--family', 'open'], {}, 'the families are official and onedl'),
    ('run_tests.sh', ['--family=open'], {}, "no such family: 'open'"),
    ('run_tests.sh', ['--family'], {}, '--family needs a value'),
    ('run_tests.sh', [], {'CMID_DATA': 'gone'}, 'CMID_DATA is not a folder: gone'),
    ('run_tests.sh', [], {'FAIL_AT': 'Python.h'}, 'lacks its C headers'),
    ('dist_train.sh', ['c.py'], {}, 'expected CONFIG GPUS'),
    ('dist_train.sh', ['gone.py', '2'], {}, 'no such config: gone.py'),
    ('dist_train.sh', ['c.py', 'two'], {}, "positive number, not 'two'"),
    ('dist_test.sh', ['c.py', 'x.pth', '0'], {}, "positive number, not '0'"),
    ('slurm_train.sh', ['part', 'job', 'gone.py', 'out'], {}, 'no such config: gone.py'),
    ('slurm_test.sh', ['part', 'job', 'c.py', 'x.pth'], {'PATH': '/usr/bin:/bin'}, 'srun was'),
])
def test_wrong_input_is_one_line(shell, tmp_path, script, arguments, environment, message):
    (tmp_path / 'empty').mkdir()
    result = shell(f'tools/{script}', *arguments, **environment)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f'{script}: error: ') and message in line
    assert result.stdout == '' and shell.calls() == []


# ---------------------------------------------------------------- launching


def test_launchers_find_the_environment_of_either_family(shell, tmp_path):
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


def test_processes_of_dist_scripts(shell, clone):
    cores = len(os.sched_getaffinity(0))
    shell('tools/dist_train.sh', 'c.py', '3', '--cfg-options', 'a=b c')
    assert shell.calls() == [
        f'OMP_NUM_THREADS={max(1, cores // 3)} -m torch.distributed.run --nnodes=1 '
        f'--node-rank=0 --master-addr=127.0.0.1 --master-port=4711 --nproc-per-node=3 '
        f'{clone}/tools/train.py c.py --cfg-options a=b c --launcher pytorch']
    shell('tools/dist_test.sh', 'c.py', 'x.pth', '8', '--amp', OMP_NUM_THREADS='7',
          NNODES='2', NODE_RANK='1', MASTER_ADDR='node0')
    assert shell.calls() == [
        f'OMP_NUM_THREADS=7 -m torch.distributed.run --nnodes=2 --node-rank=1 '
        f'--master-addr=node0 --master-port=29500 --nproc-per-node=8 '
        f'{clone}/tools/test.py c.py x.pth --amp --launcher pytorch']
    shell('tools/dist_train.sh', 'c.py', '1', PORT='29777')
    assert '--master-port=29777' in shell.calls()[0]


def test_slurm_scripts(shell, clone, tmp_path):
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
