"""Options, configs and runs of train.py and test.py."""
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config


def config_of(**settings):
    """A config with what the switches touch."""
    loader = dict(batch_size=2, num_workers=2, dataset=dict(pipeline=[dict(type='Load'),
                                                                      dict(type='Pack')]))
    return Config({**dict(
        default_scope='mmpretrain', model=dict(type='Net', backbone=dict(depth=18)),
        train_dataloader=loader, val_dataloader=loader, test_dataloader=loader,
        train_cfg=dict(), val_cfg=dict(), test_cfg=dict(), val_evaluator=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD'))), **settings})


def config_to_train(trainer, *arguments, **settings):
    cfg = config_of(**settings)
    trainer.merge_args(cfg, trainer.parse_args(['c.py', *arguments]))
    return cfg


def config_to_evaluate(tester, tmp_path, *arguments, **settings):
    cfg = config_of(**settings)
    checkpoint = tmp_path / 'c.pth'
    checkpoint.touch()
    tester.merge_args(cfg, tester.parse_args(['c.py', str(checkpoint), *arguments]))
    return cfg


# ---------------------------------------------------------------- options


def test_values_of_options(trainer, tester):
    args = trainer.parse_args(['c.py', '--local-rank=1', '--cfg-options', 'a.b=[1,2]', 'c=x'])
    assert (args.local_rank, args.cfg_options) == (1, {'a.b': '[1,2]', 'c': 'x'})
    assert trainer.parse_args(['c.py', '--local_rank', '2']).local_rank == 2
    for arguments, resume in ((['c.py'], None), (['--resume', 'x.pth', 'c.py'], 'x.pth'),
                              (['c.py', '--resume'], 'auto')):
        assert trainer.parse_args(arguments).resume == resume
    # the other switches of mmpretrain's tools
    trainer.parse_args('c.py --amp --no-validate --auto-scale-lr --no-pin-memory '
                       '--no-persistent-workers --launcher slurm'.split())
    tester.parse_args('c.py x.pth --show --show-dir d --interval 2 --wait-time 0.5 '
                      '--no-pin-memory --launcher mpi'.split())


def test_a_share_of_the_labels_is_that_of_the_innermost_data_sets(trainer):
    def share_of(name):
        return dict(type='LabelFraction', dataset=dict(type=name), share=0.1, seed=3)

    concatenated = dict(type='ConcatDataset', datasets=[dict(type='One'), dict(type='Two')])
    cfg = config_to_train(
        trainer, '--labels', '0.1', randomness=dict(seed=3), train_dataloader=dict(
            dataset=dict(type='RepeatDataset', times=2, dataset=concatenated)))
    assert cfg.train_dataloader.dataset == dict(type='RepeatDataset', times=2, dataset=dict(
        type='ConcatDataset', datasets=[share_of('One'), share_of('Two')]))
    cfg = config_to_train(trainer, '--labels=1')
    assert cfg.train_dataloader.dataset.dataset == cfg.val_dataloader.dataset
    assert cfg.train_dataloader.dataset.seed == 0


@pytest.mark.parametrize('arguments', [
    ['--out-item', 'pred'],
    ['--out', 'results.json'],
    ['--out', 'metrics.txt', '--out-item', 'metrics'],
])
def test_output_file_is_checked_before_the_work(tester, arguments, capsys):
    with pytest.raises(SystemExit):
        tester.parse_args(['c.py', 'x.pth', *arguments])
    assert '--out' in capsys.readouterr().err.splitlines()[-1]


# ---------------------------------------------------------------- config


def test_work_dir_priority(trainer, launch, toy):
    (toy / 'with_dir.py').write_text('_base_ = "toy_config.py"\nwork_dir = "configured"')

    def work_dir(*arguments):
        return launch.load_config(trainer.parse_args(arguments)).work_dir

    assert work_dir('toy_config.py') == './work_dirs/toy_config'
    assert work_dir('with_dir.py') == 'configured'
    assert work_dir('with_dir.py', '--work-dir', 'typed') == 'typed'
    assert work_dir('with_dir.py', '--cfg-options', 'work_dir=option') == 'option'


@pytest.mark.parametrize('name, text, options, message', [
    ('toy_conifg.py', None, [], 'no such config: toy_conifg.py; did you mean toy_config.py'),
    ('base.py', '_base_ = "gone.py"', [], 'base.py: .*gone.py'),
    ('syntax.py', 'model = dict(', [], 'syntax.py: '),
    ('imports.py', 'custom_imports = dict(imports=["gone_module"])', [],
     'imports.py imports gone_module, which was not found'),
    ('framework.py', 'default_scope = "mmrotate"', [],
     'framework.py needs mmrotate, which was not found; install'),
    ('toy_config.py', None, ['trian_cfg.max_epochs=1'],
     "no 'trian_cfg'; did you mean train_cfg"),
    ('toy_config.py', None, ['custom_imports.imports.7=x'], '--cfg-options: .*exceed'),
])
def test_wrong_configs_are_refused(trainer, errors, launch, toy, monkeypatch, name, text,
                                   options, message):
    monkeypatch.setattr(launch, 'find_spec', lambda name: name != 'mmrotate' or None)
    if text:
        (toy / name).write_text(text)
    options = ['--cfg-options', *options] if options else []
    with pytest.raises(errors.UserError, match=message):
        launch.load_config(trainer.parse_args([name, *options]))


def test_added_cfg_options_are_printed(launch, capsys):
    launch.report_new.cache_clear()
    cfg = config_of(custom_hooks=[dict(type='A')])
    launch.apply_options(cfg, {'model.backbone.depth': 50, 'custom_hooks.0.type': 'B',
                               'randomness.seed': 3, 'model.backbone.dpeth': 1,
                               'sync_bn': 'torch'})
    assert cfg.model.backbone.depth == 50 and cfg.custom_hooks[0].type == 'B'
    assert cfg.randomness.seed == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2].rstrip(',') for line in lines] == [
        'randomness.seed', 'model.backbone.dpeth']
    # once for all variants of a study
    launch.apply_options(config_of(), {'model.backbone.dpeth': 1})
    assert not capsys.readouterr().out


@pytest.mark.parametrize('setting, value', [
    # paths stay as they are written
    ('train_dataloader.dataset.data_root=my images', 'my images'), ('load_from=2021', '2021'),
    ('data.ann_file=a,2021', 'a,2021'), ('x.data_prefix.img=1e5', '1e5'), ('place=12', '12'),
    ('work_dir=None', None), ('data_root="2021=a"', '2021=a'),
    # others have the type that they look like
    ('default_hooks.checkpoint.interval=5', 5), ('default_hooks.checkpoint.minutes=30', 30),
    ('default_hooks.checkpoint.save_last=False', False),
    ('model.size=12', 12), ('model.size=[1, 2]', [1, 2]), ('model.name=a b', 'a b'),
    ('model.queue=64', 64), ('model.name=1,2', [1, 2])])
def test_paths_are_text_and_other_settings_have_types(launch, trainer, setting, value):
    cfg = config_of(model=dict(size=1, name='x', queue='auto'), place='a/b', data={}, x={},
                    default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
                    data_root='', train_dataloader=dict(dataset=dict(data_root='data/images')))
    launch.apply_options(cfg, trainer.parse_args(['c.py', '--cfg-options', setting]).cfg_options)
    from _config_keys import find_value
    assert find_value(cfg, setting.partition('=')[0]) == value


@pytest.mark.parametrize('key, there', [
    ('a.b', True), ('a.b.0.c', True), ('a.b.1', True), ('a.b.2', False), ('a.b.x', False),
    ('a.b.1.c', False), ('b', False)])
def test_a_key_leads_through_dicts_and_lists(launch, key, there):
    from _config_keys import has_key
    assert has_key(Config(dict(a=dict(b=[dict(c=1), 2]))), key) is there


def test_resume(trainer, tmp_path):
    cfg = config_to_train(trainer, load_from=None)
    assert not cfg.get('resume') and cfg.load_from is None
    cfg = config_to_train(trainer, '--resume', load_from='other.pth')
    assert cfg.resume and cfg.load_from is None
    checkpoint = tmp_path / 'epoch_1.pth'
    checkpoint.touch()
    cfg = config_to_train(trainer, '--resume', str(checkpoint))
    assert cfg.resume and cfg.load_from == str(checkpoint)
    assert config_to_train(trainer, load_from='https://x/y.pth').load_from == 'https://x/y.pth'


def test_amp_keeps_a_chosen_wrapper(trainer):
    def wrapper(**optim_wrapper):
        cfg = config_of()
        cfg.optim_wrapper = optim_wrapper
        trainer.use_mixed_precision(cfg)
        return cfg.optim_wrapper

    auto = 'AutoPrecisionOptimWrapper'
    for chosen in ({}, {'type': 'OptimWrapper'}):
        assert wrapper(**chosen) == dict(type=f'mmpretrain.{auto}', precision='auto')
    assert wrapper(type=auto, precision='float32')['precision'] == 'auto'
    assert wrapper(type=auto, precision='float16')['precision'] == 'float16'
    assert wrapper(type='AmpOptimWrapper') == dict(type='AmpOptimWrapper')


def test_switches_of_train(trainer):
    cfg = config_to_train(trainer, '--no-validate')
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    scaled = dict(base_batch_size=256)
    cfg = config_to_train(trainer, '--auto-scale-lr', auto_scale_lr=scaled)
    assert cfg.auto_scale_lr.enable


@pytest.mark.parametrize('tool, arguments, settings, message', [
    ('trainer', ['--resume', 'gone.pth'], {}, 'no such checkpoint: gone.pth'),
    ('trainer', ['--auto-scale-lr'], {}, 'base_batch_size'),
    ('trainer', [], dict(train_cfg=None), 'no train_cfg'),
    ('trainer', ['--amp'], dict(optim_wrapper=dict(type='OtherWrapper')), 'OtherWrapper'),
    ('tester', ['--show'], {}, 'visualization'),
    ('tester', ['--show'], dict(default_hooks=dict(visualization=dict(
        type='VisualisationHook'))), 'mmpretrain has no hook VisualisationHook'),
    ('tester', ['--tta'], dict(default_scope='mmseg'), 'tta_model'),
])
def test_switches_that_do_not_fit_the_config_are_refused(
        request, errors, tmp_path, tool, arguments, settings, message):
    tool = request.getfixturevalue(tool)
    with pytest.raises(errors.UserError, match=message):
        if 'train' in tool.__name__:
            config_to_train(tool, *arguments, **settings)
        else:
            config_to_evaluate(tool, tmp_path, *arguments, **settings)


def test_loader_defaults(launch):
    cfg = config_of()
    cfg.val_dataloader.num_workers = 0
    cfg.test_dataloader.collate_fn = dict(type='pseudo_collate')
    launch.set_loader_defaults(cfg)
    assert cfg.train_dataloader.persistent_workers
    assert cfg.train_dataloader.pin_memory == torch.cuda.is_available()
    assert cfg.train_dataloader.collate_fn.type == 'default_collate'
    assert not cfg.val_dataloader.persistent_workers
    assert cfg.test_dataloader.collate_fn.type == 'pseudo_collate'
    launch.set_loader_defaults(cfg, pin_memory=False, persistent_workers=False)
    assert not cfg.train_dataloader.pin_memory
    assert not cfg.train_dataloader.persistent_workers
    cfg = config_of()
    cfg.train_dataloader.pin_memory = True
    launch.set_loader_defaults(cfg)
    assert cfg.train_dataloader.pin_memory == torch.accelerator.is_available()
    cfg = config_of()
    cfg.default_scope = 'mmseg'
    launch.set_loader_defaults(cfg)
    assert 'collate_fn' not in cfg.train_dataloader


# ---------------------------------------------------------------- switches of test.py


def test_checkpoint_is_loaded_and_not_resumed(tester, tmp_path):
    cfg = config_to_evaluate(tester, tmp_path, '--amp', resume=True)
    assert cfg.load_from == str(tmp_path / 'c.pth')
    assert cfg.resume is False and cfg.test_cfg.fp16


@pytest.mark.parametrize('prefixed', [False, True])
@pytest.mark.parametrize('scope, hook, folder', [
    ('mmpretrain', 'VisualizationHook', 'out_dir'),
    ('mmdet', 'DetVisualizationHook', 'test_out_dir'),
    ('mmseg', 'SegVisualizationHook', None),
])
def test_show_sets_the_hook_of_each_scope(tester, tmp_path, scope, hook, folder, prefixed):
    pytest.importorskip(f'{scope}.engine', exc_type=ImportError)
    cfg = config_to_evaluate(
        tester, tmp_path, '--show-dir', 'pictures', '--interval', '3',
        default_scope='mmpretrain' if prefixed else scope,
        default_hooks=dict(visualization=dict(
            type=f'{scope}.{hook}' if prefixed else hook)), visualizer=dict(type='V'))
    settings = cfg.default_hooks.visualization
    assert settings.get('enable', settings.get('draw')) is True
    assert settings.interval == 3 and settings.show is False
    assert (settings[folder] if folder else cfg.visualizer.save_dir) == 'pictures'


def test_augmentation(tester, tmp_path):
    cfg = config_to_evaluate(tester, tmp_path, '--tta')
    assert cfg.model.type == 'AverageClsScoreTTA' and cfg.model.module.type == 'Net'
    load, both = cfg.test_dataloader.dataset.pipeline
    assert (load.type, both.type) == ('Load', 'TestTimeAug')
    assert [flip.prob for flip in both.transforms[0]] == [1.0, 0.0]
    assert both.transforms[1] == [dict(type='Pack')]
    own = dict(tta_model=dict(type='Mine'), tta_pipeline=[dict(type='MyLoad')])
    cfg = config_to_evaluate(tester, tmp_path, '--tta', **own)
    assert cfg.model.type == 'Mine' and cfg.model.module.type == 'Net'
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='MyLoad')]


