"""A whole pre-training through the tools: two processes, one, resume, test, export."""
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from processes import run_tool

from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.engine.runners.cmid_runner import CMIDRunner
from cmid_mm.utils.errors import CMIDError

REPOSITORY = Path(__file__).parents[2]
CONFIG = """
_base_ = '{repository}/configs/cmid/cmid_swin_pretrain.py'
model = dict(
    image_size=64,
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]),
        img_size=64, window_size=2),
    global_projector=dict(hidden_channels=32, out_channels=16),
    dense_projector=dict(hidden_channels=32, bottleneck_channels=16, num_prototypes=24),
    global_head=dict(embed_dims=16, queue_size=50),
    local_head=dict(num_prototypes=24))
train_pipeline = [
    dict(type='LoadRSImage', bands=3), dict(type='CMIDTwoViews', size=64),
    dict(type='PackViews')]
train_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(data_root='{data}', pipeline=train_pipeline))
test_pipeline = [
    dict(type='LoadRSImage', bands=3), dict(type='ResizeEdge', scale=64, edge='short'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split'))]
test_dataloader = dict(num_workers=0, dataset=dict(datasets=[
    dict(type='ImageFolder', data_root='{data}', with_label=True, pipeline=test_pipeline,
         split=split) for split in ('gallery', 'query')]))
# plain descent: an adaptive step turns rounding of vanishing gradients into motion
optim_wrapper = dict(
    precision='float32',
    optimizer=dict(_delete_=True, type='SGD', lr=0.05, momentum=0.9, weight_decay=0.02))
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [dict(type='CMIDCosineLR', warmup=1, by_epoch=True,
                        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
"""


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp('project')
    draw = np.random.default_rng(0)
    for name, colour in (('field', 60), ('wood', 180)):
        (folder / 'data' / name).mkdir(parents=True)
        for i in range(10):
            coarse = draw.integers(colour - 60, colour + 60, (5, 6, 3)).astype(np.uint8)
            image = cv2.resize(coarse, (100, 80), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / 'data' / name / f'{i}.png'), image)
    config = folder / 'tiny.py'
    config.write_text(CONFIG.format(repository=REPOSITORY, data=folder / 'data'))
    return folder


@pytest.fixture
def train(trainer, monkeypatch):
    """``train(*arguments)``: tools/train.py in this process."""
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, arguments)])
        trainer.main()
    return run


def log_of(work_dir):
    return max(work_dir.glob('*/*.log')).read_text()


def scalars(work_dir):
    """Logged losses of every step."""
    file, = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


@pytest.fixture(scope='module')
def one_process(project):
    run_tool('train.py', project / 'tiny.py', '--work-dir', project / 'one', number=1)
    return project / 'one'


@pytest.fixture(scope='module')
def two_processes(project):
    """By the launcher itself; the other tests start their two processes faster."""
    result = subprocess.run(
        [REPOSITORY / 'tools' / 'dist_train.sh', project / 'tiny.py', '2', '--work-dir',
         project / 'two', '--cfg-options', 'train_dataloader.batch_size=4'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
        env=os.environ | dict(OMP_NUM_THREADS='1', PYTHON=sys.executable))
    output = result.stdout
    assert result.returncode == 0, output[-5000:]
    assert 'effective batch 8 = 2 processes x 4 x 1' in output
    if not torch.cuda.is_available():
        assert output.count('2 processes on the CPU, backend gloo') == 1
    return project / 'two'


def states(*folders, epoch=3):
    return [load_checkpoint_file(folder / f'epoch_{epoch}.pth')['state_dict']
            for folder in folders]


def assert_alike(start, end):
    """Equal but for rounding, measured by how far a tensor has come since ``start``."""
    assert set(end[0]) == set(end[1])
    for key in end[0]:
        one, two = end[0][key], end[1][key]
        if one.is_floating_point():
            moved = (one - start[key]).abs().max().item()
            torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-3 * moved + 1e-6, msg=key)
        else:
            assert torch.equal(one, two), key


def test_two_processes_are_one_of_twice_the_batch(one_process, two_processes):
    # the log shows the first process's half of the batch, so only the steps are alike here;
    # test_cmid_two_processes.py compares the losses of the whole batch
    assert len(scalars(one_process)) == len(scalars(two_processes)) == 3 * 2
    start = states(one_process, two_processes, epoch=1)
    end = states(one_process, two_processes)
    assert_alike(start[0], end)
    assert end[0]['global_head.queue_ptr'].item() == 2 * 8 * 2 * 3 % 50
    for key in ('global_head.queue', 'local_head.center', 'mask_token',
                'teacher.backbone.norm3.weight', 'backbone.norm3.weight'):
        assert not torch.equal(end[0][key], start[0][key]), f'{key} never moved'


