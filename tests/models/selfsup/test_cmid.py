import copy

import pytest
import torch
from frameworks import RESNET18
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from small_models import STUDENTS, TINY_SWIN, build_cmid, loader_batch, losses_of


@pytest.mark.parametrize('name', STUDENTS)
def test_any_backbone_is_a_student(name):
    """The student alone has gradients; the checkpoint's keys are the plain backbone's."""
    backbone = STUDENTS[name]
    norm_cfg = dict(type='BN1d') if name == 'resnet' else None
    model = build_cmid(backbone, norm_cfg=norm_cfg)
    for module in model.backbone.modules():
        # a ResNet's residual branches start closed, and nothing passes back through them
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    assert not model.mask_token.any()
    losses = losses_of(model, loader_batch(2))
    assert set(losses) == {'loss_reconstruction', 'loss_global', 'loss_local'}
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert not key.startswith('teacher.')
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key
            assert parameter.grad.abs().sum() > 0, key
        else:
            assert parameter.grad is None, key
    plain = MODELS.build(copy.deepcopy(backbone))
    keys = {key.removeprefix('backbone.') for key in model.state_dict()
            if key.startswith('backbone.')}
    assert keys == set(plain.state_dict())


@pytest.mark.parametrize('bands,size', [(1, 64), (4, 96), (7, 64)])
def test_any_bands_and_size(bands, size):
    backbone = RESNET18 | dict(in_channels=bands)
    model = build_cmid(backbone, size, bands)
    batch = loader_batch(2, size, bands)
    inputs = model.data_preprocessor(batch, True)['inputs']
    reconstruction = model.reconstruct(inputs['masked_images'][0], inputs['masks'][0])
    assert reconstruction.shape == inputs['images'][0].shape
    assert all(loss.isfinite() for loss in losses_of(model, batch).values())


def test_teacher_starts_as_the_student_and_moves_by_the_formula():
    model = build_cmid(RESNET18, norm_cfg=dict(type='BN1d'))
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
        model.backbone.bn1.running_mean.add_(1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.update_teacher(0.75)
    parameters = {key for key, _ in model.named_parameters()}
    for key, value in model.state_dict().items():
        expected = before[key]
        if key.startswith('teacher.') and key in parameters:
            expected = 0.75 * expected + 0.25 * before[key.removeprefix('teacher.')]
        torch.testing.assert_close(value, expected, msg=key)


def test_teachers_batch_norm_has_statistics_of_whole_views_of_its_own():
    model = build_cmid(RESNET18)
    batch = loader_batch(4)
    losses_of(model, batch)
    images = model.data_preprocessor(batch, True)['inputs']['images']
    norm = model.teacher['backbone'].bn1
    with torch.no_grad():
        maps = [model.teacher['backbone'].conv1(image) for image in images[::-1]]
    mean = torch.zeros(8)
    for x in maps:
        mean = 0.9 * mean + 0.1 * x.mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(norm.running_mean, model.backbone.bn1.running_mean)


def test_masked_pixels_do_not_reach_the_student():
    model = build_cmid(data_preprocessor=dict(mask_fill='zero', photometric=None)).eval()
    batch = loader_batch()
    inputs = model.data_preprocessor(batch, True)['inputs']
    other = copy.deepcopy(batch)
    masked = inputs['masks'][0][:, None]
    other['inputs'][:, 0] = torch.where(masked, 255 - batch['inputs'][:, 0],
                                        batch['inputs'][:, 0])
    changed = model.data_preprocessor(other, True)['inputs']
    assert not torch.equal(changed['images'][0], inputs['images'][0])
    maps = [model.student_map(x['masked_images'][0], x['masks'][0]) for x in (inputs, changed)]
    assert torch.equal(*maps)


def test_losses_are_smallest_where_they_should_be():
    """For a perfect reconstruction, equal images and equal cells."""
    model = build_cmid(RESNET18, data_preprocessor=dict(photometric=None)).eval()
    inputs = model.data_preprocessor(loader_batch(4), True)['inputs']
    images, masks = inputs['images'], inputs['masks']
    with torch.no_grad():
        features = [model.backbone(image)[-1] for image in images]
        boxes = [inputs['boxes'][0]] * 2
        same = model.local_loss([features[0]] * 2, [features[0]] * 2, boxes)
        assert same < model.local_loss([features[0]] * 2, [features[1].flip(0)] * 2, boxes)
        alike = model.global_loss([features[0]] * 2, [features[0]] * 2)
        assert alike < model.global_loss([features[0]] * 2, [features[0].flip(0)] * 2)
        head = model.reconstruction_head
        assert head.loss(images[0], images[0], masks[0]) < 1e-6
        assert head.loss(images[1], images[0], masks[0]) > 1e-3


def test_state_stands_still_outside_of_training():
    model = build_cmid(RESNET18).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    losses_of(model, loader_batch())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_losses_do_not_depend_on_what_else_was_drawn():
    model, batch = build_cmid(), loader_batch()
    other = copy.deepcopy(model)
    first = losses_of(model, batch)
    torch.rand(17)
    second = losses_of(other, batch)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize('backbone', [RESNET18, TINY_SWIN])
def test_activation_checkpointing_changes_nothing_but_memory(backbone):
    results = []
    for with_cp in (False, True):
        model = build_cmid(backbone | dict(with_cp=with_cp))
        losses = losses_of(model, loader_batch())
        sum(losses.values()).backward()
        results.append((torch.stack(list(losses.values())), model.mask_token.grad))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize('feature_of', ['student', 'teacher', 'both'])
def test_predict_gives_image_vectors(feature_of):
    model = build_cmid(RESNET18, feature_of=feature_of).eval()
    with torch.no_grad():
        for parameter in model.teacher.parameters():
            parameter.mul_(1.1)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        samples = model.test_step(
            dict(inputs=list(images), data_samples=[DataSample(), DataSample()]))
        vectors = {name: encoder((images.float() - 100) / 50)[-1].mean((2, 3))
                   for name, encoder in (('student', model.backbone),
                                         ('teacher', model.teacher['backbone']))}
    fields = dict(feature='student', student_feature='student', teacher_feature='teacher')
    if feature_of != 'both':
        fields = dict(feature=feature_of)
    assert set(samples[0].all_keys()) == set(fields)
    for field, encoder in fields.items():
        torch.testing.assert_close(
            torch.stack([s.get(field) for s in samples]), vectors[encoder])
