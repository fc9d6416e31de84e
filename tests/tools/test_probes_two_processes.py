"""Probes of two processes during a training equal a test of the checkpoint by one."""
import json

import pytest
from labelled_run import labelled_config
from processes import run_tool


@pytest.fixture
def config(tmp_path):
    cfg = labelled_config(tmp_path, options={
        'train_cfg.max_epochs': 1, 'param_scheduler.0.warmup': 0,
        'default_hooks.pictures.interval': 1, 'optim_wrapper.optimizer.lr': 0.05})
    # 45 images: two processes must not count one of them twice
    cfg.test_dataloader.batch_size = 7
    cfg.dump(tmp_path / 'tiny.py')
    return str(tmp_path / 'tiny.py')


def test_the_probe_of_two_processes_is_the_test_of_one(config, tmp_path, tester, launch, errors):
    run = tmp_path / 'run'
    run_tool('train.py', config, '--work-dir', run, '--cfg-options',
             'default_hooks.probe.interval=1', 'train_dataloader.batch_size=2')
    file, = run.glob('*/vis_data/scalars.json')
    probed, = (row for row in map(json.loads, file.read_text().splitlines())
               if 'teacher_linear/top1' in row)
    # the first process alone draws
    pictures = sorted(path.name for path in run.glob('**/vis_image/*'))
    assert pictures == ['matched_cells_1.png', 'reconstruction_1.png']

    args = tester.parse_args([config, str(run / 'epoch_1.pth'), '--probes',
                              '--work-dir', str(tmp_path / 'tested')])
    cfg = launch.load_config(args)
    tester.merge_args(cfg, args)
    tested = launch.build_runner(cfg).test()
    names = [name for name in tested if '/top' in name]
    assert len(names) == 4
    for name in names:
        assert probed[name] == pytest.approx(tested[name], abs=1e-6), name
    cfg.probe_evaluator = None
    with pytest.raises(errors.UserError, match='--probes needs probe_evaluator'):
        tester.merge_args(cfg, args)
