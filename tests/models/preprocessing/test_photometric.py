"""Photometric change: equal to the published pipeline, a pure function of the key."""
from collections import Counter
from itertools import permutations

import pytest
import torch
from golden_files import Golden
from mmengine.logging import MMLogger

from cmid_mm.models.preprocessing import photometric
from cmid_mm.models.preprocessing import photometric_functional as functional
from cmid_mm.models.preprocessing.photometric import (
    JITTER_OPERATIONS,
    PhotometricDistortion,
    PhotometricParameters,
    jitter,
)
from cmid_mm.utils.keyed_random import view_key

OFF = dict(jitter_prob=0, blur_prob=0, noise_prob=0, solarize_prob=0, gray_prob=0)


@pytest.fixture(scope='module')
def golden():
    return Golden('augment_functional')


@pytest.fixture(scope='module')
def draws():
    """The parameters of 20000 views with the published settings."""
    return PhotometricDistortion().draw(keys_of(20_000))


def keys_of(count, seed=5):
    return torch.tensor([view_key(seed, 0, sample, 1) for sample in range(count)])


def random_images(batch=4, bands=3, height=37, width=29):
    """Smooth images with full range, as noise alone hides errors of the borders."""
    coarse = torch.rand(batch, bands, 5, 4) * 300 - 22
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode='bilinear')
    return (smooth + torch.randn_like(smooth) * 6).clamp(0, 255).to(torch.uint8)


