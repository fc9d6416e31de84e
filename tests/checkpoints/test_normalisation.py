"""A checkpoint's normalisation beside a config's."""
import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub

from cmid_mm.checkpoints.normalisation import check_normalisation, running_config

MEAN, STD = [86.182, 91.928, 85.374], [34.655, 34.476, 35.879]
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
# as a training checkpoint says it: float32
META = dict(bands=3, mean=[86.18199920654297, 91.9280014038086, 85.37400054931641],
            std=[34.654998779296875, 34.47600173950195, 35.879001617431644])
CURE = ('--cfg-options model.data_preprocessor.mean=[86.182,91.928,85.374] '
        'model.data_preprocessor.std=[34.655,34.476,35.879]')


def config(preprocessor=None, pipeline=({'type': 'LoadImageFromFile'}, ), **top):
    model = dict(type='EncoderDecoder')
    if preprocessor is not None:
        model['data_preprocessor'] = preprocessor
    loader = dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=list(pipeline))))
    return Config(dict(model=model, train_dataloader=loader, **top))


def preprocessor(mean=MEAN, std=STD, bgr_to_rgb=True, **more):
    return dict(type='SegDataPreProcessor', mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **more)


def test_agreement():
    verdict = check_normalisation(META, config(preprocessor()))
    assert verdict.agrees is True and verdict.text == 'normalisation agrees'


def test_other_numbers_are_shown_with_the_cure():
    verdict = check_normalisation(META, config(preprocessor(**IMAGENET)))
    assert verdict.agrees is False
    assert verdict.text == (
        'normalisation differs: the checkpoint was trained with mean [86.182,91.928,85.374] '
        'std [34.655,34.476,35.879], model.data_preprocessor has mean '
        f'[123.675,116.28,103.53] std [58.395,57.12,57.375]: {CURE}')


@pytest.mark.parametrize('change', [dict(mean=[86.2, 91.928, 85.374]),
                                    dict(std=[34.655, 34.476, 36.]),
                                    dict(mean=MEAN[::-1], std=STD[::-1])])
def test_every_number_counts(change):
    assert check_normalisation(META, config(preprocessor(**change))).agrees is False


def test_two_dates_of_change_detection():
    assert check_normalisation(META, config(preprocessor(MEAN * 2, STD * 2))).agrees
    verdict = check_normalisation(META, config(preprocessor(
        IMAGENET['mean'] * 2, IMAGENET['std'] * 2)))
    assert ('model.data_preprocessor.mean=[86.182,91.928,85.374,86.182,91.928,85.374]'
            in verdict.text)
    # the second date alone is wrong
    assert check_normalisation(META, config(preprocessor(
        MEAN + IMAGENET['mean'], STD * 2))).agrees is False


def test_one_number_for_all_bands():
    meta = dict(bands=3, mean=[100.] * 3, std=[50.] * 3)
    assert check_normalisation(meta, config(preprocessor([100.], [50.]))).agrees


def test_nested_preprocessor():
    nested = dict(type='MultiBranchDataPreprocessor', data_preprocessor=preprocessor(**IMAGENET))
    verdict = check_normalisation(META, config(nested))
    assert 'model.data_preprocessor.data_preprocessor.mean=[86.182' in verdict.text


def test_top_level_preprocessor_holds_where_the_model_has_none():
    assert check_normalisation(META, config(data_preprocessor=preprocessor())).agrees
    verdict = check_normalisation(META, config(data_preprocessor=preprocessor(**IMAGENET)))
    assert '--cfg-options data_preprocessor.mean=' in verdict.text
    # mmseg's configs keep both; the model's is the one that is used
    both = config(preprocessor(**IMAGENET), data_preprocessor=preprocessor())
    assert check_normalisation(META, both).agrees is False


def test_normalize_in_the_pipeline():
    pipeline = [dict(type='LoadImageFromFile'),
                dict(type='mmseg.Normalize', mean=MEAN, std=STD)]
    plain = dict(type='SegDataPreProcessor')
    assert check_normalisation(META, config(plain, pipeline)).agrees
    pipeline[1].update(IMAGENET)
    verdict = check_normalisation(META, config(plain, pipeline))
    assert 'Normalize of every pipeline' in verdict.text and '--cfg' not in verdict.text


def test_nothing_normalises():
    verdict = check_normalisation(META, config(dict(type='SegDataPreProcessor')))
    assert verdict.agrees is False
    assert f'model.data_preprocessor has no mean and std: {CURE}' in verdict.text


@pytest.mark.parametrize('loader,bgr_to_rgb,agrees,cure', [
    ('LoadImageFromFile', True, True, None),
    ('LoadImageFromFile', False, False, 'model.data_preprocessor.bgr_to_rgb=True'),
    ('mmpretrain.LoadRSImage', False, True, None),
    ('mmpretrain.LoadRSImage', True, False, 'model.data_preprocessor.bgr_to_rgb=False'),
    ('opencd.MultiImgLoadImageFromFile', False, False, 'bgr_to_rgb=True'),
    ('LoadSomethingElse', False, True, None)])
def test_order_of_channels(loader, bgr_to_rgb, agrees, cure):
    verdict = check_normalisation(
        META, config(preprocessor(bgr_to_rgb=bgr_to_rgb), [dict(type=loader)]))
    assert verdict.agrees is agrees
    assert cure is None or cure in verdict.text


def test_classification_calls_the_switch_to_rgb():
    cls = dict(type='ClsDataPreprocessor', mean=MEAN, std=STD)
    assert 'model.data_preprocessor.to_rgb=True' in check_normalisation(META, config(cls)).text
    assert check_normalisation(META, config(dict(cls, to_rgb=True))).agrees


def test_order_means_nothing_for_four_bands():
    meta = dict(bands=4, mean=[1., 2., 3., 4.], std=[1.] * 4)
    assert check_normalisation(
        meta, config(preprocessor([1., 2., 3., 4.], [1.] * 4, False))).agrees


@pytest.mark.parametrize('arguments,agrees', [
    (dict(value_range=(0, 10000)), True), (dict(value_range=[[0, 10000]] * 3), True),
    (dict(value_range=(0, 4000)), False), (dict(), False),
    (dict(value_range=(0, 10000), band_indices=(2, 1, 0)), False)])
@pytest.mark.parametrize('loader', ['LoadRSImage', 'LoadRSImagePair'])
def test_how_raw_values_become_bytes(loader, arguments, agrees):
    meta = dict(META, loading=dict(bands=3, band_indices=None,
                                   value_range=[[0., 10000.]] * 3))
    verdict = check_normalisation(meta, config(
        preprocessor(bgr_to_rgb=False), [dict(type=f'mmpretrain.{loader}', **arguments)]))
    assert verdict.agrees is agrees


@pytest.mark.parametrize('meta,cfg', [
    ({}, config(preprocessor())), (dict(mean=None, std=None), None), (META, None),
    (META, Config(dict(a=1))), (META, Config(dict(model=None)))])
def test_without_information_nothing_is_claimed(meta, cfg):
    assert check_normalisation(meta, cfg).agrees is None


def test_running_config(tmp_path):
    """As RuntimeInfoHook writes it before the weights are initialised."""
    hub = MessageHub.get_instance(str(tmp_path))
    assert MessageHub.get_current_instance() is hub and running_config() is None
    hub.update_info('cfg', config(preprocessor()).pretty_text)
    assert running_config().model.data_preprocessor.mean == MEAN
    hub.update_info('cfg', 'model = <object>')
    assert running_config() is None
