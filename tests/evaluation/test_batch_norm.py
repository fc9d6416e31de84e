"""Statistics of an untrained network: those of the images, for a while."""
import copy

import pytest
import torch
from small_models import STUDENTS, build_cmid

from cmid_mm.evaluation.batch_norm import calibrated_batch_norm


def images(number, size=64):
    """A data set of (C, S, S) uint8 images, dark ones first."""
    generator = torch.Generator().manual_seed(0)
    return [dict(inputs=(torch.rand(3, size, size, generator=generator) * (55 + 200 * i / number))
                 .to(torch.uint8), data_samples=None) for i in range(number)]


def test_statistics_are_those_of_the_images_and_are_restored():
    model = build_cmid(STUDENTS['resnet'], norm_cfg=dict(type='BN1d')).eval()
    before = copy.deepcopy(model.state_dict())
    data = images(12)
    inputs = model.data_preprocessor(
        dict(inputs=[image['inputs'] for image in data], data_samples=None))['inputs']
    with torch.no_grad():
        stem = model.backbone.conv1(inputs)
    with calibrated_batch_norm(model, data, batch_size=12) as count:
        assert count == sum(isinstance(module, torch.nn.BatchNorm2d)
                            for module in model.modules())
        for encoder in (model.backbone, model.teacher['backbone']):
            torch.testing.assert_close(encoder.bn1.running_mean, stem.mean((0, 2, 3)))
            torch.testing.assert_close(encoder.bn1.running_var, stem.var((0, 2, 3)))
            assert encoder.bn1.momentum == 0.1 and not encoder.training
        parameters = dict(model.named_parameters())
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(torch.equal(parameters[key], before[key]) for key in parameters)


def test_every_batch_is_spread_over_the_folder():
    """Batches of neighbours would have a smaller variance than the images have."""
    model = build_cmid(STUDENTS['resnet'], norm_cfg=dict(type='BN1d'))
    variances = []
    for batch_size in (40, 10):
        with calibrated_batch_norm(model, images(40), batch_size=batch_size):
            variances.append(model.backbone.bn1.running_var.clone())
    torch.testing.assert_close(*variances, rtol=0.15, atol=0)


@pytest.mark.parametrize('name', ['swin'])
def test_without_batch_norm_there_is_nothing_to_do(name):
    model = build_cmid(STUDENTS[name])
    with calibrated_batch_norm(model, None) as count:
        assert count == 0
