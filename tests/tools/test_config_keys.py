import sys

import pytest
from mmengine.config import Config


@pytest.fixture
def keys(launch):
    import _config_keys  # noqa: F401
    return sys.modules['_config_keys']


def test_only_the_first_part_counts_at_the_top(keys):
    cfg = Config(dict(model=dict(), train_cfg=dict()))
    for key in ('model.gone', 'randomness', 'strategy.type', 'sync_bn'):
        keys.check_top_level(cfg, key)
    with pytest.raises(ValueError, match="the config has no 'trian_cfg'; did you mean train_cfg"):
        keys.check_top_level(cfg, 'trian_cfg.max_epochs')


@pytest.mark.parametrize('key, there', [
    ('a.b', True), ('a.b.0.c', True), ('a.b.1', True), ('a.b.2', False), ('a.b.x', False),
    ('a.b.1.c', False), ('b', False)])
def test_a_key_leads_through_dicts_and_lists(keys, key, there):
    assert keys.has_key(Config(dict(a=dict(b=[dict(c=1), 2]))), key) is there


def test_suggestion(keys):
    assert keys.suggestion('modle', ['model', 'train_cfg']) == '; did you mean model?'
    assert keys.suggestion('xyz', ['model']) == ''