# ---------------------------------------------------------------- real runs


def test_train_resume_test(trainer, tester, errors, toy, monkeypatch):
    def call(tool, name, *arguments):
        monkeypatch.setattr(sys, 'argv', ['tool', 'toy_config.py', *arguments,
                                          '--cfg-options', f'experiment_name={name}',
                                          f'train_cfg.max_epochs={epochs}'])
        errors.run(tool.main)

    def weight(folder, epoch):
        checkpoint = torch.load(f'{folder}/epoch_{epoch}.pth', weights_only=True)
        return checkpoint['state_dict']['weight']

    epochs = 3
    call(trainer, 'whole', '--work-dir', 'whole')
    call(trainer, 'mixed', '--work-dir', 'mixed', '--amp', '--no-validate')
    epochs = 2
    call(trainer, 'first', '--work-dir', 'parts', '--no-validate')
    epochs = 3
    call(trainer, 'second', '--work-dir', 'parts', '--resume')
    torch.testing.assert_close(weight('parts', 3), weight('whole', 3), rtol=0, atol=0)
    torch.testing.assert_close(weight('mixed', 3), weight('whole', 3), rtol=2e-2, atol=0)
    assert not torch.equal(weight('parts', 2), weight('parts', 3))
    call(tester, 'metrics', 'parts/epoch_3.pth', '--out', 'out/metrics.json',
         '--out-item', 'metrics')
    metrics = json.loads(Path('out/metrics.json').read_text())
    inputs = torch.stack([torch.arange(8.0), torch.ones(8)], dim=1)
    expected = (inputs @ weight('parts', 3) - 1).abs().mean().item()
    assert metrics == dict(error=pytest.approx(expected, rel=1e-5), images=8)
    call(tester, 'pred', 'parts/epoch_3.pth', '--out', 'out/pred.pkl')
    assert Path('out/pred.pkl').stat().st_size > 0


@pytest.mark.parametrize('address', ['https://x.org/y.pth', 'torchvision://resnet50',
                                     'open-mmlab://vgg16_caffe'])
def test_checkpoints_of_the_net_are_read_safely(launch, monkeypatch, address):
    """A downloaded file runs no code, whichever scheme mmengine resolves."""
    from mmengine.runner import CheckpointLoader, checkpoint
    monkeypatch.setattr(checkpoint, 'load_url', None)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    launch.read_checkpoints_safely()
    requests = []

    def download(url, *args, weights_only=False, **kwargs):
        requests.append((url.split('://')[0], weights_only))
        return dict()

    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', download)
    CheckpointLoader.load_checkpoint(address)
    assert requests == [('https', True)]
