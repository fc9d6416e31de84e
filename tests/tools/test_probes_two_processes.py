"""Probes of two processes during a training equal a test of the checkpoint by one."""
import json

import cv2
import pytest
import torch
from labelled_run import labelled_config
from mmpretrain.registry import DATASETS, MODELS
from processes import run_tool
from small_models import STUDENTS, cmid_config

from cmid_mm.evaluation.batch_norm import calibrated_batch_norm
from cmid_mm.evaluation.probes import probes_by_kind, read_probes
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
             'default_hooks.probe.interval=1', 'default_hooks.probe.before=True',
             'train_dataloader.batch_size=2')
    start, probed = (entry['metrics'] for entry in read_probes(run / 'probes.json'))
    # the first process alone draws
    pictures = sorted(path.name for path in run.glob('**/vis_image/*'))
    assert pictures == ['matched_cells_1.png', 'reconstruction_1.png']

    for checkpoint, expected in (([], start), ([str(run / 'epoch_1.pth')], probed)):
        args = tester.parse_args([config, *checkpoint, '--probes',
                                  '--work-dir', str(tmp_path / 'tested')])
        cfg = launch.load_config(args)
        tester.merge_args(cfg, args)
        tested = tester.test(launch.build_runner(cfg), args)
        names = [name for name in tested if '/' in name]
        assert len(names) == 8
        for name in names:
            assert expected[name] == pytest.approx(tested[name], abs=1e-6), name
    assert start != probed
    cfg.probe_evaluator = None
    with pytest.raises(CMIDError, match='probes need probe_evaluator'):
        tester.merge_args(cfg, args)


@pytest.mark.parametrize('options', [['--probes'], ['model.pth', '--probes', '--calibrate']])
def test_probes_with_statistics_of_their_own_images(options, config, tmp_path, tester, launch,
                                                    monkeypatch):
    """Of random weights, and of a checkpoint whose statistics are loaded before and kept."""
    monkeypatch.chdir(tmp_path)
    args = tester.parse_args([config, *options, '--work-dir', 'tested'])
    cfg = launch.load_config(args)
    cfg.model = cmid_config(STUDENTS['resnet'], norm_cfg=dict(type='BN1d'))
    model = MODELS.build(cfg.model)
    model.backbone.bn1.running_mean.fill_(7.)
    torch.save(dict(state_dict=model.state_dict()), 'model.pth')
    tester.merge_args(cfg, args)
    runner = launch.build_runner(cfg)
    found, model = {}, runner.model
    predict = model.predict

    def watched(inputs, data_samples, **kwargs):
        kind = 'places' if 'gt_seg_map' in data_samples[0] else 'scenes'
        found.setdefault(kind, set()).add(tuple(model.backbone.bn1.running_mean.tolist()))
        return predict(inputs, data_samples, **kwargs)

    model.predict = watched
    metrics = tester.test(runner, args)
    assert {'student_knn/top1', 'student_places/miou'} <= set(metrics)
    for kind, (loader, _) in zip(('scenes', 'places'), probes_by_kind(cfg)):
        with calibrated_batch_norm(model, DATASETS.build(loader.dataset)):
            assert found[kind] == {tuple(model.backbone.bn1.running_mean.tolist())}
    assert found['scenes'] != found['places']
    assert (model.backbone.bn1.running_mean == (7 if args.checkpoint else 0)).all()


def test_calibrated_probes_check_their_masks(config, tmp_path, tester, launch):
    file = tmp_path / 'places' / 'masks' / '00.png'
    cv2.imwrite(str(file), 7 * cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    args = tester.parse_args([config, '--probes', '--work-dir', str(tmp_path / 'tested')])
    cfg = launch.load_config(args)
    tester.merge_args(cfg, args)
    tester.test(launch.build_runner(cfg), args)
    log, = (tmp_path / 'tested').glob('*/*.log')
    assert '00.png holds 7' in log.read_text()
    assert 'test: 11 masks: smooth 50 %' in log.read_text()


def test_a_broken_image_is_left_out_of_the_test_too(config, tmp_path, tester, monkeypatch):
    (tmp_path / 'labelled' / 'town' / '03.png').write_bytes(b'broken')
    out = tmp_path / 'metrics.json'
    monkeypatch.setattr('sys.argv', ['test.py', config, '--probes', '--work-dir',
                                     str(tmp_path / 'tested'), '--out', str(out),
                                     '--out-item', 'metrics'])
    tester.main()
    assert 'student_knn/top1' in json.loads(out.read_text())


def test_untrained_encoders_are_equal(config, tmp_path, tester, launch):
    args = tester.parse_args([config, '--probes', '--work-dir', str(tmp_path / 'untrained')])
    cfg = launch.load_config(args)
    tester.merge_args(cfg, args)
    runner = launch.build_runner(cfg)
    tested = tester.test(runner, args)
    names = [name for name in tested if name.startswith('student_') and '/' in name]
    assert len(names) == 4
    for name in names:
        # a random student and its copy, both with the statistics of the data set
        assert tested[name] == tested[name.replace('student', 'teacher')]
    assert not runner.model.data_preprocessor.mean.isnan().any()


@pytest.mark.parametrize('options, culprit', [
    ([], 'checkpoint is missing'), (['a.pth', '--calibrate'], '--calibrate needs --probes'),
    (['a.pth', '--probes', '--out', 'a.pkl'], 'tools/inference/extract_features.py')])
def test_options_that_do_not_fit(tester, capsys, options, culprit):
    with pytest.raises(SystemExit):
        tester.parse_args(['config.py', *options])
    assert culprit in capsys.readouterr().err
