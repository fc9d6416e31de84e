"""``tools/benchmark.py`` and its parts, in this process."""
import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from tiny_run import CONFIGS, tiny_config
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))

import benchmark  # noqa: E402
from _benchmark import loader, step, timing, training  # noqa: E402
from _benchmark.published import PUBLISHED, update_in_a_loop  # noqa: E402
from _benchmark.trainee import MOMENTUM, Trainee, Variant  # noqa: E402
from _errors import UserError  # noqa: E402

CPU = torch.device('cpu')
SPEED = {'images_per_second'}
NUMBERS = dict(
    step=SPEED | {'seconds', 'precision', 'flops_per_image', 'flops_per_second', 'matrix_rate',
                  'utilisation', 'peak_bytes', 'state_bytes', 'phases'},
    loader=SPEED | {'workers_part', 'batch_part', 'workers', 'with_workers',
                    'bytes_per_sample'},
    train=SPEED | {'seconds', 'waiting_share'})


def published(cfg):
    cfg.merge_from_dict(PUBLISHED)
    return Variant(cfg, True)


@pytest.fixture
def trainee(tmp_path):
    return Trainee(Variant(tiny_config(tmp_path)))


# the command

@pytest.fixture
def run(tmp_path, monkeypatch):
    tiny_config(tmp_path).dump(tmp_path / 'tiny.py')
    monkeypatch.chdir(tmp_path)
    # the rate of the machine is of no interest here
    monkeypatch.setattr(step, 'matrix_rate', lambda device, dtype: 1e12)
    return benchmark.main


def test_two_steps_give_all_numbers(run, capsys, tmp_path):
    run(['tiny.py', '--steps', '2', '--warmup', '1', '--batch', '2', '--published', '--out',
         'out/benchmark.json'])
    found = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert set(found) == {'command', 'machine', 'images', 'steps', 'warmup', *NUMBERS}
    assert found['images'] == 2 and found['machine']['threads'] == torch.get_num_threads()
    assert found['machine']['processor']
    assert found['machine']['environment']['PyTorch'] == torch.__version__
    for part, keys in NUMBERS.items():
        assert set(found[part]['baseline']) == keys, part
        assert set(found[part]['config']) == keys | (set() if part == 'train' else {'ratio'})
        rate = found[part]['config']['images_per_second']
        assert 0 < rate['quartiles'][0] <= rate['median'] <= rate['quartiles'][1]
    numbers = found['step']['config']
    assert len(numbers['seconds']) == 2 and sum(numbers['phases'].values()) == pytest.approx(1)
    assert numbers['utilisation'] == numbers['flops_per_second'] / 1e12
    out = capsys.readouterr().out
    for text in ('times the baseline', 'GFLOP an image', 'waiting for data', 'MB a sample',
                 "batch's part"):
        assert text in out


def test_options_of_the_config_and_of_the_baseline(run):
    variants = benchmark.read_variants(benchmark.parse_args([
        'tiny.py', '--published', '--cfg-options', 'model.num_matches=3',
        '--baseline-options', 'optim_wrapper.precision=bfloat16']))
    baseline, config = variants['baseline'], variants['config']
    assert list(variants) == ['baseline', 'config']
    assert baseline.published and not config.published
    assert baseline.cfg.model.num_matches == config.cfg.model.num_matches == 3
    # one change away from the published step
    expected = copy.deepcopy(baseline.cfg)
    expected.merge_from_dict(PUBLISHED | {'optim_wrapper.precision': 'bfloat16'})
    assert baseline.cfg.to_dict() == expected.to_dict()
    assert config.cfg.optim_wrapper.precision == 'float32'
    assert list(benchmark.read_variants(benchmark.parse_args(['tiny.py']))) == ['config']


@pytest.mark.parametrize('arguments, culprit', [
    (['tiny.py', '--steps', '0'], '--steps'),
    (['tiny.py', '--batch', '-1'], '--batch'),
    (['tiny.py', '--baseline-options', 'modell.num_matches=3'], 'did you mean model'),
    (['tiny.py', '--parts', 'loader', '--batch', '99'], 'one batch of 99'),
    (['tiny.py', '--cfg-options', 'train_dataloader.dataset.data_root=gone'], 'gone'),
    ([str(next((CONFIGS / 'classification' / 'nwpu').glob('*linear*')))], 'CMID pre-training'),
])
def test_refused(run, arguments, culprit):
    with pytest.raises((UserError, ValueError, FileNotFoundError), match=culprit):
        run(arguments)


