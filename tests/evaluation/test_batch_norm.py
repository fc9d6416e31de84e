"""Statistics of an untrained network: those of the images, for a while."""
import copy
from types import SimpleNamespace

import pytest
import torch
from small_models import STUDENTS, build_cmid
from torch.utils.data import ConcatDataset

from cmid_mm.engine.hooks import ProbeHook
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


def test_images_of_other_sizes_are_left_out():
    """Places are larger than scenes; one in a batch would make each image a batch of its own."""
    model = build_cmid(STUDENTS['resnet'], norm_cfg=dict(type='BN1d'))
    scenes, places = images(12), images(4, 96)
    statistics = []
    for data in (scenes, ConcatDataset([scenes, places]), scenes + places,
                 [places[0], *scenes[:6], *places[1:], *scenes[6:]]):
        with calibrated_batch_norm(model, data, batch_size=12):
            statistics.append(model.backbone.bn1.running_var.clone())
    for found in statistics[1:]:
        torch.testing.assert_close(found, statistics[0])


def test_a_training_probes_the_untrained_network_with_these_statistics():
    model = build_cmid(STUDENTS['resnet'], norm_cfg=dict(type='BN1d'))
    seen, data = [], images(12)
    runner = SimpleNamespace(
        model=model, iter=0, val_loop=SimpleNamespace(
            dataloader=SimpleNamespace(dataset=data),
            run=lambda: seen.append(model.backbone.bn1.running_var.clone())))
    with calibrated_batch_norm(model, data):
        expected = model.backbone.bn1.running_var.clone()
    ProbeHook(interval=1, before=True).before_train_epoch(runner)
    assert torch.equal(seen[0], expected) and not torch.allclose(expected, torch.ones(()))


def test_frozen_norms_keep_their_statistics():
    model = build_cmid(dict(STUDENTS['resnet'], frozen_stages=1), norm_cfg=dict(type='BN1d'))
    frozen, free = model.backbone.layer1[0].bn1, model.backbone.layer2[0].bn1
    frozen.running_mean.fill_(0.5)
    with calibrated_batch_norm(model, images(12)):
        assert (frozen.running_mean == 0.5).all() and not (free.running_mean == 0).any()


@pytest.mark.parametrize('name', ['swin'])
def test_without_batch_norm_there_is_nothing_to_do(name):
    model = build_cmid(STUDENTS[name])
    with calibrated_batch_norm(model, None) as count:
        assert count == 0
