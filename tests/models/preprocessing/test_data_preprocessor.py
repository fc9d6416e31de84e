import copy

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from small_models import loader_batch


def build(bands=3, **settings):
    return MODELS.build(dict(type='CMIDDataPreprocessor', mean=[100.] * bands,
                             std=[50.] * bands, **settings))


def test_first_view_keeps_its_colours_and_the_second_does_not():
    batch = loader_batch()
    views = build()(batch, True)['inputs']
    plain = (batch['inputs'].float() - 100) / 50
    torch.testing.assert_close(views['images'][0], plain[:, 0])
    assert not torch.allclose(views['images'][1], plain[:, 1], atol=0.1)
    both = build(symmetric=True)(batch, True)['inputs']
    assert not torch.allclose(both['images'][0], plain[:, 0], atol=0.1)
    assert torch.equal(both['images'][1], views['images'][1])
    none = build(photometric=None)(batch, True)['inputs']
    torch.testing.assert_close(none['images'][1], plain[:, 1])


def test_masked_places_are_filled_and_visible_ones_kept():
    views = build()(loader_batch(), True)['inputs']
    for image, masked, mask in zip(views['images'], views['masked_images'], views['masks']):
        assert mask.dtype == torch.bool and mask.flatten(1).sum(1).tolist() == [3, 3]
        fine = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None].expand_as(image)
        assert torch.equal(masked[~fine], image[~fine])
        mean = image.mean((2, 3), keepdim=True).expand_as(image)
        torch.testing.assert_close(masked[fine], mean[fine])


def test_views_have_masks_of_their_own():
    batch = loader_batch(32, 64)
    views = build(mask_cell=16)(batch, True)['inputs']
    assert (views['masks'][0] != views['masks'][1]).flatten(1).any(1).float().mean() > 0.9


def test_a_sample_is_prepared_the_same_in_any_company():
    batch = loader_batch(4)
    whole = build()(batch, True)['inputs']
    part = build()({key: value[2:3] for key, value in batch.items()}, True)['inputs']
    for key, values in whole.items():
        for view, value in enumerate(values):
            torch.testing.assert_close(part[key][view], value[2:3])


def test_the_mark_of_broken_images_stays_behind(monkeypatch):
    batch, preprocessor = loader_batch(), build()
    moved, plain = [], preprocessor(batch, True)['inputs']
    cast_data = preprocessor.cast_data
    monkeypatch.setattr(preprocessor, 'cast_data',
                        lambda data: moved.append(data) or cast_data(data))
    marked = dict(batch, broken=torch.tensor([-1, 3]))
    views = preprocessor(marked, True)['inputs']
    assert set(moved[0]) == set(batch) and 'broken' in marked
    assert torch.equal(views['masked_images'][1], plain['masked_images'][1])


def test_another_epoch_is_prepared_otherwise():
    batch = loader_batch()
    other = copy.deepcopy(batch)
    other['view_keys'] = loader_batch(epoch=1)['view_keys']
    first, second = (build(mask_cell=16)(data, True)['inputs'] for data in (batch, other))
    assert not torch.equal(first['images'][1], second['images'][1])
    assert not torch.equal(first['masks'][0], second['masks'][0])


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


@pytest.mark.parametrize('settings,hint', [
    (dict(mask_ratio=1.0), 'mask_ratio'), (dict(mask_fill='noise'), 'mask_fill'),
    (dict(mask_cell=0), 'mask_cell')])
def test_nonsense_is_refused(settings, hint):
    with pytest.raises(ValueError, match=hint):
        build(**settings)


def test_statistics_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match='2 means'):
        MODELS.build(dict(type='CMIDDataPreprocessor', mean=[1, 2], std=[1]))
    with pytest.raises(ValueError, match='positive'):
        MODELS.build(dict(type='CMIDDataPreprocessor', mean=[1, 2], std=[1, 0]))


def test_wrong_bands_and_sizes_are_refused():
    with pytest.raises(ValueError, match='4 bands'):
        build()(loader_batch(bands=4), True)
    with pytest.raises(ValueError, match='72 px'):
        build()(loader_batch(image_size=72), True)
