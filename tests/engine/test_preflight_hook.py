"""Checks before a run: classes, lists, checkpoints, the first sample, the report."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import CosineAnnealingLR, LinearLR
from small_models import build_cmid
from tiny_run import tiny_runner

from cmid_mm.engine.hooks import PreflightHook
from cmid_mm.engine.hooks.preflight_hook import (
    check_labels,
    describe_training,
    long_warmups,
)
from cmid_mm.utils.errors import CMIDError


def runner_of(model=None, **datasets):
    """The attributes of a runner that the hook reads; an unused loop is a dict."""
    loops = {f'_{use}_loop': dict() for use in ('train', 'val', 'test')}
    for use, dataset in datasets.items():
        loops[f'_{use}_loop'] = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    return SimpleNamespace(model=model or torch.nn.Identity(), **loops)


def check_classes(**classes):
    """Data sets of these classes with a model of three; ``None`` for those without names."""
    model = torch.nn.ModuleDict()
    # a backbone's own classifier and region proposals do not count
    for name, count in dict(backbone=-1, rpn_head=1, roi_head=3).items():
        model[name] = torch.nn.Identity()
        model[name].num_classes = count
    PreflightHook().before_run(runner_of(model, **{
        use: SimpleNamespace(metainfo=dict(classes=names)) for use, names in classes.items()}))


def test_equal_numbers_and_names_of_classes_pass():
    check_classes(train=('a', 'b', 'c'), val=('a', 'b', 'c'))
    check_classes(train=None)


@pytest.mark.parametrize('classes, message', [
    (dict(test=('a', 'b')), r'test_dataloader have 2 classes \(a, b\), but the config has '
     r'model.roi_head.num_classes=3: .*--cfg-options model.roi_head.num_classes=2$'),
    (dict(train=('a', 'b', 'd'), val=('a', 'c', 'd')),
     r'train and val have different classes: 1 only in train \(b\); 1 only in val \(c\);'),
    (dict(train=('a', 'b', 'c'), test=('b', 'a', 'c')), 'in another order')])
def test_other_classes_are_refused(classes, message):
    with pytest.raises(CMIDError, match=message):
        check_classes(**classes)


def listed(folder, text, **attributes):
    """A runner whose wrapped data set has a list of this text."""
    path = folder / attributes.pop('name', 'train.txt')
    path.write_text(text)
    inner = SimpleNamespace(ann_file=str(path), **attributes)
    return runner_of(train=SimpleNamespace(datasets=[
        SimpleNamespace(ann_file=str(folder)), SimpleNamespace(dataset=inner)]))


@pytest.mark.parametrize('line', ['../a', '/etc/a', 'b/../../a'])
def test_lists_that_leave_the_folder_are_refused(tmp_path, line):
    PreflightHook().before_run(listed(tmp_path, 'a\n\nb/c.d\nb/..e\n'))
    with pytest.raises(CMIDError, match='train.txt, line 2: .* outside') as error:
        PreflightHook().before_run(listed(tmp_path, f'a\n{line}\n'))
    assert line in str(error.value) and len(str(error.value).splitlines()) == 1
    PreflightHook(allow_outside=True).before_run(listed(tmp_path, line))
    # data sets that check their own lists, and files that are no lists
    PreflightHook().before_run(listed(tmp_path, line, allow_outside=True))
    PreflightHook().before_run(listed(tmp_path, line, name='boxes.json'))


def test_a_checkpoint_of_another_model_is_refused():
    model = build_cmid()
    state = model.state_dict()
    load = PreflightHook().after_load_checkpoint
    load(runner_of(model), dict(state_dict={f'module.{key}': state[key] for key in state}))
    changed = dict(state, other=torch.zeros(1), mask_token=torch.zeros(2))
    del changed['local_head.center']
    with pytest.raises(CMIDError, match=(
            r'does not belong to this CMID: 1 missing .*local_head.center.*1 unexpected .*other.*'
            r'1 of other shapes.*mask_token \(2,\)')):
        load(runner_of(model), changed)


@pytest.mark.parametrize('step, name, value', [(0, 'bands', 1), (1, 'size', 32)])
def test_a_first_sample_that_does_not_fit_the_model_is_refused(tmp_path, step, name, value):
    runner = tiny_runner(tmp_path)
    runner._train_dataloader['dataset']['pipeline'][step][name] = value
    with pytest.raises(ValueError, match=f'{value}'):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize('size, bounded, limit', [(64, True, 12), (8, True, 12), (64, False, None)])
def test_a_queue_holds_no_more_keys_than_there_are_other_images(tmp_path, size, bounded, limit):
    """16 images in batches of 4."""
    runner = tiny_runner(tmp_path, options={'model.global_head.queue_size': size,
                                            'model.global_head.bounded': bounded})
    images = len(runner.train_dataloader.dataset)
    batch = runner.train_dataloader.batch_sampler.batch_size
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    assert runner.train_loop
    PreflightHook().before_train(runner)
    head = runner.model.global_head
    assert head.limit == (limit and images - batch) and images - batch > 8
    assert len(head.newest_keys()) == (min(size, head.limit) if bounded else size)


@pytest.mark.parametrize('other', [dict(share=0.5), dict(seed=1), None])
def test_a_resumed_run_has_the_same_labels(other):
    chosen = dict(share=0.1, seed=0, samples=4)
    runner = SimpleNamespace(
        iter=0, message_hub=MessageHub.get_instance(f'labels {other}'),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(kept_labels=chosen)))
    check_labels(runner)
    runner.iter = 3
    check_labels(runner)
    runner.train_dataloader.dataset.kept_labels = other and chosen | other
    with pytest.raises(CMIDError, match="'share': 0.1.*resume with the same --labels"):
        check_labels(runner)
    # another run
    runner.iter = 0
    check_labels(runner)


@pytest.mark.parametrize('settings, warned', [
    (dict(end=5, by_epoch=False), False), (dict(end=6, by_epoch=False), True),
    (dict(end=1), False), (dict(end=2), True),
    (dict(end=1, convert_to_iter_based=True, epoch_length=5), False),
    (dict(end=2, convert_to_iter_based=True, epoch_length=5), True)])
def test_a_warmup_that_takes_most_of_the_training_is_a_warning(settings, warned):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    settings = dict(settings)
    build = LinearLR
    if settings.pop('convert_to_iter_based', False):
        build = LinearLR.build_iter_from_epoch
    schedulers = [build(optimizer, start_factor=0.1, **settings),
                  CosineAnnealingLR(optimizer, T_max=10, by_epoch=False)]
    for found in schedulers, dict(lr=schedulers), None:
        lines = long_warmups(SimpleNamespace(param_schedulers=found, max_iters=10, max_epochs=2))
        assert len(lines) == (warned and found is not None)
        assert all('set a smaller `end` of LinearLR' in line for line in lines)


@pytest.mark.parametrize('images, epochs', [(16, 2.5), (2, 20)])
def test_the_report_has_rate_batch_length_and_threads(images, epochs):
    # a loader with a sampler of batches has no batch_size of its own; fewer images than a batch
    # are repeated by an endless sampler
    sampler = torch.utils.data.BatchSampler(range(images), 4, drop_last=True)
    loader = torch.utils.data.DataLoader(range(images), batch_sampler=sampler)
    wrapper = SimpleNamespace(param_groups=[dict(lr=0.1, initial_lr=0.002)],
                              _accumulative_counts=3)
    line = describe_training(SimpleNamespace(
        train_dataloader=loader, optim_wrapper=wrapper, max_iters=10))
    assert line == (
        'learning rate 0.002 (peak), effective batch 12 = 1 processes x 4 x 3 accumulated; '
        f'{images} images, {epochs} epochs, 4 optimiser steps, 40 samples in total; '
        f'{torch.get_num_threads()} CPU threads per process')
