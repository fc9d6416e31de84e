"""Every family of students learns on real images."""
import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import DATA_SAMPLERS, DATASETS
from small_models import STUDENTS, build_cmid
from torch.utils.data import DataLoader, default_collate

STEPS = 50
RATE = 5e-4


def batches(root):
    """The same eight images, four a step, always in other views."""
    dataset = DATASETS.build(dict(
        type='ImageFolder', data_root=str(root), indices=list(range(0, 640, 80)), pipeline=[
            dict(type='LoadRSImage'), dict(type='CMIDTwoViews', size=64),
            dict(type='PackViews')]))
    sampler = DATA_SAMPLERS.build(dict(
        type='KeyedSampler', dataset=dataset, shuffle=False, seed=0))
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, collate_fn=default_collate)
    for epoch in range(STEPS // 2):
        sampler.set_epoch(epoch)
        yield from loader


# a quarter of the channels, which is enough for the ResNet
LEARNERS = STUDENTS | dict(resnet=dict(STUDENTS['resnet'], stem_channels=16, base_channels=16))


@pytest.mark.parametrize('name', LEARNERS)
def test_losses_fall_over_fifty_steps(name, real_data):
    norm_cfg = dict(type='BN1d') if name == 'resnet' else None
    # a queue of one step's keys: one that fills would raise the loss meanwhile
    model = build_cmid(LEARNERS[name], norm_cfg=norm_cfg, global_head=dict(queue_size=8),
                       data_preprocessor=dict(mask_cell=16))
    wrapper = build_optim_wrapper(model, dict(
        type='AutoPrecisionOptimWrapper', precision='float32',
        constructor='TwoGroupOptimWrapperConstructor',
        optimizer=dict(type='Adan', lr=RATE, weight_decay=0.02)))
    history = {}
    for step, batch in enumerate(batches(real_data / 'cls' / 'UCMerced')):
        for group in wrapper.optimizer.param_groups:
            group['lr'] = RATE * min(1, (step + 1) / 10)
        for key, value in model.train_step(batch, wrapper).items():
            history.setdefault(key, []).append(value.item())
        model.update_teacher(0.99)
    assert len(history['loss']) == STEPS
    for key, values in history.items():
        assert np.isfinite(values).all(), key
    assert falls(history['loss'])
    assert falls(history['loss_reconstruction'])
    assert all(torch.isfinite(value).all() for value in model.state_dict().values()
               if value.is_floating_point())


def falls(values):
    """The last twenty steps lie below the first ten by more than their scatter."""
    first, last = np.array(values[:10]), np.array(values[-20:])
    return last.mean() + last.std() / 20**0.5 < first.mean()
