"""A downstream config through the distributed scripts: trained and scored by two processes."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/change_detection/siamese-upernet_r18_1xb16-adamw-10e_scenes.py'


def call(*command):
    """Run a script of tools/; return what it printed."""
    result = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=280,
        env=os.environ | dict(PYTHON=sys.executable, OMP_NUM_THREADS='1'))
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return result.stdout


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path):
    pytest.importorskip('mmseg')
    from cmid_mm.datasets.scenes import write_scenes
    # seven pairs to test on: two processes must not count the last one twice
    write_scenes(tmp_path / 'scenes', num=23, size=64, val_share=0.3, tasks=('change', ),
                 show_progress=False)
    assert len(list((tmp_path / 'scenes' / 'change' / 'val' / 'label').iterdir())) == 7
    options = ['--cfg-options', 'model.backbone.init_cfg=None']
    for part in ('train', 'val', 'test'):
        options += [f'{part}_dataloader.dataset.data_root={tmp_path / "scenes" / "change"}',
                    f'{part}_dataloader.num_workers=0', f'{part}_dataloader.batch_size=2']
    log = call('tools/dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'work', *options,
               'train_cfg.max_epochs=1', 'train_cfg.val_interval=2')
    # 16 pairs, 2 processes of 2
    assert '[4/4]' in log
    checkpoint = tmp_path / 'work' / 'epoch_1.pth'
    scores = []
    for number, script in enumerate((['tools/dist_test.sh', CONFIG, checkpoint, 2],
                                     [sys.executable, 'tools/test.py', CONFIG, checkpoint])):
        out = tmp_path / f'{number}.json'
        call(*script, '--work-dir', tmp_path / 'test', '--out', out, '--out-item', 'metrics',
             *options)
        scores.append(json.loads(out.read_text()))
    names = [f'change/{name}' for name in ('precision', 'recall', 'f1', 'iou')]
    for name in names:
        assert scores[0][name] == pytest.approx(scores[1][name], abs=1e-9), name
    assert 0 < scores[0]['change/f1'] < 100