# the step

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
        'train_dataloader.dataset.data_root': 'gone', 'train_dataloader.batch_size': 2,
        'model.data_preprocessor.bands': 3, 'model.data_preprocessor.mean': None,
        'model.data_preprocessor.std': None, 'optim_wrapper.precision': 'bfloat16'})
    text = cfg.pretty_text
    trainee = Trainee(Variant(cfg))
    batch = trainee.batch()
    assert batch['inputs'].shape == (2, 2, 3, 64, 64) and batch['inputs'].dtype == torch.uint8
    assert trainee.precision is torch.bfloat16 and trainee.step(batch).isfinite()
    assert cfg.pretty_text == text


def test_the_published_step_has_the_same_losses(tmp_path):
    """Without drop path, whose random numbers depend on the size of a pass."""
    options = {'model.backbone.drop_path_rate': 0.}
    default = Trainee(Variant(tiny_config(tmp_path, options=options)))
    baseline = Trainee(published(tiny_config(tmp_path, options=options)))
    assert baseline.precision is torch.float32
    baseline.model.load_state_dict(default.model.state_dict())
    batch = default.batch()
    first, second = ([trainee.step(batch).item() for _ in range(3)]
                     for trainee in (default, baseline))
    assert len(set(first)) == 3 and second == pytest.approx(first, rel=1e-4)


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


def test_time_is_assigned_to_its_phase(trainee, monkeypatch):
    """On a clock that advances in one method only."""
    batch, moment = trainee.batch(), [0]
    trainee.step(batch)
    before = set(vars(trainee.model)), set(vars(trainee.wrapper))

    def slow(method):
        def call(*args, **kwargs):
            moment[0] += 1
            return method(*args, **kwargs)
        return call

    for owner, name, phase in (
            ('data_preprocessor', 'normalize', 'preprocess'),
            ('', 'global_loss', 'heads and losses'), ('', 'update_teacher', 'teacher update'),
            ('backbone', 'forward', 'student forward'),
            ('teacher.backbone', 'forward', 'teacher forward')):
        target, begin = trainee.model.get_submodule(owner), moment[0]
        with monkeypatch.context() as patch:
            patch.setattr(target, name, slow(getattr(target, name)))
            with step.record_phases(trainee, lambda: moment[0]) as notes:
                trainee.step(batch)
        assert step.phase_shares(notes, moment[0] - begin) == {
            other: float(other == phase) for other in step.PHASES}
    assert (set(vars(trainee.model)), set(vars(trainee.wrapper))) == before


def test_operations_of_linear_layers_and_convolutions():
    layer, x = nn.Linear(5, 7), torch.randn(3, 5)
    forward = 2 * 3 * 5 * 7
    assert step.count_flops(lambda: layer(x)) == forward
    # the gradient of the weight, but not of the input
    assert step.count_flops(lambda: layer(x).sum().backward()) == 2 * forward
    layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert step.count_flops(lambda: layer(torch.randn(2, 3, 10, 10))) == 2 * 2 * 8 * 100 * 27


def test_operations_of_attention_are_the_same_whether_fused_or_not():
    """torch's own table lacks the fused attention of the CPU."""
    query, key, value = (torch.randn(2, 3, 16, 8, requires_grad=True) for _ in range(3))

    def eager():
        return (query @ key.mT / 8**0.5).softmax(-1) @ value

    def fused():
        return scaled_dot_product_attention(query, key, value)

    forward = 2 * (2 * 2 * 3 * 16 * 16 * 8)
    assert step.count_flops(eager) == step.count_flops(fused) == forward
    assert step.count_flops(lambda: eager().sum().backward()) == 3 * forward
    # the fused backward pass computes the weights once more
    assert step.count_flops(lambda: fused().sum().backward()) == 3.5 * forward


@pytest.mark.skipif(sys.platform != 'linux', reason='the system does not report it')
def test_the_peak_is_that_of_the_call():
    mib = 2**20
    big = torch.ones(600 * mib, dtype=torch.uint8)
    del big

    def call():
        for _ in range(3):
            torch.ones(64 * mib, dtype=torch.uint8)

    found = step.peak_bytes(call, CPU)
    if found is None:
        pytest.skip('this system forbids resetting the peak')
    # the system may take each of them back only after the next
    assert 60 * mib < found < 300 * mib


def test_state_is_parameters_buffers_and_optimiser():
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10))
    optimizer = torch.optim.Adam(model.parameters())
    parameters = 4 * (100 + 10 + 10)
    # mean and variance, and the number of batches as int64
    buffers = 4 * 20 + 8
    assert step.state_bytes(model, optimizer) == parameters + buffers
    model(torch.randn(4, 10)).sum().backward()
    optimizer.step()
    # two moments each, and a step as float32 for each of three tensors
    assert step.state_bytes(model, optimizer) == 3 * parameters + buffers + 3 * 4