def pair(golden, key):
    """An image and the expected result twice, as batches of unequal members.

    The companion before it has other contents, so that a parameter or mean that is mixed
    between the images changes the result.
    """
    image, expected = (golden.tensor(name).permute(2, 0, 1) for name in ('image', key))
    return torch.stack([image.flip(0) // 2, image]), expected


def assert_equal_to_opencv(result, expected, key):
    """Equal; beyond the last multiple of 32 columns hue may miss a rare rounding."""
    body = expected.shape[-1] // 32 * 32
    assert torch.equal(result[..., :body], expected[..., :body]), key
    distance = (result.int() - expected.int()).abs()
    limit = 1e-3 if 'hue' in key else 0
    assert distance.max() <= 1, key
    assert (distance > 0).double().mean() <= limit, key


def neutral(batch, **changes):
    """Parameters that change nothing, but for the given ones."""
    no, one = torch.zeros(batch, dtype=torch.bool), torch.ones(batch, dtype=torch.float64)
    values = dict(
        jitter=~no, blur=no, noise=no, solarize=no, gray=no, brightness=one, contrast=one,
        saturation=one, hue=one * 0, order=torch.arange(4).expand(batch, 4),
        blur_size=torch.full((batch,), 3), blur_sigma=one, noise_variance=one)
    return PhotometricParameters(**(values | changes))


def adjust(name, images, factors):
    """One operation of the jitter alone."""
    return jitter(images, neutral(len(images), **{name: factors}))


# ------------------------------------------------------------- single operations, exactly
@pytest.mark.parametrize('name', JITTER_OPERATIONS)
def test_jitter_operations_equal_the_published_ones(golden, name):
    for key, match in golden.matching(rf'{name}_(-?[\d.]+)'):
        images, expected = pair(golden, key)
        factors = torch.tensor([1 if name != 'hue' else 0.5, float(match[1])],
                               dtype=torch.float64)
        assert_equal_to_opencv(adjust(name, images, factors)[1], expected, key)


def test_blur_equals_opencv(golden):
    cases = golden.matching(r'blur_k(\d+)_s([\d.]+)')
    largest = max(int(match[1]) for _, match in cases)
    for key, match in cases:
        images, expected = pair(golden, key)
        sizes, sigmas = torch.tensor([1, int(match[1])]), torch.tensor(
            [0.3, float(match[2])], dtype=torch.float64)
        result = functional.gaussian_blur(
            images, functional.gaussian_weights(sizes, sigmas, largest))
        assert torch.equal(result[1], expected), key
        assert torch.equal(result[0], images[0])


def test_noise_solarize_gray_and_normalisation_equal_the_published_ones(golden):
    images, expected = pair(golden, 'noise_out')
    noise = golden.tensor('noise_field').permute(2, 0, 1)
    result = functional.add_noise(images, torch.stack([noise * 0, noise]))
    assert torch.equal(result[1], expected) and torch.equal(result[0], images[0])
    for key, match in golden.matching(r'solarize_(\d+)'):
        images, expected = pair(golden, key)
        assert torch.equal(functional.solarize(images, int(match[1]))[1], expected)
    images, expected = pair(golden, 'to_gray')
    assert torch.equal(functional.to_gray(images)[1], expected)
    images, expected = pair(golden, 'normalized_hwc')
    mean, std = (golden.tensor(key, torch.float32) * 255 for key in ('mean', 'std'))
    torch.testing.assert_close(
        functional.normalize(images, mean, std)[1], expected, rtol=1e-6, atol=1e-6)


# --------------------------------------------------------------------- the random order
def test_jitter_in_the_published_order(golden):
    factors = {name: float(golden.matching(rf'{name}_(-?[\d.]+)')[0][1][1])
               for name in JITTER_OPERATIONS}
    for key, match in golden.matching(r'jitter_order_(.*)_first_factors'):
        order = [JITTER_OPERATIONS.index(name) for name in match[1].split('_')]
        images, expected = pair(golden, key)
        parameters = neutral(
            2, order=torch.tensor([order[::-1], order]),
            **{name: torch.tensor([1, value], dtype=torch.float64)
               for name, value in factors.items()})
        assert_equal_to_opencv(jitter(images, parameters)[1], expected, key)


@pytest.mark.parametrize('bands', [3, 4])
def test_jitter_applies_every_order_as_the_single_operations_would(bands):
    """Of other than three bands brightness and contrast alone."""
    orders = torch.tensor(list(permutations(range(4))))
    images = random_images(len(orders), bands, height=11, width=13)
    drawn = PhotometricDistortion(jitter_prob=1).draw(keys_of(len(orders)))
    result = jitter(images, drawn._replace(order=orders))
    for b, order in enumerate(orders.tolist()):
        expected = images[b:b + 1]
        for name in (JITTER_OPERATIONS[i] for i in order if i < 2 or bands == 3):
            expected = adjust(name, expected, getattr(drawn, name)[b:b + 1])
        assert torch.equal(result[b:b + 1], expected), order
        assert not torch.equal(result[b], images[b])


# -------------------------------------------------------------------------- the draws
def test_jitter_draws_follow_the_published_distribution(draws):
    golden = Golden('crop_and_jitter_distribution')
    count = int(golden['n'])
    for name, (mean, std, low, high) in golden.json('jitter_mean_std').items():
        values = getattr(draws, name).double()
        error = std * (1 / count + 1 / len(values)) ** 0.5
        assert values.mean().item() == pytest.approx(mean, abs=4 * error)
        assert values.std().item() == pytest.approx(std, abs=4 * error)
        # The extremes of n uniform numbers lie about (high - low) / n from the ends.
        margin = 15 * (high - low) / min(count, len(values))
        assert values.min().item() == pytest.approx(low, abs=margin)
        assert values.max().item() == pytest.approx(high, abs=margin)
        assert values.sort().values.diff().max() < margin


def test_blur_draws_follow_the_published_distribution(draws):
    golden = Golden('crop_and_jitter_distribution')
    expected = golden.json('blur_ksize_freq')
    assert {str(size) for size in draws.blur_size.tolist()} == set(expected)
    for size, frequency in expected.items():
        found = (draws.blur_size == int(size)).double().mean().item()
        error = (frequency * (1 - frequency) * 2 / int(golden['n'])) ** 0.5
        assert found == pytest.approx(frequency, abs=4 * error)


def test_ranges_of_blur_and_noise(draws):
    for values, low, high in ((draws.blur_sigma, 0.1, 2.0),
                              (draws.noise_variance, 10, 50)):
        scaled = (values.double() - low) / (high - low)
        assert 0 <= scaled.min() < 1e-3
        assert 1 - 1e-3 < scaled.max() <= 1 + 1e-6
        assert scaled.mean().item() == pytest.approx(0.5, abs=0.01)
        assert scaled.var().item() == pytest.approx(1 / 12, abs=0.003)


def test_probabilities_are_the_published_ones(draws):
    # Columns: ColorJitter, GaussianBlur, GaussNoise, Solarize, ToGray, then steps that
    # always happen.
    published = Golden('crop_and_jitter_distribution')['probabilities'][:5].tolist()
    names = ('jitter', 'blur', 'noise', 'solarize', 'gray')
    assert list(PhotometricDistortion().probabilities.values()) == published
    for name, probability in zip(names, published, strict=True):
        error = (probability * (1 - probability) / len(draws.jitter)) ** 0.5
        found = getattr(draws, name).double().mean().item()
        assert found == pytest.approx(probability, abs=4 * error)


def test_every_order_is_equally_likely(draws):
    counts = Counter(map(tuple, draws.order.tolist()))
    expected = len(draws.order) / 24
    assert len(counts) == 24
    assert sum((n - expected) ** 2 for n in counts.values()) / expected < 23 + 4 * 46**0.5


def test_choices_are_independent_of_one_another(draws):
    columns = torch.stack([value.double() for name, value in draws._asdict().items()
                           if name not in ('order', 'blur')])
    columns = torch.cat([columns, draws.order.argsort(1)[:, :3].double().T])
    correlation = torch.corrcoef(columns) - torch.eye(len(columns))
    # The ranks of three operations exclude one another.
    correlation[-3:, -3:] = 0
    assert correlation.abs().max() < 5 / len(draws.order) ** 0.5


# -------------------------------------------------------------------- the whole change
def test_whole_change_is_the_published_sequence():
    images, keys = random_images(24), keys_of(24)
    distort = PhotometricDistortion(noise_prob=0, solarize_prob=0.5, gray_prob=0.5)
    drawn = distort.draw(keys)
    assert len(set(zip(drawn.solarize.tolist(), drawn.gray.tolist(), strict=True))) == 4
    result = distort(images, keys, 1)
    for b, image in enumerate(jitter(images, drawn).split(1)):
        image = functional.gaussian_blur(image, functional.gaussian_weights(
            drawn.blur_size[b:b + 1], drawn.blur_sigma[b:b + 1], 7))
        image = functional.solarize(image) if drawn.solarize[b] else image
        image = functional.to_gray(image) if drawn.gray[b] else image
        assert torch.equal(result[b], image[0])


@pytest.mark.parametrize('bands', [1, 3, 4])
def test_all_images_at_once_are_changed_as_the_chosen_ones_alone(bands, monkeypatch):
    """As on a GPU, where the host would have to wait for the choice."""
    images, keys = random_images(24, bands=bands), keys_of(24)
    before = images.clone()
    chosen = PhotometricDistortion()(images, keys, 1)
    monkeypatch.setattr(photometric, 'SELECTIVE_DEVICES', ())
    assert torch.equal(PhotometricDistortion()(images, keys, 1), chosen)
    monkeypatch.setattr(photometric, 'SELECTIVE_DEVICES', ('cpu', ))
    monkeypatch.setattr(photometric, '_LEVELS_AT_A_TIME', 1)
    assert torch.equal(PhotometricDistortion()(images, keys, 1), chosen)
    assert torch.equal(images, before) and not torch.equal(chosen, before)


def test_noise_has_the_drawn_variance():
    # In the middle of the range nothing is clipped; truncation takes half a level off
    # the mean and adds 1/12 to the variance.
    images = torch.full((6, 3, 96, 96), 100, dtype=torch.uint8)
    distort, keys = PhotometricDistortion(**(OFF | dict(noise_prob=1))), keys_of(6)
    noise = distort(images, keys, 1).double() - 100
    variance = distort.draw(keys).noise_variance.double()
    assert noise.mean((1, 2, 3)).sub(-0.5).abs().max() < 0.2
    assert (noise.var((1, 2, 3)) / (variance + 1 / 12) - 1).abs().max() < 0.05
    bands = torch.corrcoef(noise.transpose(0, 1).flatten(1)) - torch.eye(3)
    assert bands.abs().max() < 5 / noise[:, 0].numel() ** 0.5
    pixels = torch.corrcoef(
        torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()]))
    assert abs(pixels[0, 1]) < 5 / noise.numel() ** 0.5


