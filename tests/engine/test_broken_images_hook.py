"""Broken images of a training: which are logged, and when they end the run."""
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from damaged_images import agree, damage, write_images
from mmengine.logging import MessageHub, MMLogger
from tiny_run import tiny_runner

from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.datasets import ImageFolder
from cmid_mm.engine.hooks import BrokenImagesHook, broken_images_hook


@pytest.fixture
def runner(tmp_path):
    """The attributes of a runner that the hook reads: two hundred images, all of them empty."""
    folder = tmp_path / 'data'
    folder.mkdir()
    for i in range(200):
        (folder / f'{i:03}.jpg').touch()
    dataset = ImageFolder(str(folder), replace_broken=True,
                          pipeline=[dict(type='LoadRSImage')])
    lines = []
    return SimpleNamespace(
        lines=lines, work_dir=str(tmp_path),
        logger=SimpleNamespace(warning=lines.append, info=lines.append),
        message_hub=MessageHub.get_instance(f'broken-{tmp_path}'),
        train_dataloader=SimpleNamespace(dataset=dataset))


def started(runner, **kwargs):
    hook = BrokenImagesHook(**kwargs)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    return hook


def step(hook, runner, *broken, good=0):
    """A batch with these broken samples."""
    hook.before_train_iter(runner, 0, dict(
        broken=torch.tensor([*broken, *[-1] * good], dtype=torch.int64)))


def end_epoch(hook, runner):
    hook.after_train_epoch(runner)
    hook.before_train_epoch(runner)


def listed(work_dir, name='broken_images.txt'):
    lines = (Path(work_dir) / name).read_text().splitlines()
    return dict(line.split('\t') for line in lines)


def test_every_file_is_logged_once_with_its_reason(runner, tmp_path):
    hook = started(runner)
    step(hook, runner, 3, 5, good=20)
    step(hook, runner, 5, good=20)
    end_epoch(hook, runner)
    # the state of a checkpoint: a resumed run logs nothing again
    torch.save(runner.message_hub.state_dict(), tmp_path / 'hub.pth')
    runner.message_hub = MessageHub.get_instance(f'resumed-{tmp_path}')
    runner.message_hub.load_state_dict(torch.load(tmp_path / 'hub.pth', weights_only=True))
    hook = started(runner)
    step(hook, runner, 3, 7, good=30)
    hook.after_train_epoch(runner)
    hook.after_train(runner)
    named = [re.search(r'/(\d+).jpg is empty', line) for line in runner.lines]
    assert [match and match[1] for match in named] == ['003', '005', '007', None]
    assert '3 of 200 images are broken' in runner.lines[-1]
    assert {Path(path).name: reason for path, reason in listed(tmp_path).items()} == {
        f'{i:03}.jpg': 'is empty (0 bytes)' for i in (3, 5, 7)}


def test_nothing_is_logged_where_nothing_is_broken(runner):
    hook = started(runner, max_share=0)
    step(hook, runner, good=1000)
    hook.after_train_epoch(runner)
    hook.after_train(runner)
    assert runner.lines == [] and not (Path(runner.work_dir) / 'broken_images.txt').exists()


def test_the_limit_is_exact_at_the_end_of_an_epoch(runner):
    hook = started(runner, max_share=0.1)
    step(hook, runner, *range(10), good=90)
    end_epoch(hook, runner)
    step(hook, runner, *range(11), good=90)
    with pytest.raises(ValueError, match=r'11 of 101 images .*\(10.9%\).*max_share=0.1 .*'
                       r'000.jpg, .*001.jpg, .*002.jpg \(all in ') as error:
        hook.after_train_epoch(runner)
    assert len(str(error.value).splitlines()) == 1 and len(listed(runner.work_dir)) == 11


def test_a_share_far_above_the_limit_ends_an_epoch_early_but_chance_does_not(runner):
    """A folder whose share is at the limit: 26 of the first 200 are no proof of more."""
    hook = started(runner, max_share=0.1, patience=200)
    step(hook, runner, *range(26), good=174)
    step(hook, runner, good=60)
    end_epoch(hook, runner)
    # four standard deviations, 4 * sqrt(0.1 * 0.9 * 200) = 17, on top of 20
    step(hook, runner, *range(37), good=163 - 1)
    with pytest.raises(ValueError, match='38 of 200'):
        step(hook, runner, 37)


