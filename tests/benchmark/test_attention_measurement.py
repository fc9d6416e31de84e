"""The part ``attention`` of the benchmark, on a Swin of eight thin blocks."""
import copy
import json

import pytest
import torch
from tiny_run import tiny_config

from cmid_mm.benchmark import attention, measure, report
from cmid_mm.benchmark.attention import find_blocks, measure_attention
from cmid_mm.benchmark.trainee import Trainee
from cmid_mm.benchmark.variants import Variant

DEFAULT = Variant('default')


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp('attention'),
                       options={'train_dataloader.batch_size': 3})


@pytest.fixture(scope='module')
def found(cfg):
    ticks = []
    found = measure_attention(cfg, DEFAULT, 4, 2, lambda: ticks.append(0))
    assert len(ticks) == 6
    return found


def test_every_block_is_measured_in_the_shape_of_a_step(found):
    """64 px in patches of 4 are 16 x 16 cells in windows of 2 x 2; two views of 3 images."""
    names = [f'stages.{number}' for number in range(4)]
    assert list(found['stages']) == names
    assert [found['stages'][name]['windows'] for name in names] == [
        6 * 8 * 8, 6 * 4 * 4, 6 * 2 * 2, 6]
    assert [found['stages'][name]['heads'] for name in names] == [1, 2, 4, 8]
    # the last map is one window, which nothing can be shifted out of
    assert [found['stages'][name]['shifted'] for name in names] == [1, 1, 1, 0]
    assert {found['stages'][name]['blocks'] for name in names} == {2}
    assert {found['stages'][name]['cells'] for name in names} == {4}
    assert found['all']['blocks'] == 8 and found['precision'] == 'float32'


def test_rounds_are_kept_and_compared(cfg, monkeypatch):
    """Written out takes 2 s, fused 1 s in the first stage; one and one in the others."""
    rounds = []

    def in_turn(calls, count, clock):
        rounds.append(len(calls))
        return [[2. if number in (0, 2) else 1.] for number in range(len(calls))]

    monkeypatch.setattr(attention, 'in_turn', in_turn)
    found = measure_attention(cfg, DEFAULT, 3, 1)
    assert rounds == [16] * 4
    first, last = found['stages']['stages.0'], found['stages']['stages.3']
    assert (first['eager']['median'], first['fused']['median']) == (4., 2.)
    assert first['ratio'] == dict(median=2., quartiles=[2., 2.], count=3)
    assert last['ratio']['median'] == 1.
    assert found['all']['eager']['median'] == 10. and found['all']['ratio']['median'] == 1.25


def test_both_are_the_same_but_for_rounding(found, cfg, monkeypatch):
    assert max(found['difference'].values()) < 1e-5
    blocks = find_blocks(Trainee(cfg, Variant('a', {'model.fused_attention': False})))
    block = blocks['stages.0'][1]
    assert type(block.eager).__name__ == 'WindowMSA' and block.mask is not None

    def context():
        return torch.autocast('cpu', enabled=False)

    value, gradient = attention._difference(block, context)
    assert value < 1e-5 and gradient < 1e-5
    block.fused.scale *= 1.1
    value, gradient = attention._difference(block, context)
    assert value > 1e-3 and gradient > 1e-2


def test_the_first_variant_is_measured(cfg):
    half = Variant('half', {'optim_wrapper.precision': 'bfloat16'})
    results = measure.measure(cfg, [half, DEFAULT], ['attention'], 1, 0, lambda line: None)
    assert results['attention']['precision'] == 'bfloat16'
    assert json.loads(json.dumps(results))['attention'] == results['attention']
    text = '\n'.join(report.lines(results))
    assert 'without its linear layers, forward and backward, bfloat16' in text
    assert '2 blocks of 384 windows and 1 heads, 1 shifted' in text
    assert 'all ' in text and 'greatest difference, of the greatest number: values ' in text


def test_a_student_without_window_attention_is_one_line(cfg):
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
    results = measure.measure(cfg, [DEFAULT], ['attention'], 1, 0, lambda line: None)
    assert 'attention' not in results
    line, = report.lines(results)
    assert line == ('not measured: attention: the student ResNet has no window attention, take '
                    'a config with a SwinTransformer')