# the loader

def test_only_the_published_loader_has_another_pipeline(tmp_path):
    cfg = tiny_config(tmp_path)
    assert loader.loader_config(Variant(cfg)) == cfg.train_dataloader
    pipeline = loader.loader_config(Variant(cfg, True)).dataset.pipeline
    assert pipeline == [dict(type='PublishedPipeline', size=64)]
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2,
                                        dataset=cfg.train_dataloader.dataset)
    with pytest.raises(ValueError, match='dataset has no pipeline'):
        loader.loader_config(Variant(cfg, True))


def test_epochs_follow_each_other(tmp_path):
    stream = loader.endless(loader.build_loader(tiny_config(tmp_path).train_dataloader), int)
    keys = [next(stream)['view_keys'] for _ in range(9)]
    first, second = torch.cat(keys[:4]), torch.cat(keys[4:8])
    assert len(first.unique()) == len(second.unique()) == 2 * 16
    assert not torch.equal(first.sort(0)[0], second.sort(0)[0])


@pytest.mark.parametrize('workers', [0, 2])
def test_numbers_of_both_loaders(tmp_path, workers):
    cfg = tiny_config(tmp_path, options={'train_dataloader.num_workers': workers})
    threads, ticks = torch.get_num_threads(), []
    found = loader.measure_loaders(dict(baseline=Variant(cfg, True), config=Variant(cfg)), 4, 1,
                                   lambda: ticks.append(0))
    assert torch.get_num_threads() == threads and len(ticks) >= 2 * 5
    baseline, config = found['baseline'], found['config']
    # two uint8 views, boxes, keys and the mark of a broken image
    assert config['bytes_per_sample'] == 2 * 3 * 64**2 + 2 * 5 * 4 + 2 * 8 + 8
    assert baseline['bytes_per_sample'] == 4 * 3 * 64**2 * 4 + 2 * 16**2 * 8 + 2 * 4 * 2 * 4
    assert config['ratio']['median'] > 0 and 'ratio' not in baseline
    assert baseline['batch_part'] is None
    # the sum of the times of both parts
    whole, *parts = (config[name]['median']
                     for name in ('images_per_second', 'workers_part', 'batch_part'))
    assert whole < min(parts)
    for numbers in found.values():
        assert numbers['workers'] == workers
        assert numbers['with_workers']['median'] > 0 if workers else not numbers['with_workers']


# a training

@pytest.mark.parametrize('loading, working, share', [(3, 1, 0.75), (0, 1, 0), (1, 0, 1)])
def test_waiting_is_the_time_of_a_slow_loader(loading, working, share):
    moment = [0]
    timer = training.StepTimer(lambda: moment[0], 5, lambda: None)
    timer.before_train(None)
    with pytest.raises(training._Done):
        while True:
            moment[0] += loading
            timer.before_train_iter(None, 0)
            moment[0] += working
            timer.after_train_iter(None, 0)
    whole, waits = timer.steps(1)
    assert len(whole) == len(waits) == 3 and sum(waits) == share * sum(whole)


def test_a_real_training(tmp_path):
    """Four steps an epoch; more epochs than the config has; nothing is left in the folder."""
    cfg = tiny_config(tmp_path)
    ticks = []
    found = training.measure_training(published(cfg), 10, 2, lambda: ticks.append(0))
    assert len(found['seconds']) == 10 and len(ticks) == 13
    assert 0 < found['waiting_share'] < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images']


# statistics

def test_variants_take_turns():
    order, moments = [], iter(range(100))
    calls = [lambda name=name: order.append(name) for name in 'ABC']
    assert timing.take_turns(calls, 3, lambda: next(moments)) == [[1, 1, 1]] * 3
    assert ''.join(order) == 'ABCABCABC'


def test_medians_quartiles_and_ratios():
    assert timing.spread([5, 1, 2, 4, 3]) == dict(median=3, quartiles=[2, 4])
    # one disturbed step of five moves nothing
    assert timing.spread([1, 1, 1, 1, 1000])['median'] == 1
    assert timing.rates([0.5, 0.25, 1.], 8) == dict(
        images_per_second=dict(median=16, quartiles=[12, 24]))
    # everything becomes three times as slow in the middle, for both alike
    assert timing.rates([1, 3, 3, 1], 1, [2, 6, 6, 2])['ratio'] == dict(
        median=2, quartiles=[2, 2])


def test_the_rate_of_matrix_products_is_plausible():
    """A core multiplies 1 GFLOP/s at the very least, and no CPU 1 PFLOP/s."""
    assert 1e9 < step.matrix_rate(CPU, torch.float32) < 1e15