@pytest.mark.parametrize('name', ['nothing', 'jitter', 'blur', 'noise', 'solarize', 'gray'])
def test_each_change_alone_changes_something(name):
    images = random_images()
    before = images.clone()
    chosen = {} if name == 'nothing' else {f'{name}_prob': 1}
    distort = PhotometricDistortion(**(OFF | chosen), blur_sigma=(0.8, 2))
    changed = (distort(images, keys_of(4), 1) != images).flatten(1).any(1)
    assert not changed.any() if name == 'nothing' else changed.all()
    assert torch.equal(images, before)


def test_only_the_chosen_views_are_changed():
    images, keys = random_images(), keys_of(4)
    for views in ((), (0, ), (0, 1)):
        distort = PhotometricDistortion(views)
        for view in (0, 1):
            same = torch.equal(distort(images, keys, view), images)
            assert same == (view not in views)


def test_result_is_a_function_of_the_key():
    images, keys = random_images(6), keys_of(6)
    distort = PhotometricDistortion()
    result = distort(images, keys, 1)
    order = torch.tensor([4, 0, 5])
    assert torch.equal(distort(images[order], keys[order], 1), result[order])
    assert torch.equal(distort(images[2:3], keys[2:3], 1), result[2:3])
    other = distort(images, keys_of(6, seed=6), 1)
    assert (other != result).flatten(1).any(1).all()
    same = distort(images[:1].expand(6, -1, -1, -1), keys, 1)
    assert len({image.numpy().tobytes() for image in same}) == 6


