from types import SimpleNamespace

import torch
from mmengine.logging import MMLogger
from small_models import build_cmid, loader_batch

from cmid_mm.engine.hooks import MeasureStatisticsHook


def without_statistics():
    return build_cmid(data_preprocessor=dict(mean=None, std=None, bands=3))


def runner_of(model, samples=40):
    """The attributes of a runner that the hook reads: images that differ in brightness."""
    inputs = loader_batch(samples)['inputs']
    gain = torch.linspace(0.2, 1, samples)[:, None, None, None, None]
    inputs = (inputs * gain).to(torch.uint8)
    return inputs, SimpleNamespace(
        model=model, logger=MMLogger.get_current_instance(),
        train_dataloader=SimpleNamespace(dataset=[dict(inputs=x) for x in inputs]))


def test_statistics_are_those_of_the_views():
    model = without_statistics()
    preprocessor = model.data_preprocessor
    assert preprocessor.bands == 3 and preprocessor.mean.isnan().all()
    inputs, runner = runner_of(model)
    MeasureStatisticsHook().before_train(runner)
    levels = inputs.double().transpose(0, 2).flatten(1)
    torch.testing.assert_close(preprocessor.mean.double(), levels.mean(1), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        preprocessor.std.double(), levels.std(1, unbiased=False), rtol=1e-5, atol=0)
    # the views then have mean 0 and deviation 1
    images = torch.cat([preprocessor.normalize(x) for x in inputs.unbind(1)])
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), rtol=1e-4, atol=0)


def test_an_even_choice_of_many_images():
    model = without_statistics()
    inputs, runner = runner_of(model, 41)
    MeasureStatisticsHook(images=5).before_train(runner)
    expected = inputs[::10].float().mean((0, 1, 3, 4))
    torch.testing.assert_close(model.data_preprocessor.mean, expected, rtol=1e-5, atol=0)


def test_numbers_of_the_config_or_of_a_checkpoint_stay():
    model = build_cmid()
    before = model.data_preprocessor.mean.clone()
    MeasureStatisticsHook().before_train(runner_of(model)[1])
    assert torch.equal(model.data_preprocessor.mean, before)


def test_a_constant_band_has_the_deviation_one():
    model = without_statistics()
    inputs, runner = runner_of(model, 3)
    inputs[:, :, 1] = 7
    MeasureStatisticsHook().before_train(runner)
    assert model.data_preprocessor.std[1] == 1 and model.data_preprocessor.mean[1] == 7
