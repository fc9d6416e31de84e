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
# every call of pip and of the main jobs.
STUB = '''#!/usr/bin/env bash
note() { printf '%s\\n' "$*" >>"$NOTES/calls"; }
case "$1 ${2:-}" in
    '-V ') echo Python 3.11.0 ;;
    '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" ;;
    '-m pip')
        note "${@:3}"
        case "$*" in
            *"${FAIL_AT:-nothing fails}"*) echo 'ERROR: No matching distribution'; exit 1 ;;
            *' mmcv=='*) touch "$NOTES/compiled" ;;
        esac ;;
    -c*) case "$2" in *load_ext*) [ -f "$NOTES/compiled" ] ;; *socket*) echo 4711 ;; esac ;;
    *) note "$@" ;;
esac
'''


@pytest.fixture
def clone(tmp_path):
    """A copy of the scripts at a path with a space."""
    folder = tmp_path / 'a clone'
    for name in ('tools', 'requirements', '.ci'):
        shutil.copytree(REPOSITORY / name, folder / name)
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
        environment = {'PYTHON': str(stub), 'NOTES': str(tmp_path), **environment}
        return subprocess.run(
            [clone / script, *arguments], cwd=tmp_path, env={**kept, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def calls():
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    run.calls = calls
    return run


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
    assert [line.split()[1] for line in first.stdout.splitlines()
            if line.startswith('[ ')] == [f'{n}/6' for n in range(1, 7)]
    assert 'a quarter of an hour' in first.stdout
    *installs, job = shell.calls()
    assert job == f'tools/quickstart.py {images} --seed a b'
    assert any('torch torchvision' in line for line in installs)
    assert installs[-1].endswith('-r pretrain.txt')
    assert not any(' mmcv==' in line for line in installs)
    second = shell('tools/quickstart.sh')
    assert second.stdout == '' and shell.calls() == ['tools/quickstart.py']
    with (clone / 'requirements' / 'base.txt').open('a') as file:
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
    assert installs[-2].endswith('-r tasks.txt') and installs[-1].endswith('-r tests.txt')
    assert shell('.ci/run').stdout == '' and shell.calls() == ['-m pytest']
    assert shell('tools/quickstart.sh').stdout == ''
    assert shell.calls() == ['tools/quickstart.py']


def test_where_the_environment_lies(shell, clone, tmp_path):
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'), CMID_VENV='own')
    assert (tmp_path / 'own' / 'bin' / 'python').exists()
    shell('tools/quickstart.sh', VIRTUAL_ENV=str(tmp_path / 'active'))
    assert (tmp_path / 'active' / 'bin' / 'python').exists()
    assert not (clone / '.venv').exists()


def test_a_failing_step_shows_why_and_the_cure(shell, clone):
    result = shell('tools/quickstart.sh', FAIL_AT='-r base.txt')
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
