"""Any number of bands, any number of dates, in every version of mmseg."""
import pytest
import torch
from frameworks import build as build_in

mmseg = pytest.importorskip('mmseg')


def build(mean, std, **kwargs):
    pytest.importorskip('cmid_mm.models.segmentors')
    return build_in('mmseg', dict(
        type='BandsSegDataPreProcessor', mean=mean, std=std, size_divisor=8,
        test_cfg=dict(size_divisor=8), **kwargs))


def sample(image):
    return dict(inputs=[image], data_samples=[mmseg.structures.SegDataSample()])


@pytest.mark.parametrize('bands', [1, 3, 5])
@pytest.mark.parametrize('dates', [1, 2])
def test_every_band_of_every_date_has_its_own_numbers(bands, dates):
    mean = [10 * (i + 1) for i in range(bands)]
    std = [i + 2 for i in range(bands)]
    image = torch.randint(0, 256, (dates * bands, 8, 8), dtype=torch.uint8)
    normalised = build(mean, std, dates=dates)(sample(image))['inputs'][0]
    for i in range(dates * bands):
        wanted = (image[i].float() - mean[i % bands]) / std[i % bands]
        torch.testing.assert_close(normalised[i], wanted)


def test_padding_is_what_mmseg_pads(bands=4):
    data = build([1.] * bands, [1.] * bands, pad_val=0)(sample(torch.full((bands, 5, 7), 9)))
    assert data['inputs'].shape == (1, bands, 8, 8)
    assert data['inputs'].sum() == bands * 5 * 7 * 8
    assert tuple(data['data_samples'][0].img_padding_size) == (0, 1, 0, 3)


def test_numbers_that_do_not_agree():
    with pytest.raises(ValueError, match='mean has 3 and std 2 numbers'):
        build([1., 2., 3.], [1., 2.])
    with pytest.raises(ValueError, match='come with 3 bands, but .* of 4 and dates=2'):
        build([1.] * 4, [1.] * 4, dates=2)(sample(torch.zeros(3, 8, 8)))
