import time
from types import SimpleNamespace

import pytest
import torch
from tiny_run import tiny_config
from torch import nn

from cmid_mm.benchmark.breakdown import PHASES, Breakdown, measure_breakdown
from cmid_mm.benchmark.clock import HostClock
from cmid_mm.benchmark.step import _start_alike, in_turn, measure_steps
from cmid_mm.benchmark.trainee import MOMENTUM, Trainee, update_in_a_loop
from cmid_mm.benchmark.variants import Variant, parse_variant

DEFAULT = Variant('default')


class Counting(HostClock):
    """A second passes at every look."""

    def __init__(self):
        self.moment = 0.

    def now(self):
        self.moment += 1
        return self.moment


@pytest.fixture
def trainee(tmp_path):
    return Trainee(tiny_config(tmp_path), DEFAULT)


def test_variants_take_turns():
    order = []
    calls = [lambda name=name: order.append(name) for name in 'ABC']
    assert in_turn(calls, 3, Counting()) == [[1., 1., 1.]] * 3
    assert ''.join(order) == 'ABCABCABC'


def test_a_trainee_does_what_a_training_does(trainee):
    before = {name: value.clone() for name, value in trainee.model.state_dict().items()}
    loss = trainee.step(trainee.batch())
    after = trainee.model.state_dict()
    assert loss.shape == () and loss.isfinite() and not loss.requires_grad
    key = 'backbone.patch_embed.projection.weight'
    assert not torch.equal(before[key], after[key])
    assert not torch.equal(before['global_head.queue'], after['global_head.queue'])
    teacher = f'teacher.{key}'
    expected = MOMENTUM * before[teacher] + (1 - MOMENTUM) * after[key]
    torch.testing.assert_close(after[teacher], expected)


def test_a_trainee_needs_no_images_and_leaves_the_config(tmp_path):
    cfg = tiny_config(tmp_path, options={
        'train_dataloader.dataset.data_root': 'gone', 'model.data_preprocessor.bands': 3,
        'model.data_preprocessor.mean': None, 'model.data_preprocessor.std': None})
    text = cfg.pretty_text
    trainee = Trainee(cfg, parse_variant('small:train_dataloader.batch_size=2'))
    batch = trainee.batch()
    assert batch['inputs'].shape == (2, 2, 3, 64, 64) and batch['inputs'].dtype == torch.uint8
    assert trainee.step(batch).isfinite()
    assert cfg.pretty_text == text


def test_variants_that_compute_the_same_lose_the_same(tmp_path):
    """The students draw (drop path), and other variants draw in between."""
    cfg = tiny_config(tmp_path)
    loop = Variant('loop', teacher_loop=True)
    found = measure_steps([Trainee(cfg, DEFAULT), Trainee(cfg, loop)], 3, 1)
    first, second = (found[name]['losses'] for name in ('default', 'loop'))
    assert len(set(first)) == 4
    assert second == pytest.approx(first, rel=1e-4)


def test_precision_is_that_of_the_passes(tmp_path):
    cfg = tiny_config(tmp_path)
    assert Trainee(cfg, DEFAULT).precision is torch.float32
    half = parse_variant('half:optim_wrapper.precision=bfloat16')
    assert Trainee(cfg, half).precision is torch.bfloat16
    cfg.optim_wrapper.precision = 'bfloat16'
    assert Trainee(cfg, parse_variant('published')).precision is torch.float32


def test_the_published_teacher_moves_alike(trainee):
    model = trainee.model
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(torch.randn_like(parameter))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    model.update_teacher(0.75)
    at_once = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(start)
    update_in_a_loop(model, 0.75)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, at_once[name])
    key = 'teacher.backbone.patch_embed.projection.weight'
    assert not torch.equal(start[key], at_once[key])


def test_the_breakdown_is_the_step(trainee):
    batch = trainee.batch()
    with Breakdown(trainee) as breakdown:
        for _ in range(3):
            breakdown.step(batch)
        steps = breakdown.seconds()
    for phases in steps:
        assert set(phases) == {*PHASES, 'step'}
        assert sum(phases[name] for name in PHASES) == pytest.approx(phases['step'])
        assert min(phases[name] for name in PHASES) > 0
        assert phases['rest'] < 0.5 * phases['step']


@pytest.mark.parametrize('owner, name, phase', [
    ('data_preprocessor', 'normalize', 'preprocess'), ('', 'global_loss', 'heads and losses'),
    ('', 'update_teacher', 'teacher update'), ('backbone', 'forward', 'student forward'),
    ('teacher.backbone', 'forward', 'teacher forward')])
def test_time_is_told_to_its_phase(trainee, monkeypatch, owner, name, phase):
    target = trainee.model.get_submodule(owner)
    method = getattr(target, name)

    def slow(*args, **kwargs):
        time.sleep(1)
        return method(*args, **kwargs)

    monkeypatch.setattr(target, name, slow)
    with Breakdown(trainee) as breakdown:
        breakdown.step(trainee.batch())
        phases, = breakdown.seconds()
    assert phases[phase] >= 1
    assert max(PHASES, key=phases.get) == phase


def test_marks_are_gone_afterwards(trainee):
    model, wrapper = trainee.model, trainee.wrapper
    trainee.step(trainee.batch())
    before = set(vars(model)), set(vars(wrapper))
    measure_breakdown(trainee, trainee.batch(), 1)
    assert (set(vars(model)), set(vars(wrapper))) == before
    assert not any(module._forward_hooks or module._forward_pre_hooks
                   for module in model.modules())


def test_all_numbers_of_two_variants(tmp_path):
    cfg = tiny_config(tmp_path)
    variants = [DEFAULT, parse_variant('wide:model.global_projector.hidden_channels=512')]
    ticks = []
    found = measure_steps([Trainee(cfg, variant) for variant in variants], 2, 1,
                          lambda: ticks.append(0))
    one, two = found['default'], found['wide']
    assert len(ticks) == 2 * 3 + 2 * 2
    assert len(one['seconds']) == 2 and len(one['losses']) == 3
    # 4 passes of 128 channels to 480 more and from those to 16; the student's cost thrice
    extra = 2 * 480 * (128 + 16) * (2 * 3 + 2)
    assert two['flops_per_image'] - one['flops_per_image'] == extra
    assert 'ratio' not in one and two['ratio']['count'] == 2
    median = one['images_per_second']['median']
    assert one['flops_per_second'] == pytest.approx(one['flops_per_image'] * median, rel=0.5)
    assert one['utilisation'] == one['flops_per_second'] / one['matrix_rate']
    assert two['state_bytes'] > one['state_bytes']
    assert one['precision'] == 'float32'


def test_variants_start_from_the_same_weights_where_they_fit():
    first, alike, wider = (SimpleNamespace(model=nn.Linear(3, width)) for width in (2, 2, 4))
    before = wider.model.weight.clone()
    assert not torch.equal(first.model.weight, alike.model.weight)
    _start_alike([first, alike, wider])
    assert torch.equal(first.model.weight, alike.model.weight)
    assert torch.equal(wider.model.weight, before)
