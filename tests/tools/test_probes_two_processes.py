"""Probes of two processes during a training equal a test of the checkpoint by one."""
import json
from types import SimpleNamespace

import pytest
import torch
from labelled_run import labelled_config
from processes import run_tool
from small_models import STUDENTS, build_cmid

from cmid_mm.evaluation.batch_norm import calibrated_batch_norm
from cmid_mm.utils.errors import CMIDError


@pytest.fixture
def config(tmp_path):
    cfg = labelled_config(tmp_path, options={
        'train_cfg.max_epochs': 1, 'param_scheduler.0.warmup': 0,
        'default_hooks.pictures.interval': 1, 'optim_wrapper.optimizer.lr': 0.05})
    # 57 samples: two processes must not count one of them twice; one at a time, because the
    # rounding of features depends on their batch, and a query can be undecided
    cfg.test_dataloader.batch_size = 1
    cfg.dump(tmp_path / 'tiny.py')
    return str(tmp_path / 'tiny.py')


def test_the_probe_of_two_processes_is_the_test_of_one(config, tmp_path, tester, launch):
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
    names = [name for name in tested if '/' in name]
    assert len(names) == 8
    for name in names:
        assert probed[name] == pytest.approx(tested[name], abs=1e-6), name
    cfg.probe_evaluator = None
    with pytest.raises(CMIDError, match='probes need probe_evaluator'):
        tester.merge_args(cfg, args)


def test_the_untrained_network_has_statistics_of_the_images(tester):
    model = build_cmid(STUDENTS['resnet'], norm_cfg=dict(type='BN1d'))
    images = [dict(inputs=torch.full((3, 64, 64), 5 * i, dtype=torch.uint8)) for i in range(9)]
    seen = []
    tester.test_untrained(SimpleNamespace(
        model=model, hooks=[], test_dataloader=SimpleNamespace(dataset=images),
        test=lambda: seen.append(model.backbone.bn1.running_var.clone())))
    with calibrated_batch_norm(model, images):
        assert torch.equal(seen[0], model.backbone.bn1.running_var)
        assert not torch.allclose(seen[0], torch.ones(()))


def test_a_broken_image_is_left_out_of_the_test_too(config, tmp_path, tester, monkeypatch):
    (tmp_path / 'labelled' / 'town' / '03.png').write_bytes(b'broken')
    out = tmp_path / 'metrics.json'
    monkeypatch.setattr('sys.argv', ['test.py', config, '--probes', '--work-dir',
                                     str(tmp_path / 'tested'), '--out', str(out),
                                     '--out-item', 'metrics'])
    tester.main()
    assert 'student_knn/top1' in json.loads(out.read_text())


def test_the_untrained_network_is_tested_as_a_training_probes_it(config, tmp_path, tester, launch):
    args = tester.parse_args([config, '--probes', '--work-dir', str(tmp_path / 'untrained')])
    cfg = launch.load_config(args)
    tester.merge_args(cfg, args)
    runner = launch.build_runner(cfg)
    tested = tester.test_untrained(runner)
    names = [name for name in tested if name.startswith('student_') and '/' in name]
    assert len(names) == 4
    for name in names:
        # a random student and its copy, both with the statistics of the data set
        assert tested[name] == tested[name.replace('student', 'teacher')]
    assert not runner.model.data_preprocessor.mean.isnan().any()
    with pytest.raises(SystemExit):
        tester.parse_args([config])
