"""A downstream config is trained and scored by two processes."""
import json
import sys
from pathlib import Path

import pytest
from processes import run_tool

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/change_detection/siamese-upernet_r18_1xb8-adamw-10e_scenes.py'


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path, tester, monkeypatch):
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
    run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'work', *options,
             'train_cfg.max_epochs=1', 'train_cfg.val_interval=2')
    log, = (tmp_path / 'work').glob('*/*.log')
    # 16 pairs, 2 processes of 2
    assert '[4/4]' in log.read_text()
    arguments = [CONFIG, tmp_path / 'work' / 'epoch_1.pth', '--work-dir', tmp_path / 'test',
                 '--out-item', 'metrics', *options, '--out']
    run_tool('test.py', *arguments, tmp_path / 'two.json')
    monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, arguments), f'{tmp_path}/one.json'])
    tester.main()
    one, two = (json.loads((tmp_path / f'{name}.json').read_text()) for name in ('one', 'two'))
    for name in ('precision', 'recall', 'f1', 'iou'):
        assert two[f'change/{name}'] == pytest.approx(one[f'change/{name}'], abs=1e-9), name
    assert 0 < one['change/f1'] < 100
