from mmengine.config import Config

from cmid_mm.benchmark import measure
from cmid_mm.benchmark.measure import precision_of
from cmid_mm.benchmark.progress import Progress
from cmid_mm.benchmark.report import lines, waits


def test_waits_are_counted_and_named():
    assert waits({}, None) == '0 calls make the host wait for an accelerator'
    assert waits({'a:1': 1}, 2) == (
        '1 call makes the host wait for an accelerator; CUDA reports 2; 1 x a:1')
    places = {f'a:{line}': 7 - line for line in range(6)}
    assert waits(places, None, 2) == (
        '27 calls make the host wait for an accelerator; 7 x a:0; 6 x a:1; 4 other places')


def test_what_was_not_measured_is_told():
    assert list(lines(dict(not_measured=['the peak']))) == ['not measured: the peak']


def test_time_left(capsys, monkeypatch):
    monkeypatch.setattr('cmid_mm.benchmark.progress.time.perf_counter', lambda: 100.)
    progress = Progress('step', 10)
    monkeypatch.setattr('cmid_mm.benchmark.progress.time.perf_counter', lambda: 120.)
    progress.tick()
    progress.tick()
    # 20 seconds for one of ten; the second came at once
    assert capsys.readouterr().err == 'step: 1 of 10, 0:03:00 left\n'


def test_precision_is_told_with_the_reason(monkeypatch):
    monkeypatch.setattr(measure, 'best_precision', lambda: ('bfloat16', 'it is fast'))
    cfg = Config(dict(optim_wrapper=dict(type='AutoPrecisionOptimWrapper', precision='auto')))
    assert precision_of(cfg) == 'bfloat16 (it is fast)'
    cfg.optim_wrapper.precision = 'float32'
    assert precision_of(cfg) == 'float32'
    assert precision_of(Config(dict(optim_wrapper=dict(type='AmpOptimWrapper')))) == (
        'AmpOptimWrapper')
