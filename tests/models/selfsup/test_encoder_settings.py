"""Settings of speed leave the numbers of a step unchanged."""
import pytest
import torch
from frameworks import RESNET18
from small_models import TINY_SWIN, build_cmid, loader_batch

from cmid_mm.models.selfsup import encoder_settings

VIT = dict(type='VisionTransformer', img_size=64, out_type='featmap',
           arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64))


def numbers(model):
    """Losses, gradients and buffers of a step in float64."""
    model.double().zero_grad()
    inputs = model.data_preprocessor(loader_batch(3), True)['inputs']
    for key in ('images', 'masked_images', 'boxes'):
        inputs[key] = [tensor.double() for tensor in inputs[key]]
    losses = model.loss(inputs)
    sum(losses.values()).backward()
    found = {name: loss.detach() for name, loss in losses.items()}
    found |= {name: parameter.grad for name, parameter in model.named_parameters()
              if parameter.grad is not None}
    return found | dict(model.named_buffers())


def assert_same(one, other):
    one, other = numbers(one), numbers(other)
    assert one.keys() == other.keys()
    for name, number in one.items():
        torch.testing.assert_close(other[name], number, rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize('backbone', [TINY_SWIN, VIT], ids=['swin', 'vit'])
def test_one_pass_for_both_views_is_exact_without_batch_norm(backbone):
    joint = build_cmid(backbone)
    assert joint.joint_views
    passes = []
    for encoder in (joint.backbone, joint.teacher['backbone']):
        encoder.register_forward_hook(lambda module, args, output: passes.append(len(args[0])))
    assert_same(build_cmid(backbone, joint_views=False), joint)
    assert passes == [6, 6]


def test_batch_norm_has_statistics_of_each_view_by_default():
    assert not build_cmid(RESNET18).joint_views
    apart, joint = numbers(build_cmid(RESNET18)), numbers(build_cmid(RESNET18, joint_views=True))
    assert apart['loss_global'] != joint['loss_global']
    assert apart['backbone.bn1.num_batches_tracked'] == 2
    assert joint['backbone.bn1.num_batches_tracked'] == 1


def test_channels_last_for_convolutions():
    model = build_cmid(RESNET18)
    assert model.memory_format == torch.channels_last
    for backbone in (model.backbone, model.teacher['backbone']):
        assert backbone.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    orders = []
    model.backbone.layer2.register_forward_hook(
        lambda module, args, output: orders.append(
            output.is_contiguous(memory_format=torch.channels_last)))
    first = build_cmid(RESNET18, channels_last=False)
    # random numbers fill a tensor in the order of its memory
    first.load_state_dict(model.state_dict())
    assert_same(first, model)
    # both passes, with the mask token after the stem
    assert orders == [True, True]
    assert build_cmid(TINY_SWIN).memory_format == torch.contiguous_format


def test_attention_is_fused_by_default():
    kinds = [{type(module).__name__ for module in build_cmid(**settings).modules()}
             for settings in (dict(fused_attention=False), {})]
    assert [kind & {'WindowMSA', 'FusedWindowAttention'} for kind in kinds] == [
        {'WindowMSA'}, {'FusedWindowAttention'}]


@pytest.mark.parametrize('strides, warned', [((1, 2, 2, 2), True), ((1, 2, 1, 1), False)])
def test_few_cells_are_reported(strides, warned, monkeypatch):
    lines = []
    monkeypatch.setattr(encoder_settings, 'print_log', lambda text, *args: lines.append(text))
    build_cmid(dict(RESNET18, strides=strides))
    assert any('64 px have 2 x 2 cells' in line for line in lines) == warned
