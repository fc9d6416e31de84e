"""One backbone, two dates, and what the fusion keeps of them."""
import pytest
import torch

pytest.importorskip('mmseg')


def build(fusion='abs_diff', bands=3):
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import cmid_mm.models.segmentors  # noqa: F401
    init_default_scope('mmseg')
    channels = 16 * (1 + (fusion == 'concat'))
    return MODELS.build(
        dict(
            type='SiameseEncoderDecoder',
            fusion=fusion,
            backbone=dict(type='ResNet', depth=18, in_channels=bands, stem_channels=8,
                          base_channels=8, num_stages=2, strides=(1, 2),
                          dilations=(1, 1), out_indices=(0, 1),
                          norm_cfg=dict(type='BN')),
            decode_head=dict(type='FCNHead', in_channels=channels, in_index=1, channels=8,
                             num_convs=1, num_classes=2, norm_cfg=dict(type='BN'),
                             loss_decode=dict(type='CrossEntropyLoss')),
            train_cfg=dict(), test_cfg=dict(mode='whole'))).eval()


@pytest.fixture
def dates():
    return torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)


def test_difference_of_what_the_backbone_sees_of_either_date(dates):
    model = build()
    maps = model.extract_feat(torch.cat(dates, dim=1))
    earlier, later = (model.backbone(date) for date in dates)
    assert [level.shape for level in maps] == [(2, 8, 8, 8), (2, 16, 4, 4)]
    for level, a, b in zip(maps, earlier, later):
        torch.testing.assert_close(level, (b - a).abs())
        assert level.max() > 0


def test_difference_is_blind_to_the_order_and_zero_for_equal_dates(dates):
    model = build()
    maps = model.extract_feat(torch.cat(dates, dim=1))
    swapped = model.extract_feat(torch.cat(dates[::-1], dim=1))
    for level, other in zip(maps, swapped):
        torch.testing.assert_close(level, other)
    for level in model.extract_feat(torch.cat([dates[0]] * 2, dim=1)):
        assert not level.any()


def test_concatenation_keeps_the_order(dates):
    model = build('concat')
    maps = model.extract_feat(torch.cat(dates, dim=1))
    swapped = model.extract_feat(torch.cat(dates[::-1], dim=1))
    for level, other, a in zip(maps, swapped, model.backbone(dates[0])):
        first, second = level.chunk(2, dim=1)
        torch.testing.assert_close(first, a)
        torch.testing.assert_close(torch.cat([second, first], dim=1), other)


def test_batches_are_not_mixed(dates):
    """A pair's maps do not depend on the other pairs of its batch."""
    model = build()
    both = torch.cat(dates, dim=1)
    for level, alone in zip(model.extract_feat(both), model.extract_feat(both[1:])):
        torch.testing.assert_close(level[1:], alone)


def test_one_set_of_weights_learns_from_both_dates(dates):
    model = build()
    names = [name for name, _ in model.backbone.named_parameters()]
    assert len(names) == len(set(names)) and 'conv1.weight' in names
    gradients = []
    for i in range(2):
        model.zero_grad()
        inputs = torch.cat(dates, dim=1).requires_grad_()
        model.extract_feat(inputs)[-1].sum().backward()
        part = inputs.grad[:, 3 * i:3 * i + 3]
        assert part.abs().sum() > 0
        gradients.append(part)
    assert not torch.equal(*gradients)


def test_other_bands_and_what_is_refused(dates):
    model = build(bands=5)
    assert model.extract_feat(torch.randn(1, 10, 32, 32))[0].shape == (1, 8, 8, 8)
    with pytest.raises(ValueError, match='7 bands do not make two dates'):
        model.extract_feat(torch.randn(1, 7, 32, 32))
    with pytest.raises(ValueError, match="fusion='sum' is none of abs_diff, concat"):
        build('sum')


def test_prediction_of_equal_dates_is_the_same_everywhere(dates):
    """Nothing but the head's bias is left, away from the zero padding at the border."""
    model = build()
    model.decode_head.conv_seg.weight.data.normal_()
    with torch.no_grad():
        logits = model.encode_decode(torch.cat([dates[0]] * 2, dim=1), [dict(
            img_shape=(32, 32), ori_shape=(32, 32), pad_shape=(32, 32))])
    assert logits.flatten(2).std(dim=2).max() < 1e-5