def test_the_first_process_logs_what_others_find(runner, monkeypatch):
    other = (100, 5, 4, {'/data/a.jpg': 'is empty', f'{runner.work_dir}/data/003.jpg': 'known'})
    monkeypatch.setattr(broken_images_hook, 'all_gather_object', lambda own: [own, other])
    hook = started(runner, max_share=0.1)
    step(hook, runner, 3, 4, good=98)
    hook.after_train_epoch(runner)
    assert (hook.count, hook.broken, hook.empty) == (200, 7, 4)
    assert '4 of 200 windows of this epoch had too little data' in runner.lines[2]
    assert len(runner.lines) == 4 and '/data/a.jpg is empty' in runner.lines[-1]
    assert len(listed(runner.work_dir)) == 3
    hook.before_train_epoch(runner)
    hook.max_share = 0.04
    with pytest.raises(ValueError, match='5 of 100 .*max_share=0.04'):
        hook.after_train_epoch(runner)


def test_another_process_writes_its_own_file_and_only_to_refuse(runner, monkeypatch):
    monkeypatch.setattr(broken_images_hook, 'get_rank', lambda: 3)
    monkeypatch.setattr(broken_images_hook, 'is_main_process', lambda: False)
    hook = started(runner, patience=10)
    step(hook, runner, 1, good=20)
    hook.after_train_epoch(runner)
    assert not list(Path(runner.work_dir).glob('broken*'))
    with pytest.raises(ValueError, match='broken_images_rank3.txt'):
        step(hook, runner, *range(20))
    assert len(listed(runner.work_dir, 'broken_images_rank3.txt')) == 20


def test_names_with_control_characters(runner, tmp_path, capfd):
    (tmp_path / 'strange').mkdir()
    (tmp_path / 'strange' / 'two\nlines\tand \x1b[31m red \udcff.jpg').touch()
    runner.train_dataloader.dataset = ImageFolder(
        str(tmp_path / 'strange'), pipeline=[dict(type='LoadRSImage')])
    hook = started(runner)
    step(hook, runner, 0, good=20)
    hook.after_train_epoch(runner)
    (path, reason), = listed(tmp_path).items()
    assert Path(path).name == r'two\nlines\tand \x1b[31m red \udcff.jpg'
    assert reason == 'is empty (0 bytes)' and path in runner.lines[0]
    logger = MMLogger.get_instance(f'strange-{tmp_path}', log_file=str(tmp_path / 'x.log'))
    logger.warning(runner.lines[0])
    assert path in (tmp_path / 'x.log').read_text()
    assert 'Logging error' not in capfd.readouterr().err


def test_an_image_that_can_be_read_again(runner, tmp_path):
    def fails_without_key(results):
        raise ValueError('CMIDTwoViews needs sample_key')

    write_images(tmp_path / 'data', 4)
    runner.train_dataloader.dataset.pipeline.transforms.append(fails_without_key)
    step(started(runner), runner, 3, good=20)
    assert 'could not be read at first, but can be now' in runner.lines[0]


@pytest.mark.parametrize('max_share', [0.4, 0.01])
def test_a_training_on_damaged_files(tmp_path, max_share):
    """It ends well, or before its first checkpoint."""
    paths = write_images(tmp_path / 'images', 20)
    damaged = damage(paths[::3])
    trained = tiny_runner(tmp_path, 'run', {
        'default_hooks.broken_images.max_share': max_share, 'train_cfg.max_epochs': 1,
        'param_scheduler.0.warmup': 0, 'train_dataloader.drop_last': False})
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    share = f'{len(damaged)} of 20 images'
    if max_share == 0.01:
        with pytest.raises(ValueError, match=f'{share} of this epoch are .*max_share=0.01'):
            trained.train()
        assert not checkpoint.exists()
    else:
        trained.train()
        log, = (tmp_path / 'run').glob('*/*.log')
        for path in damaged:
            assert log.read_text().count(f'replaced by another: {path} ') == 1
        assert f'{share} are broken' in log.read_text()
        hub = load_checkpoint_file(checkpoint)['message_hub']
        assert set(hub['runtime_info']['broken_images']) == set(damaged)
    assert trained.iter >= 4 and agree(listed(tmp_path / 'run'), damaged)