def test_a_run_moves_from_one_process_to_two_and_back(project, one_process, train):
    """Epoch 1 by one process, epoch 2 by two, epoch 3 by one."""
    moving = project / 'moving'
    moving.mkdir()
    (moving / 'epoch_1.pth').write_bytes((one_process / 'epoch_1.pth').read_bytes())
    run_tool('train.py', project / 'tiny.py', '--work-dir', moving, '--resume',
             '--cfg-options', 'train_dataloader.batch_size=4')
    (moving / 'epoch_3.pth').unlink()
    # the pointer names a file that does not exist any more
    assert (moving / 'last_checkpoint').read_text().endswith('epoch_3.pth')
    train(project / 'tiny.py', '--work-dir', moving, '--resume',
          '--cfg-options', 'experiment_name=moving')
    assert 'resumed from epoch 2, iteration 4' in log_of(moving)
    start, = states(one_process, epoch=1)
    assert_alike(start, states(one_process, moving))


def test_resumed_training_ends_where_the_uninterrupted_one_does(project, one_process, train):
    stopped = project / 'stopped'
    stopped.mkdir()
    (stopped / 'epoch_2.pth').write_bytes((one_process / 'epoch_2.pth').read_bytes())
    (stopped / 'last_checkpoint').write_text(str(stopped / 'epoch_2.pth'))
    train(project / 'tiny.py', '--work-dir', stopped, '--resume',
          '--cfg-options', 'experiment_name=stopped')
    assert 'resumed epoch: 2' in log_of(stopped)
    end = states(one_process, stopped)
    for key in end[0]:
        assert torch.equal(*(state[key] for state in end)), key


@pytest.mark.parametrize('resume', [True, False])
def test_another_architecture_is_refused_before_training(project, one_process, train, resume):
    checkpoint = one_process / 'epoch_1.pth'
    options = ['--resume', checkpoint, '--cfg-options'] if resume else [
        '--cfg-options', f'load_from={checkpoint}']
    with pytest.raises(CMIDError, match='does not belong to this CMID'):
        train(project / 'tiny.py', '--work-dir', project / f'other_{resume}', *options,
              'model.backbone.arch=tiny', 'model.backbone.window_size=2')


def test_fewer_images_than_a_batch_are_refused(project, train):
    with pytest.raises(CMIDError, match='20 images .*batch_size'):
        train(project / 'tiny.py', '--work-dir', project / 'few',
              '--cfg-options', 'train_dataloader.batch_size=64')


@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_an_endless_sampler_fills_a_batch_from_few_images(sampler):
    loader = dict(batch_size=8, num_workers=0, drop_last=True, dataset=[0, 1, 2],
                  sampler=dict(type=sampler))
    if sampler == 'InfiniteSampler':
        batch = next(iter(CMIDRunner.build_dataloader(loader)))
        assert len(batch) == 8 and set(batch) == {0, 1, 2}
    else:
        with pytest.raises(CMIDError, match='3 images .*one batch of 8'):
            CMIDRunner.build_dataloader(loader)


def test_accuracy_is_reported_and_does_not_depend_on_processes(
        project, one_process, tester, monkeypatch):
    arguments = [project / 'tiny.py', one_process / 'epoch_3.pth', '--work-dir',
                 project / 'tested', '--out-item', 'metrics', '--out']
    run_tool('test.py', *arguments, project / 'two.json')
    monkeypatch.setattr(
        sys, 'argv', ['test.py', *map(str, arguments), str(project / 'one.json')])
    tester.main()
    one, two = (json.loads((project / f'{name}.json').read_text()) for name in ('one', 'two'))
    assert one['knn/top1'] == pytest.approx(two['knn/top1'])
    # two classes of very different brightness
    assert one['knn/top1'] > 50


@pytest.mark.parametrize('encoder, prefix', [('student', 'backbone.'),
                                             ('teacher', 'teacher.backbone.')])
def test_export_feeds_any_config(project, one_process, encoder, prefix):
    out = project / f'{encoder}.pth'
    from model_converters.extract_backbone import main
    main([str(one_process / 'epoch_3.pth'), str(out), '--encoder', encoder])
    exported = load_checkpoint_file(out)
    trained, = states(one_process)
    meta = exported['meta']
    assert (meta['source'], meta['encoder'], meta['bands'], meta['epoch']) == (
        'epoch_3.pth', encoder, 3, 3)
    assert meta['mean'] == pytest.approx([86.182, 91.928, 85.374])
    assert 'CMIDDecoder' in meta['config']
    # a student's weights can be taken from the training's own checkpoint, too
    for checkpoint in [out] + [one_process / 'epoch_3.pth'] * (encoder == 'student'):
        backbone = MODELS.build(dict(
            type='SwinTransformer', img_size=64, window_size=2, out_indices=(3, ),
            arch=dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]),
            init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.')))
        backbone.init_weights()
        for key, value in backbone.state_dict().items():
            assert torch.equal(value, trained[prefix + key]), key
