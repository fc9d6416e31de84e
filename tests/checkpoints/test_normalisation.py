"""A checkpoint's normalisation compared with a config's."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub

from cmid_mm.checkpoints.normalisation import check_normalisation, running_config

MEAN, STD = [86.182, 91.928, 85.374], [34.655, 34.476, 35.879]
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
# as in a training checkpoint: float32
META = dict(bands=3, mean=[86.18199920654297, 91.9280014038086, 85.37400054931641],
            std=[34.654998779296875, 34.47600173950195, 35.879001617431644])
FIX = ('--cfg-options model.data_preprocessor.mean=[86.182,91.928,85.374] '
       'model.data_preprocessor.std=[34.655,34.476,35.879]')
PLAIN = dict(type='SegDataPreProcessor')


def config(preprocessor=None, pipeline=({'type': 'LoadImageFromFile'}, ), **top):
    model = dict(type='EncoderDecoder')
    if preprocessor is not None:
        model['data_preprocessor'] = preprocessor
    loader = dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=list(pipeline))))
    return dict(model=model, train_dataloader=loader, **top)


def preprocessor(mean=MEAN, std=STD, bgr_to_rgb=True, **more):
    return dict(PLAIN, mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **more)


def in_pipeline(**numbers):
    return [dict(type='LoadImageFromFile'), dict(type='mmseg.Normalize', **numbers)]


@pytest.mark.parametrize('meta, given', [
    (META, config(preprocessor())), (META, config(preprocessor(MEAN * 2, STD * 2))),
    (META, config(data_preprocessor=preprocessor())),
    (META, config(PLAIN, in_pipeline(mean=MEAN, std=STD))),
    # one number for all bands
    (dict(bands=3, mean=[100.] * 3, std=[50.] * 3), config(preprocessor([100.], [50.]))),
    # the order of channels means nothing for four bands
    (dict(bands=4, mean=[1., 2., 3., 4.], std=[1.] * 4),
     config(preprocessor([1., 2., 3., 4.], [1.] * 4, False)))])
def test_agreement(meta, given):
    assert check_normalisation(meta, given) == (True, 'normalisation agrees')


@pytest.mark.parametrize('given, part', [
    (config(preprocessor(**IMAGENET)), (
        'normalisation differs: the checkpoint was trained with mean [86.182,91.928,85.374] '
        'std [34.655,34.476,35.879], model.data_preprocessor has mean '
        f'[123.675,116.28,103.53] std [58.395,57.12,57.375]: {FIX}')),
    (config(preprocessor(mean=[86.2, 91.928, 85.374])), FIX),
    (config(preprocessor(std=[34.655, 34.476, 36.])), FIX),
    (config(preprocessor(MEAN[::-1], STD[::-1])), FIX),
    (config(PLAIN), f'model.data_preprocessor has no mean and std: {FIX}'),
    (config(preprocessor(IMAGENET['mean'] * 2, IMAGENET['std'] * 2)),
     'model.data_preprocessor.mean=[86.182,91.928,85.374,86.182,91.928,85.374]'),
    # of the second date alone
    (config(preprocessor(MEAN + IMAGENET['mean'], STD * 2)), 'mean=[86.182'),
    (config(dict(PLAIN, data_preprocessor=preprocessor(**IMAGENET))),
     'model.data_preprocessor.data_preprocessor.mean=[86.182'),
    (config(data_preprocessor=preprocessor(**IMAGENET)),
     '--cfg-options data_preprocessor.mean='),
    # mmseg's configs keep both; the model's is the one that is used
    (config(preprocessor(**IMAGENET), data_preprocessor=preprocessor()), FIX),
    (config(PLAIN, in_pipeline(**IMAGENET)), 'Normalize of every pipeline')])
def test_differences_are_shown_with_the_fix(given, part):
    agrees, text = check_normalisation(META, given)
    assert agrees is False and part in text
    assert ('Normalize' in part) != ('--cfg-options' in text)


@pytest.mark.parametrize('loader, given, fix', [
    ('LoadImageFromFile', preprocessor(), None),
    ('LoadImageFromFile', preprocessor(bgr_to_rgb=False), 'preprocessor.bgr_to_rgb=True'),
    ('mmpretrain.LoadRSImage', preprocessor(bgr_to_rgb=False), None),
    ('mmpretrain.LoadRSImage', preprocessor(), 'model.data_preprocessor.bgr_to_rgb=False'),
    ('opencd.MultiImgLoadImageFromFile', preprocessor(bgr_to_rgb=False), 'bgr_to_rgb=True'),
    ('LoadSomethingElse', preprocessor(bgr_to_rgb=False), None),
    # classification calls the switch to_rgb
    ('LoadImageFromFile', dict(type='ClsDataPreprocessor', mean=MEAN, std=STD),
     'model.data_preprocessor.to_rgb=True'),
    ('LoadImageFromFile', dict(type='ClsDataPreprocessor', mean=MEAN, std=STD, to_rgb=True),
     None)])
def test_order_of_channels(loader, given, fix):
    agrees, text = check_normalisation(META, config(given, [dict(type=loader)]))
    assert agrees is (fix is None) and (fix or '') in text


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


@pytest.mark.parametrize('meta,given', [
    ({}, config(preprocessor())), (dict(mean=None, std=None), None), (META, None),
    (META, dict(a=1)), (META, dict(model=None))])
def test_without_information_nothing_is_claimed(meta, given):
    assert check_normalisation(meta, given).agrees is None


def test_the_running_config_is_parsed(tmp_path):
    """As RuntimeInfoHook writes it before the weights are initialised."""
    hub = MessageHub.get_instance(str(tmp_path))
    assert MessageHub.get_current_instance() is hub and running_config() is None
    written = Config(config(preprocessor(), names={'no identifier': [None, (-1, 2.5)], 3: True},
                            nested=dict(deep={'a b': dict(c='d')}), rate=1e-4))
    hub.update_info('cfg', written.pretty_text)
    found = running_config()
    assert found == dict(written.to_dict(), names={'no identifier': [None, [-1, 2.5]], 3: True})
    for text in ('model = <object>', 'model = \0', '(' * 500):
        hub.update_info('cfg', text)
        assert running_config() is None


@pytest.mark.parametrize('text', [
    "open('executed', 'w')", "model = dict(a=open('executed', 'w'))",
    "import os\nos.mkdir('executed')"])
def test_the_config_in_a_checkpoint_is_never_executed(text, tmp_path, monkeypatch):
    """A run that resumes has the text of its config from the checkpoint."""
    monkeypatch.chdir(tmp_path)
    MessageHub.get_instance(str(tmp_path)).load_state_dict(dict(
        log_scalars={}, resumed_keys={}, runtime_info=dict(cfg=text)))
    check_normalisation(META, running_config())
    assert not Path('executed').exists()
