"""Arguments that have no meaning are refused by name."""
import pytest
import torch
from mmpretrain.registry import HOOKS, OPTIM_WRAPPERS, PARAM_SCHEDULERS

from cmid_mm.engine.optimizers import TwoGroupOptimWrapperConstructor
from cmid_mm.utils.errors import CMIDError


@pytest.mark.parametrize('hook, arguments, culprit', [
    ('BrokenImagesHook', dict(max_share=-0.1), 'max_share'),
    ('BrokenImagesHook', dict(max_share=5), 'max_share'),
    ('BrokenImagesHook', dict(patience=0), 'patience'),
    ('CMIDTeacherMomentumHook', dict(base_momentum=1.2), 'momentum'),
    ('CMIDTeacherMomentumHook', dict(end_momentum=-0.1), 'momentum'),
    ('CMIDTeacherTemperatureHook', dict(start=0), 'temperatures'),
    ('CMIDTeacherTemperatureHook', dict(first_epoch=-1), 'first_epoch'),
    ('PicturesHook', dict(interval=-1), 'interval'),
    ('PicturesHook', dict(num_images=0), 'num_images'),
    ('ProbeHook', dict(interval=-1), 'interval'),
    ('SafeCheckpointHook', dict(minutes=0), 'minutes'),
])
def test_hooks(hook, arguments, culprit):
    with pytest.raises(CMIDError, match=culprit):
        HOOKS.build(dict(type=hook, **arguments))


def test_optimisation():
    with pytest.raises(CMIDError, match='int8'):
        OPTIM_WRAPPERS.build(dict(type='AutoPrecisionOptimWrapper', precision='int8'))
    with pytest.raises(CMIDError, match='paramwise_cfg'):
        TwoGroupOptimWrapperConstructor(dict(optimizer=dict(type='SGD')), dict(bias_lr_mult=2))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    with pytest.raises(CMIDError, match='3 epochs'):
        PARAM_SCHEDULERS.build(dict(type='CMIDCosineLR', optimizer=optimizer, end=3, warmup=5))
