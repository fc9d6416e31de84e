import pytest
from mmengine.config import Config
from tiny_run import CONFIGS

from cmid_mm.benchmark.variants import (
    BUILT_IN,
    PLAIN,
    Variant,
    apply_variant,
    parse_variant,
    parse_variants,
)


@pytest.fixture
def cfg():
    return Config.fromfile(CONFIGS / 'cmid' / 'cmid_resnet18_toy.py')


def test_built_in():
    assert parse_variant('default').options == {}
    published = parse_variant('published')
    assert published.options == PLAIN and published.options['model.fused_attention'] is False
    assert published.teacher_loop and published.published_loader
    assert not parse_variant('default').teacher_loop


def test_one_change_away_from_published():
    steps = [variant for name, variant in BUILT_IN.items() if name.startswith('published+')]
    assert len(steps) == len(PLAIN)
    for variant in steps:
        changed = {key for key in PLAIN if variant.options[key] != PLAIN[key]}
        assert set(variant.options) == set(PLAIN)
        assert len(changed) + (not variant.teacher_loop) == 1, variant.name


def test_options_are_parsed():
    variant = parse_variant("mine:model.num_matches=10,optim_wrapper.optimizer.lr=1e-3,"
                            "model.mask_mode=replace,a=[1,2],b=(0.5,x),c=None,d=True")
    assert variant.name == 'mine' and not variant.teacher_loop
    assert variant.options == {
        'model.num_matches': 10, 'optim_wrapper.optimizer.lr': 1e-3,
        'model.mask_mode': 'replace', 'a': [1, 2], 'b': (0.5, 'x'), 'c': None, 'd': True}


def test_options_on_top_of_a_built_in_variant():
    variant = parse_variant('published:train_dataloader.batch_size=2')
    assert variant.options == PLAIN | {'train_dataloader.batch_size': 2}
    assert variant.teacher_loop and variant.name == 'published:train_dataloader.batch_size=2'


@pytest.mark.parametrize('text, message', [
    ('publishd', 'no such variant; did you mean published\\?'),
    ('mine', 'others need options'),
    ('mine:', 'wanted NAME:KEY=VALUE'),
    (':a=1', 'wanted NAME:KEY=VALUE'),
    ('mine:a', 'wanted NAME:KEY=VALUE'),
    ('mine:=1', 'wanted NAME:KEY=VALUE'),
])
def test_wrong_variants_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_variant(text)


def test_equal_names_are_refused():
    with pytest.raises(ValueError, match='names default twice'):
        parse_variants(['default', 'published', 'default'])


def test_a_misspelt_option_names_its_place(cfg):
    with pytest.raises(ValueError, match="^--compare model.num_match: model has no 'num_match'; "
                                         'did you mean num_matches'):
        apply_variant(cfg, Variant('a', {'model.num_match': 3}))


def test_a_variant_changes_a_copy(cfg):
    changed = apply_variant(cfg, parse_variant('b:model.num_matches=3'))
    assert (changed.model.num_matches, cfg.model.num_matches) == (3, 20)


def test_a_dict_takes_the_place_of_none(cfg):
    cfg.model.frequency = None
    cfg.model.init_cfg = None
    changed = apply_variant(cfg, Variant('a', {'model.frequency': {}, 'model.init_cfg.std': 1}))
    assert changed.model.frequency == {} and changed.model.init_cfg == dict(std=1)
    again = apply_variant(changed, Variant('b', {'model.frequency': None}))
    assert again.model.frequency is None and again.model.init_cfg == dict(std=1)
