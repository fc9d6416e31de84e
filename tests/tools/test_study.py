"""Studies: runs that are resumed, not repeated and independent; their means and tables."""
import importlib
import json
import math
import os
import runpy
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from labelled_run import labelled_config, write_classes, write_places
from mmengine.logging import HistoryBuffer
from mmpretrain.registry import MODELS
from small_models import loader_batch
from tiny_run import write_images

from cmid_mm.checkpoints.backbone import read_backbone_file
from cmid_mm.models.selfsup.recipe import choose_recipe, fill_auto

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# substitutes for tools/train.py and tools/test.py, which note their calls
TRAIN = '''
import os, pathlib, shutil, sys
folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
with open('calls', 'a') as file:
    file.write(f'{folder.parent.name} {folder.name}\\n')
if folder.parent.name == 'broken':
    print('a long log', *range(20), 'no such image: 7.png', sep='\\n')
    sys.exit(3)
if folder.parent.name == 'cut' and not (folder / 'begun').exists():
    (folder / 'begun').touch()
    os.kill(os.getpid(), 9)
shutil.copy('checkpoint.pth', folder / 'epoch_3.pth')
'''
TEST = '''
import json, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])
value = 10 * int(out.parent.name[4:]) + 40 * ('epoch_3.pth' in sys.argv[2])
out.write_text(json.dumps({'knn/top1': value, 'confusion': [1, 2]}))
'''
STUDY = '''
config = {config!r}
folders = dict(images='images')
options = {{'train_dataloader.dataset.data_root': '{{images}}', 'randomness': None}}
samples = 190
seeds = [1, 2]
test_options = ['--probes']
variants = dict(
    untrained=dict(untrained=True), cut=dict(), broken=dict(),
    after=dict(options={{'load_from': '{{work_dir}}/broken/seed{{seed}}/backbone.pth'}}),
    last=dict(train_options=['--amp']))
'''


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    return importlib.import_module('study')


