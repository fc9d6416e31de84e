"""One backbone, two dates, and what the fusion keeps of them."""
import pytest
import torch
from frameworks import RESNET18
from frameworks import build as build_in

pytest.importorskip('mmseg')


def build(fusion='abs_diff', bands=3):
    pytest.importorskip('cmid_mm.models.segmentors')
    channels = 16 * (1 + (fusion == 'concat'))
    return build_in('mmseg', dict(
        type='SiameseEncoderDecoder', fusion=fusion,
        backbone=dict(RESNET18, in_channels=bands, num_stages=2, strides=(1, 2),
                      dilations=(1, 1), out_indices=(0, 1), norm_cfg=dict(type='BN')),
        decode_head=dict(type='FCNHead', in_channels=channels, in_index=1, channels=8,
                         num_convs=1, num_classes=2, norm_cfg=dict(type='BN'),
                         loss_decode=dict(type='CrossEntropyLoss')),
        train_cfg=dict(), test_cfg=dict(mode='whole'))).eval()


@pytest.fixture
def dates():
    return torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)


@pytest.mark.parametrize('fusion, fused', [
    ('abs_diff', lambda earlier, later: (later - earlier).abs()),
    ('concat', lambda earlier, later: torch.cat([earlier, later], dim=1))])
def test_maps_of_both_dates_by_one_backbone_are_fused(dates, fusion, fused):
    """In values and in the gradients of both dates."""
    model = build(fusion)
    for date in dates:
        date.requires_grad_()
    maps = model.extract_feat(torch.cat(dates, dim=1))
    expected = [fused(*levels) for levels in zip(*map(model.backbone, dates))]
    for level, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(level, wanted)
    gradients, wanted = (torch.autograd.grad(levels[-1].square().sum(), dates)
                         for levels in (maps, expected))
    for gradient, other in zip(gradients, wanted):
        assert gradient.abs().sum() > 0
        torch.testing.assert_close(gradient, other)


def test_the_difference_of_equal_dates_is_zero(dates):
    assert not any(level.any() for level in build().extract_feat(torch.cat([dates[0]] * 2, dim=1)))


def test_other_bands_and_what_is_refused():
    model = build(bands=5)
    assert model.extract_feat(torch.randn(1, 10, 32, 32))[0].shape == (1, 8, 8, 8)
    with pytest.raises(ValueError, match='7 bands do not make two dates'):
        model.extract_feat(torch.randn(1, 7, 32, 32))
    with pytest.raises(ValueError, match="fusion='sum' is none of abs_diff, concat"):
        build('sum')
