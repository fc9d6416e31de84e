"""The tool as its users start it, and what it refuses."""
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny_run import CONFIGS, tiny_config

from cmid_mm.benchmark.measure import check_config, measure
from cmid_mm.benchmark.start import measure_start
from cmid_mm.benchmark.variants import Variant

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark.py'
STEP = {'images_per_second', 'seconds', 'losses', 'precision', 'flops_per_image',
        'flops_per_second', 'matrix_rate', 'utilisation', 'peak_bytes', 'peak_meaning',
        'state_bytes', 'breakdown', 'waiting', 'waits_by_cuda'}
LOADER = {'per_core', 'workers', 'with_workers', 'bytes_per_sample'}
TRAIN = {'images_per_second', 'seconds', 'waiting_share', 'waiting_seconds'}


def call(*arguments, cwd):
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    return subprocess.run([sys.executable, str(TOOL), *arguments], cwd=cwd, text=True,
                          env=environment, capture_output=True, timeout=300)


def test_two_steps_give_all_numbers_and_a_picture(tmp_path):
    tiny_config(tmp_path).dump(tmp_path / 'tiny.py')
    result = call('tiny.py', '--parts', 'step', 'loader', 'train', '--steps', '2',
                  '--warmup', '1', '--batch', '2', '--compare', 'published', 'default',
                  '--out', 'out', '--profile', 'trace.json.gz', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert set(found) == {'command', 'config', 'machine', 'images', 'steps', 'warmup',
                          'variants', 'not_measured', 'step', 'loader', 'train'}
    assert found['images'] == 2 and found['machine']['threads'] == 1
    assert {'torch', 'mmengine', 'cmid_mm', 'python'} <= set(found['machine']['versions'])
    assert found['command'].endswith('--profile trace.json.gz')
    for part, keys in (('step', STEP), ('loader', LOADER), ('train', TRAIN)):
        assert set(found[part]['published']) == keys, part
        ratio = set() if part == 'train' else {'ratio'}
        assert set(found[part]['default']) == keys | ratio, part
    picture = (tmp_path / 'out' / 'benchmark.png').read_bytes()
    assert picture.startswith(b'\x89PNG') and len(picture) > 5000
    assert json.loads(gzip.open(tmp_path / 'trace.json.gz').read())['traceEvents']
    for text in ('times the first', 'GFLOP an image', 'waiting for data', 'MB a sample',
                 'the host wait for an accelerator'):
        assert text in result.stdout
    assert '1 threads on' in result.stdout


@pytest.mark.parametrize('arguments, message', [
    (['tiny.py', '--steps', '0'], '--steps must be 1 at least, not 0'),
    (['tiny.py', '--batch', '-1'], '--batch must be 1 at least, not -1'),
    (['tiny.py', '--compare', 'publish'], 'no such variant; did you mean published?'),
    (['tiny.py', '--out', 'tiny.py'], '--out tiny.py is a file'),
    (['tiny.py', '--parts', 'loader', '--batch', '99'], 'are fewer than one batch of 99'),
])
def test_bad_input_is_one_line(tmp_path, arguments, message):
    tiny_config(tmp_path).dump(tmp_path / 'tiny.py')
    result = call(*arguments, cwd=tmp_path)
    line = result.stderr.strip().splitlines()[-1]
    assert result.returncode == 1 and line.startswith('benchmark.py: error: ')
    assert message in line and 'Traceback' not in result.stderr


def test_another_model_is_refused():
    cfg = Config.fromfile(next((CONFIGS / 'classification' / 'nwpu').glob('*linear*')))
    with pytest.raises(ValueError, match='the benchmark knows the steps of CMID only'):
        check_config(cfg)


def test_a_misspelt_option_is_refused_before_anything_is_measured(tmp_path):
    said = []
    with pytest.raises(ValueError, match='did you mean num_matches'):
        measure(tiny_config(tmp_path), [Variant('a', {'model.num_match': 3})], ['step'], 1, 0,
                said.append)
    assert not said


def test_start_is_the_sum_of_its_stages(tmp_path):
    ticks = []
    found = measure_start(tiny_config(tmp_path), Variant('default'), lambda: ticks.append(0), 1)
    stages = [found[name]['median']
              for name in ('import_torch', 'import_cmid_mm', 'build', 'first_step')]
    assert min(stages) > 0 and len(ticks) == 1
    assert found['to_first_step']['median'] == pytest.approx(sum(stages))


def test_a_start_that_fails_tells_why(tmp_path):
    cfg = tiny_config(tmp_path)
    with pytest.raises(ValueError, match='bad: a fresh process failed: .*mask_mode'):
        measure_start(cfg, Variant('bad', {'model.mask_mode': 'x'}), runs=1)
