"""Settings for an amount of data: the published ones at the published size, sane ones below."""
from dataclasses import asdict

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from small_models import cmid_config
from tiny_run import CONFIGS

from cmid_mm.engine.hooks import CMIDTeacherMomentumHook, CMIDTeacherTemperatureHook
from cmid_mm.engine.schedulers import CMIDCosineLR
from cmid_mm.models.selfsup.recipe import auto_keys, choose_recipe, fill_auto, sizes_in
from cmid_mm.utils.errors import CMIDError

PUBLISHED = dict(num_prototypes=2048, queue_size=65536, start=0.04, end=0.07, warmup_epochs=50,
                 base_momentum=0.996, warmup=10.)


@pytest.mark.parametrize('images', [1_000_000, 990_848])
def test_the_published_size_gives_the_published_values(images):
    assert asdict(choose_recipe(images, 200, 256)) == PUBLISHED
    # they are the defaults of the published configs
    cfg = Config.fromfile(CONFIGS / 'cmid' / 'cmid_swin_pretrain.py')
    momentum, temperature = cfg.custom_hooks[:2]
    assert {key: value for key, value in (momentum | temperature).items()
            if key in PUBLISHED} == {key: PUBLISHED[key] for key in (
                'base_momentum', 'start', 'end', 'warmup_epochs')}
    assert cfg.param_scheduler[0].warmup == PUBLISHED['warmup']


def test_values_grow_with_the_data_and_the_queue_never_holds_the_batch():
    recipes = [choose_recipe(images, 100, 64) for images in
               (64, 100, 1000, 3000, 20_000, 100_000, 10**6, 10**8)]
    for name in ('num_prototypes', 'queue_size', 'start', 'end', 'base_momentum'):
        values = [getattr(recipe, name) for recipe in recipes]
        assert values == sorted(values) and values[0] < values[-1], name
    assert asdict(recipes[-1]) == PUBLISHED | dict(warmup_epochs=25, warmup=5.)
    assert [recipe.queue_size for recipe in recipes[:3]] == [1, 36, 936]
    few = recipes[4]
    assert (few.num_prototypes, few.queue_size, few.start, few.end) == (1024, 8192, 0.02, 0.03)


@pytest.mark.parametrize('epochs', [1, 3, 20, 200, 800])
def test_rises_take_a_share_of_the_run_and_at_most_the_published_epochs(epochs):
    recipe = choose_recipe(20_000, epochs, 64)
    assert recipe.warmup_epochs == max(1, min(50, round(epochs * 0.25)))
    assert recipe.warmup == pytest.approx(min(10, epochs * 0.05))


def test_the_table_of_the_documentation_is_that_of_the_code():
    text = (CONFIGS.parent / 'docs' / 'pretraining.md').read_text()
    rows = {row.split(' | ')[0].strip('| '): row.strip('| ').split(' | ')[2:]
            for row in text.splitlines() if row.startswith('| ')}
    for title, name in {
            'prototypes': 'num_prototypes', 'queue': 'queue_size',
            "teacher's temperature, start": 'start', "teacher's temperature, end": 'end'}.items():
        written = [float(cell.split()[0].replace(',', '')) for cell in rows[title]]
        assert written == [getattr(choose_recipe(images, 200, 64), name)
                           for images in (1000, 20_000, 100_000, 10**6)], title


def test_momentum_follows_the_number_of_steps():
    momenta = [choose_recipe(64_000, epochs, 64).base_momentum for epochs in (1, 10, 30, 100, 500)]
    assert momenta[:2] == [0.99, 0.99] and momenta[-2:] == [0.996, 0.996]
    assert 0.99 < momenta[2] < 0.996


def test_only_settings_of_the_recipe_are_filled_and_given_values_win():
    config = Config(dict(
        model=dict(joint_views='auto', global_head=dict(queue_size='auto'),
                   local_head=dict(num_prototypes=7)),
        custom_hooks=[dict(start='auto', end=0.5)]))
    assert auto_keys(config) == {'queue_size', 'start'}
    fill_auto(config, choose_recipe(20_000, 10, 64))
    assert config.model.to_dict() == dict(
        joint_views='auto', global_head=dict(queue_size=8192),
        local_head=dict(num_prototypes=7))
    assert config.custom_hooks[0] == dict(start=0.02, end=0.5)
    assert not auto_keys(config)


def test_sizes_are_read_from_a_checkpoint():
    state = {'local_head.center': torch.zeros(1, 12, 1), 'global_head.queue': torch.zeros(5, 3)}
    assert sizes_in(state) == dict(num_prototypes=12, queue_size=5)
    assert sizes_in({}) == {}


@pytest.mark.parametrize('build', [
    lambda: MODELS.build(cmid_config(global_head=dict(queue_size='auto'))),
    lambda: CMIDTeacherTemperatureHook(end='auto').before_train(None),
    lambda: CMIDTeacherMomentumHook('auto').before_train(None),
    lambda: CMIDCosineLR(None, end=4, warmup='auto'),
    lambda: CMIDCosineLR.build_iter_from_epoch(None, end=4, epoch_length=3, warmup='auto'),
])
def test_what_is_left_open_is_refused_with_the_fix(build):
    with pytest.raises(CMIDError, match="='auto', which CMIDRunner replaces .* give a number"):
        build()