@pytest.fixture
def project(study, tmp_path, monkeypatch):
    """Folder with a study of substitutes; the test runs inside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, 'TOOLS', tmp_path)
    write_images(tmp_path / 'images', 64)
    Path('train.py').write_text(TRAIN)
    Path('test.py').write_text(TEST)
    toy = CONFIGS / 'cmid' / 'cmid_resnet18_toy.py'
    Path('parts.py').write_text(STUDY.format(config=os.path.relpath(toy)))
    times = HistoryBuffer([0.5] * 3, [1] * 3)
    torch.save(dict(meta=dict(iter=3), state_dict={}, message_hub=dict(
        log_scalars={'train/time': times})), 'checkpoint.pth')
    return tmp_path


def calls():
    lines = Path('calls').read_text().splitlines() if Path('calls').exists() else []
    Path('calls').unlink(missing_ok=True)
    return lines


def results(name='parts'):
    return json.loads(Path('work_dirs', name, 'results.json').read_text())


# ---------------------------------------------------------------- runs


def test_runs_are_resumed_and_neither_repeated_nor_stopped_by_others(study, project, capfd):
    with pytest.raises(SystemExit, match='1'):
        study.main(['parts.py', '--jobs', '2'])
    lines = capfd.readouterr().out
    # the dependent one has nothing to start from
    assert sorted(calls()) == [f'{name} seed{seed}' for name in ('broken', 'cut', 'last')
                               for seed in (1, 2)]
    assert 'cut/seed1 failed: status -9' in lines
    assert 'status 3; the last lines of work_dirs/parts/broken/seed2/train.log' in lines
    assert 'no such image: 7.png' in lines and 'a long log' not in lines
    assert 'after/seed1 failed: it needs work_dirs/parts/broken/seed1, which failed' in lines
    assert '4 of 10; time left about 0:00:' in lines
    # 64 images are one batch: three epochs of 64 are nearest to 190
    from mmengine.config import Config
    cfg = Config.fromfile('work_dirs/parts/cut/seed2.py')
    assert cfg.train_cfg.max_epochs == 3 and cfg.randomness == dict(seed=2)
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == 1

    with pytest.raises(SystemExit, match='1'):
        study.main(['parts.py'])
    assert calls() == ['cut seed1', 'broken seed1', 'cut seed2', 'broken seed2']
    study.main(['parts.py', '--only', 'untrained', 'cut', 'last'])
    assert calls() == []
    rows = results()['variants']
    assert rows['untrained'] == dict(
        seeds=[1, 2], samples=0, minutes=0, images_per_second=None, curve=[],
        metrics={'knn/top1': dict(mean=15, interval=pytest.approx(12.706 * 5), values=[10, 20])})
    assert rows['cut']['metrics']['knn/top1']['mean'] == 55
    assert rows['cut']['samples'] == 192 and rows['cut']['minutes'] == 1.5 / 60
    assert rows['cut']['images_per_second']['values'] == [128, 128]
    assert rows['after']['seeds'] == []
    result = json.loads(Path('work_dirs/parts/last/seed1/result.json').read_text())
    folder = 'work_dirs/parts/last/seed1'
    assert result['commands'] == [
        f'python train.py {folder}.py --work-dir {folder} --resume --amp',
        f'python test.py {folder}.py {folder}/epoch_3.pth --probes --work-dir '
        f'{folder}/test --out {folder}/metrics.json --out-item metrics']


def test_a_run_waits_for_those_whose_files_it_uses(study, project):
    text = Path('parts.py').read_text().replace('broken=dict()', 'base=dict()')
    Path('parts.py').write_text(text.replace('broken', 'base'))
    study.main(['parts.py', '--only', 'base', 'after', '--seeds', '1', '--jobs', '2'])
    assert calls() == ['base seed1', 'after seed1']
    # now that it is finished, it needs not be chosen
    study.main(['parts.py', '--only', 'after', 'last', '--seeds', '1'])
    assert calls() == ['last seed1']
    # after another training of what it started from, its result is none of this study
    text = Path('parts.py').read_text()
    Path('parts.py').write_text(text.replace('base=dict()', 'base=dict(samples=64)'))
    Path('work_dirs/parts/base/seed1.py').unlink()
    with pytest.raises(study.UserError, match='after/seed1.py .* uses a run that has'):
        study.main(['parts.py', '--only', 'base', 'after', '--seeds', '1'])


def test_length_by_measured_time_is_kept(study, project, monkeypatch):
    text = Path('parts.py').read_text().replace('samples = 190', 'minutes = 2')
    Path('parts.py').write_text(text)
    monkeypatch.setattr(study, 'seconds_per_epoch', lambda cfg: 14.)
    plan = ['parts.py', '--only', 'last', '--cfg-options', 'work_dir=x']

    def epochs():
        args = study.parse_args(plan)
        return {run.cfg.train_cfg.max_epochs for run in study.plan(study.read_study(args), args)}

    assert epochs() == {9}
    monkeypatch.setattr(study, 'seconds_per_epoch', lambda cfg: 1.)
    assert epochs() == {9}


def test_seconds_per_epoch_are_those_of_its_steps(study, tmp_path, monkeypatch):
    cfg = labelled_config(tmp_path, options={'model.global_head.queue_size': 'auto'})
    found = {}
    monkeypatch.setattr('_quickstart_run.seconds_per_step',
                        lambda cfg: (found.update(cfg.model.global_head) or {1: 0.5}, 4))
    assert study.seconds_per_epoch(cfg) == 2 and found['queue_size'] == 12
    monkeypatch.setattr('_quickstart_run.seconds_per_step', lambda cfg: ({}, 2))
    with pytest.raises(study.UserError, match='2 steps is too short'):
        study.seconds_per_epoch(cfg)


def test_tools_end_with_the_study(study, tmp_path):
    tools, errors = study.Tools(), []

    def call():
        try:
            tools.call(['-c', 'import time; time.sleep(60)'], tmp_path / 'log')
        except study.UserError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    while not tools.processes:
        time.sleep(0.01)
    tools.stop()
    call()
    thread.join(10)
    assert [error[:10] for error in errors] == ['status -15'] * 2


@pytest.mark.parametrize('options, message', [
    (['gone.py'], 'no such study: gone.py'),
    (['part.py'], 'did you mean parts.py'),
    (['empty.py'], 'empty.py has no variants'),
    (['parts.py', '--only', 'brokn'], "no variant 'brokn'; did you mean broken"),
    (['parts.py', '--data', 'image=x'], "no entry of folders 'image'; did you mean images"),
    (['parts.py', '--data', 'images=gone'], 'no such folder: gone; give it by --data images='),
    (['typo.py'], "no setting 'option'; did you mean options"),
    (['nowhere.py'], 'variant a: no such config'),
    (['parts.py', '--cfg-options', 'modle.x=1'], "variant untrained: .*no 'modle'"),
    (['parts.py', '--only', 'after'], 'uses files of .*broken/seed1, which is not finished'),
    (['parts.py', '--data', 'images='], '--data images=: write NAME=FOLDER'),
    (['parts.py', '--only', 'last', '--cfg-options', 'log_level=INFO'], 'other settings'),
    # its results would be in one mean with those of the chosen seed
    (['parts.py', '--only', 'last', '--seeds', '7'], 'last/seed1.py has other settings')])
def test_errors_come_before_any_run(study, project, options, message):
    Path('empty.py').write_text('variants = dict()')
    Path('typo.py').write_text('variants = dict(a=dict(option=1))')
    Path('nowhere.py').write_text('config = "x.py"\nvariants = dict(a=dict())')
    begun = Path('work_dirs/parts/last/seed1.py')
    begun.parent.mkdir(parents=True)
    begun.write_text('model = None')
    with pytest.raises(study.UserError, match=message):
        study.main(options)
    assert calls() == []


# ---------------------------------------------------------------- results


def test_intervals_are_those_of_students_t(study):
    from _study_results import T_QUANTILES, summarize
    assert summarize([3.]) == dict(mean=3, interval=None, values=[3])
    # deviations -2, 0, 2: s = 2, and 4.303 * 2 / sqrt(3)
    assert summarize([4., 6., 8.])['interval'] == pytest.approx(4.969, abs=1e-3)
    stats = pytest.importorskip('scipy.stats')
    for freedom, quantile in enumerate(T_QUANTILES, 1):
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)


def test_tables_and_curves(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('s.py').write_text('metrics = ["b", "gone", "a"]\n'
                            'variants = dict(x=dict(), none=dict(), y=dict())')

    def write(variant, seed, values, curve, speed):
        file = Path('work_dirs', 's', variant, f'seed{seed}', 'result.json')
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(dict(
            seed=seed, metrics=values, samples=1200 if curve else 0, seconds=90.,
            images_per_second=speed, curve=[
                dict(samples=samples, metrics=dict(b=value)) for samples, value in curve])))

    write('x', 10, dict(a=0.2, b=50., c=1.), [(0, 10.), (600, 20.), (1200, 50.)], 10.)
    write('x', 9, dict(a=0.8, b=54.), [(0, 20.), (1200, 54.)], 20.)
    write('y', 0, dict(b=20.), [], None)
    study.main(['s.py', '--table'])
    summary = results('s')
    assert summary['metrics'] == ['b', 'a'] and summary['missing'] == ['gone']
    x = summary['variants']['x']
    assert x['seeds'] == [9, 10] and x['metrics']['b']['values'] == [54, 50]
    assert x['curve'] == [dict(samples=0, metrics=dict(b=15.)),
                          dict(samples=1200, metrics=dict(b=52.))]
    half = 12.706 * math.sqrt(8) / math.sqrt(2)
    *_, head, _, x, none, y = Path('work_dirs/s/results.md').read_text().splitlines()
    assert head == '| variant | runs | samples | minutes | images a second | b | a |'
    assert x == f'| x | 2 | 1,200 | 1.5 | 15.0 ± {63.53:.1f} | 52.0 ± {half:.1f} | 0.500 ± 3.812 |'
    assert none == '| none | 0 | - | - | - | - | - |'
    assert y == '| y | 1 | 0 | 1.5 | - | 20.0 | - |'
    assert Path('work_dirs/s/results.png').stat().st_size > 1000
    out = capsys.readouterr().out
    assert x in out and 'no run reported gone; reported were a, b, c' in out


# ---------------------------------------------------------------- real ones


def test_a_study_of_a_real_training(study, tmp_path, monkeypatch):
    """The tools themselves: untrained and after one epoch, with probes and the backbone."""
    def call(tools, command, log):
        # in this process, which has imported the package
        monkeypatch.setattr(sys, 'argv', command)
        runpy.run_path(command[0], run_name='__main__')

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study.Tools, 'call', call)
    write_classes(tmp_path / 'labelled', 5)
    write_places(tmp_path / 'places', 6)
    cfg = labelled_config(tmp_path)
    cfg.probe_evaluator = cfg.probe_evaluator[::2]
    cfg.dump('tiny.py')
    Path('real.py').write_text(
        'config = "tiny.py"\nsamples = 16\nprobes = 2\n'
        'variants = dict(untrained=dict(untrained=True), cmid=dict(export="teacher"))')
    study.main(['real.py'])
    rows = results('real')['variants']
    assert rows['untrained']['samples'] == 0 and rows['cmid']['samples'] == 16
    assert rows['cmid']['images_per_second']['mean'] > 0
    curve = rows['cmid']['curve']
    assert [entry['samples'] for entry in curve] == [0, 16]
    last = {name: value['mean'] for name, value in rows['cmid']['metrics'].items()}
    assert curve[1]['metrics'] == pytest.approx(last)
    assert set(rows['untrained']['metrics']) == set(last)
    assert {'student_knn/top1', 'teacher_knn/top1', 'student_places/miou'} <= set(last)
    backbone = read_backbone_file('work_dirs/real/cmid/seed0/backbone.pth')
    assert backbone.meta['encoder'] == 'teacher' and backbone.meta['epoch'] == 1
    # finished
    monkeypatch.delattr(study.Tools, 'call')
    study.main(['real.py'])


@pytest.fixture
def planned(study, tmp_path, monkeypatch):
    """Function that plans a study of ``configs/studies`` on an empty folder."""
    def plan(name, *options):
        args = study.parse_args([str(CONFIGS / 'studies' / f'{name}.py'), '--work-dir',
                                 str(tmp_path), '--seeds', '5', *options])
        content = study.read_study(args)
        content['folders'] = dict.fromkeys(content['folders'], str(tmp_path))
        return content, study.plan(content, args)

    monkeypatch.setattr(study, 'samples_per_epoch', lambda cfg: 15_168)
    return plan


def test_parts_train_what_their_names_state(planned):
    study, runs = planned('parts')
    images = loader_batch(2, 64)
    losses = {}
    for run in runs:
        run.cfg.model.data_preprocessor.update(mean=[100.] * 3, std=[50.] * 3)
        fill_auto(run.cfg, choose_recipe(15_220, 5, 64))
        torch.manual_seed(0)
        model = MODELS.build(run.cfg.model)
        found = model(**model.data_preprocessor(images, True), mode='loss')
        losses[run.variant] = {name[5:]: value.item() for name, value in found.items()}
    used = {name: {part for part in found if found[part]} for name, found in losses.items()}
    parts = {'reconstruction', 'global', 'local'}
    assert used == dict(
        untrained=parts, global_alone={'global'}, pixels_alone={'reconstruction'},
        local_alone={'local'}, official_locations=parts, cmid_published=parts, cmid_auto=parts)
    for name in ('pixels_alone', 'local_alone'):
        part, = used[name]
        assert losses[name][part] == losses['cmid_auto'][part]
    pipelines = {run.variant: run.cfg.train_dataloader.dataset.pipeline for run in runs}
    assert pipelines['official_locations'][1].locations == 'official'
    assert {run.cfg.train_cfg.max_epochs for run in runs[1:]} == {5}
    assert study['variants']['untrained']['untrained']


def test_small_budgets_differ_in_what_their_names_state(planned, study, monkeypatch):
    monkeypatch.setattr(study, 'seconds_per_epoch', lambda cfg: 50)
    # of a side of the map
    sizes, cells, matches, masked, others = {}, {}, {}, {}, {}
    for run in planned('small_budgets')[1]:
        run.cfg.model.data_preprocessor.update(mean=[100.] * 3, std=[50.] * 3)
        fill_auto(run.cfg, choose_recipe(15_220, 8, 64))
        model = MODELS.build(run.cfg.model)
        sizes[run.variant] = run.cfg.train_dataloader.dataset.pipeline[1].size
        inputs = model.data_preprocessor(loader_batch(2, sizes[run.variant]), True)
        # an error where the model expects another size
        losses = model(**inputs, mode='loss')
        assert all(value.isfinite() for value in losses.values())
        others[run.variant] = dict(
            reconstruction=bool(losses['loss_reconstruction'] > 0),
            local=model.local_head.loss_module.loss_weight,
            width=model.backbone.base_channels,
            momentum=run.cfg.custom_hooks[0].base_momentum,
            distorted=list(model.data_preprocessor.photometric[0].views))
        cells[run.variant] = model.last_outputs['grids'][0].shape[1]
        matches[run.variant] = model.last_outputs['matches'][0][0].shape[1]
        masked[run.variant] = inputs['inputs']['masks'][0].float().mean().item()
        assert run.settings.get('untrained') or run.cfg.train_cfg.max_epochs == 10
        steps = {run.cfg.train_dataloader.batch_size, run.cfg.optim_wrapper.optimizer.lr}
        assert steps == dict(batch_32={32, 2e-3}, rate_double={64, 4e-3}).get(
            run.variant, {64, 2e-3})
    assert sizes == dict.fromkeys(sizes, 64) | dict(
        views_96=96, views_48_stride_8=48, views_32_stride_8=32)
    assert cells == dict.fromkeys(cells, 8) | dict(
        untrained=4, views_96=6, views_64=4, views_48_stride_8=6, views_32_stride_8=4)
    assert {name for name, count in matches.items() if count > 20} == {'all_cells'}
    assert {name for name, share in masked.items() if share < 0.5} == {'mask_ratio_0_3'}
    recipe = dict(reconstruction=True, local=1., width=32, momentum=0.99, distorted=[1])
    assert others == {name: recipe for name in others} | dict(
        momentum_0_996=recipe | dict(momentum=0.996),
        both_distorted=recipe | dict(distorted=[0, 1]),
        no_reconstruction=recipe | dict(reconstruction=False),
        local_double=recipe | dict(local=2.),
        width_48=recipe | dict(width=48))


def test_the_long_run_trains_the_variants_of_the_parts(planned):
    short = {run.variant: run.cfg for run in planned('parts')[1]}
    _, runs = planned('long_run')
    for run, name in zip(runs, ('untrained', 'global_alone', 'cmid_auto'), strict=True):
        assert run.variant == name.removesuffix('_auto')
        assert run.cfg.model == short[name].model
        assert run.cfg.train_dataloader == short[name].train_dataloader
    assert {run.cfg.train_cfg.max_epochs for run in runs[1:]} == {40}
    assert {run.cfg.default_hooks.probe.interval for run in runs[1:]} == {5}


def test_transfer_starts_from_the_backbone_of_the_same_seed(planned, tmp_path):
    pytest.importorskip('mmseg'), pytest.importorskip('mmdet')
    few = dict(classification=10, segmentation=10, detection=10, change=50)
    study, runs = planned('transfer', '--only', 'cmid', 'detection_random_100',
                          *(f'{task}_cmid_{share}' for task, share in few.items()))
    assert runs[0].settings['export'] and len(runs) == 6
    assert set(study['variants']) == {'cmid', *(
        f'{task}_{start}_{share}' for task in few for start in ('cmid', 'random')
        for share in (few[task], 100))}
    for run in runs[1:]:
        init = run.cfg.model.backbone.init_cfg
        assert (init is None) == (not run.needs) == ('_random_' in run.variant)
        assert run.needs in ([], runs[:1])
        if run.needs:
            assert f"'{tmp_path}/cmid/seed5/backbone.pth'" in run.text
        # random weights have the rate of the config
        rate = run.cfg.optim_wrapper.paramwise_cfg.backbone_lr_mult
        assert rate == 1 if init is None else rate <= 0.25
        # as many steps with fewer labels
        steps = study['steps'][run.variant.split('_')[0]]
        assert run.settings['train_options'] == ['--labels', str(int(run.variant[-3:].strip('_'))
                                                                 / 100)]
        assert run.cfg.train_cfg == dict(type='IterBasedTrainLoop', max_iters=steps)
        assert [step.by_epoch for step in run.cfg.param_scheduler] == [False, False]
        assert run.cfg.param_scheduler[1].T_max == steps
        assert str(tmp_path) in run.cfg.test_dataloader.dataset.data_root
