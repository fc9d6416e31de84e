import copy

import torch
from mmpretrain.registry import BATCH_AUGMENTS, MODELS
from mmpretrain.structures import DataSample
from small_models import loader_batch

from cmid_mm.models.preprocessing import ViewTransform
from cmid_mm.utils import uniform


def build(bands=3, **settings):
    return MODELS.build(dict(type='CMIDDataPreprocessor', mean=[100.] * bands,
                             std=[50.] * bands, **settings))


@BATCH_AUGMENTS.register_module()
class BandGain(ViewTransform):
    """Gains of each band, different in both views; notes the types of its arguments."""

    def __init__(self, gains):
        self.gains = torch.tensor(gains)
        self.calls = []

    def __call__(self, images, keys, view):
        self.calls.append((images.dtype, images.shape, keys.dtype, keys.shape, view))
        gain = self.gains * uniform(keys, 100, len(self.gains))
        return images * gain[:, :, None, None] if view else images // 2


def test_first_view_keeps_its_colours_and_the_second_does_not():
    batch = loader_batch()
    views = build()(batch, True)['inputs']
    plain = (batch['inputs'].float() - 100) / 50
    torch.testing.assert_close(views['images'][0], plain[:, 0])
    assert not torch.allclose(views['images'][1], plain[:, 1], atol=0.1)
    both = dict(type='PhotometricDistortion', views=(0, 1))
    both = build(photometric=both)(batch, True)['inputs']
    assert not torch.allclose(both['images'][0], plain[:, 0], atol=0.1)
    assert torch.equal(both['images'][1], views['images'][1])
    none = build(photometric=None)(batch, True)['inputs']
    torch.testing.assert_close(none['images'][1], plain[:, 1])


def test_a_transform_of_the_users_own_for_each_view_and_band():
    gains = [0.2, 0.5, 1., 0.]
    preprocessor = build(bands=4, photometric=dict(type='BandGain', gains=gains))
    batch = loader_batch(3, bands=4)
    views = preprocessor(batch, True)['inputs']
    assert preprocessor.photometric[0].calls == [
        (torch.uint8, (3, 4, 64, 64), torch.int64, (3, ), view) for view in (0, 1)]
    levels = [image * 50 + 100 for image in views['images']]
    torch.testing.assert_close(levels[0], (batch['inputs'][:, 0] // 2).float())
    drawn = torch.tensor(gains) * uniform(batch['view_keys'][:, 1], 100, 4)
    torch.testing.assert_close(
        levels[1], batch['inputs'][:, 1] * drawn[:, :, None, None], rtol=0, atol=1e-3)
    # the changed view is what is masked
    visible = ~views['masks'][1][:, None].expand_as(levels[1])
    assert torch.equal(views['masked_images'][1][visible], views['images'][1][visible])


def test_transforms_follow_each_other():
    batch = loader_batch()
    settings = [dict(type='PhotometricDistortion', views=(0, 1)),
                dict(type='BandGain', gains=[1., 1., 1.])]
    both = build(photometric=settings)(batch, True)['inputs']['images'][0]
    first = build(photometric=settings[:1])(batch, True)['inputs']['images'][0]
    assert torch.equal((both * 50 + 100).round(), ((first * 50 + 100).round() / 2).floor())


def test_masked_places_are_filled_and_visible_ones_kept():
    views = build()(loader_batch(), True)['inputs']
    for image, masked, mask in zip(views['images'], views['masked_images'], views['masks']):
        assert mask.dtype == torch.bool and mask.shape == (2, 64, 64)
        # 3 of the 4 cells of 32 x 32 pixels
        assert mask.flatten(1).sum(1).tolist() == [3 * 32**2] * 2
        assert torch.equal(mask, mask[:, ::32, ::32].repeat_interleave(32, 1)
                           .repeat_interleave(32, 2))
        mask = mask[:, None].expand_as(image)
        assert torch.equal(masked[~mask], image[~mask])
        mean = image.mean((2, 3), keepdim=True).expand_as(image)
        torch.testing.assert_close(masked[mask], mean[mask])


def test_views_have_masks_of_their_own():
    views = build(mask_cell=16)(loader_batch(32, 64), True)['inputs']
    assert (views['masks'][0] != views['masks'][1]).flatten(1).any(1).float().mean() > 0.9


def test_nothing_is_masked_by_a_ratio_of_zero():
    views = build(mask_ratio=0)(loader_batch(), True)['inputs']
    for image, masked_image, mask in zip(*(
            views[name] for name in ('images', 'masked_images', 'masks'))):
        assert torch.equal(image, masked_image) and not mask.any()


def test_a_sample_is_prepared_the_same_in_every_batch():
    batch = loader_batch(4)
    whole = build()(batch, True)['inputs']
    part = build()({key: value[2:3] for key, value in batch.items()}, True)['inputs']
    for key, values in whole.items():
        for view, value in enumerate(values):
            torch.testing.assert_close(part[key][view], value[2:3])


def test_the_mark_of_broken_images_stays_on_the_host(monkeypatch):
    batch, preprocessor = loader_batch(), build()
    moved, plain = [], preprocessor(batch, True)['inputs']
    cast_data = preprocessor.cast_data
    monkeypatch.setattr(preprocessor, 'cast_data',
                        lambda data: moved.append(data) or cast_data(data))
    marked = dict(batch, broken=torch.tensor([-1, 3]))
    views = preprocessor(marked, True)['inputs']
    assert set(moved[0]) == set(batch) and 'broken' in marked
    assert torch.equal(views['masked_images'][1], plain['masked_images'][1])


def test_autocast_changes_nothing():
    batch = loader_batch()
    plain = build()(copy.deepcopy(batch), True)['inputs']
    with torch.autocast('cpu', torch.bfloat16):
        other = build()(batch, True)['inputs']
    for key in plain:
        for a, b in zip(plain[key], other[key]):
            assert a.dtype == b.dtype and torch.equal(a, b)


def test_images_to_predict_are_only_normalised():
    images = [torch.full((2, 5, 7), 150, dtype=torch.uint8)] * 3
    samples = [DataSample() for _ in images]
    out = build(bands=2)(dict(inputs=images, data_samples=samples))
    assert torch.equal(out['inputs'], torch.ones(3, 2, 5, 7))
    assert len(out['data_samples']) == 3


def test_statistics_travel_with_the_model():
    assert set(build().state_dict()) == {'mean', 'std'}
