import pytest
from mmengine.config import Config
from tiny_run import CONFIGS

from cmid_mm.utils.config_keys import check_setting, check_top_level, follow, has_key, suggestion


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIGS / 'cmid' / 'cmid_resnet18_toy.py')


@pytest.mark.parametrize('key', [
    'model.num_matches', 'model.mask_stem', 'model.backbone.depth', 'model.backbone.style',
    'optim_wrapper.accumulative_counts', 'train_dataloader.prefetch_factor',
    'train_pipeline.1.area', 'custom_hooks.0.base_momentum', 'optim_wrapper.optimizer.eps'])
def test_settings_that_something_reads(cfg, key):
    check_setting(cfg, key)


@pytest.mark.parametrize('key, message', [
    ('model.num_match', "model has no 'num_match'; did you mean num_matches"),
    ('modle.num_matches', "the config has no 'modle'; did you mean model"),
    ('optim_wrapper.precison', "did you mean precision"),
    ('model.data_preprocessor.mask_cel', "model.data_preprocessor has no 'mask_cel'"),
])
def test_misspelt_settings_are_refused(cfg, key, message):
    with pytest.raises(ValueError, match=message):
        check_setting(cfg, key)


def test_only_the_first_part_counts_at_the_top(cfg):
    for key in ('model.gone', 'randomness', 'strategy.type', 'sync_bn'):
        check_top_level(cfg, key)
    with pytest.raises(ValueError, match="the config has no 'trian_cfg'; did you mean train_cfg"):
        check_top_level(cfg, 'trian_cfg.max_epochs')


def test_a_key_leads_through_dicts_and_lists():
    cfg = Config(dict(a=dict(b=[dict(c=1), 2])))
    assert follow(cfg, 'a.b.0.c') == (1, ['a', 'b', '0', 'c'], [])
    assert follow(cfg, 'a.b.0.d.e') == (dict(c=1), ['a', 'b', '0'], ['d', 'e'])
    assert follow(cfg, 'a.b.1.c') == (2, ['a', 'b', '1'], ['c'])
    for key, there in (('a.b.1', True), ('a.b.2', False), ('a.b.x', False), ('b', False)):
        assert has_key(cfg, key) is there, key


def test_suggestion():
    assert suggestion('modle', ['model', 'train_cfg']) == '; did you mean model?'
    assert suggestion('xyz', ['model']) == ''