def test_a_cpu_computes_only_what_was_drawn(monkeypatch):
    computed = Counter()
    for name in ('adjust_contrast', 'adjust_saturation', 'adjust_hue', 'gaussian_blur',
                 'add_noise', 'solarize', 'to_gray'):
        operation = getattr(functional, name)

        def count(images, *values, name=name, operation=operation):
            computed[name] += len(images)
            return operation(images, *values)

        monkeypatch.setattr(functional, name, count)
    distort, keys = PhotometricDistortion(blur_prob=0.5), keys_of(32)
    drawn = distort.draw(keys)
    distort(random_images(32), keys, 1)
    jittered = drawn.jitter.sum().item()
    assert computed == dict(
        adjust_contrast=jittered, adjust_saturation=jittered, adjust_hue=jittered,
        gaussian_blur=drawn.blur.sum().item(), add_noise=drawn.noise.sum().item(),
        solarize=drawn.solarize.sum().item(), to_gray=drawn.gray.sum().item())


def test_levels_may_be_floating_point_numbers():
    """Another transform may have changed the images before."""
    images, keys = random_images(24), keys_of(24)
    distort = PhotometricDistortion()
    assert torch.equal(distort(images.float(), keys, 1), distort(images, keys, 1))


def test_memory_format_and_autocast_change_nothing():
    images, keys = random_images(), keys_of(4)
    distort = PhotometricDistortion()
    expected = distort(images, keys, 1)
    assert torch.equal(distort(images.to(memory_format=torch.channels_last), keys, 1), expected)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(distort(images, keys, 1), expected)


@pytest.mark.parametrize('bands', [1, 2, 4, 8])
@pytest.mark.parametrize('size', [(37, 29), (4, 5)])
def test_any_bands_and_odd_sizes(bands, size):
    images, keys = random_images(16, bands, *size), keys_of(16)
    distort = PhotometricDistortion()
    result = distort(images, keys, 1)
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    # A gray or recoloured image is impossible, so bands are changed alike but not mixed.
    off = PhotometricDistortion(noise_prob=0)
    bright = images.clone()
    bright[:, 0] = 255
    drawn = off.draw(keys)._replace(contrast=torch.ones(16))
    changed, other = (off.apply(x, keys, drawn) for x in (images, bright))
    assert torch.equal(changed[:, 1:], other[:, 1:])


def test_other_bands_are_logged_once():
    photometric._report_missing_colour.cache_clear()
    records = []
    log = MMLogger.get_instance('photometric_test')
    log.addFilter(lambda record: records.append(record) or True)
    distort = PhotometricDistortion()
    for bands in (4, 3, 4):
        distort(random_images(2, bands), keys_of(2), 1)
    record, = records
    assert record.levelname == 'INFO'
    assert all(word in record.getMessage() for word in (
        '4 bands', 'saturation', 'hue', 'gray', 'contrast'))


def test_nothing_waits_for_the_device():
    # Tensors of the meta device have no values, so whatever reads one fails there, as does
    # a constant that was made on the host.
    keys = torch.empty(3, dtype=torch.int64, device='meta')
    for bands in (3, 4):
        images = torch.empty(3, bands, 40, 40, dtype=torch.uint8, device='meta')
        assert PhotometricDistortion()(images, keys, 1).shape == images.shape
