import pytest
import torch
from golden_files import Golden
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import OPTIM_WRAPPERS, OPTIMIZERS
from small_models import build_cmid, loader_batch, losses_of

from cmid_mm.checkpoints.published_keys import from_published
from cmid_mm.engine.optimizers import BFloat16OptimWrapper, auto_precision
from cmid_mm.engine.optimizers.two_group_constructor import split_by_decay
from cmid_mm.engine.schedulers import CMIDCosineLR

STUDENTS = dict(
    resnet50=(dict(type='ResNet', depth=50), 64, dict(type='BN1d')),
    swin_base=(dict(type='SwinTransformer', arch='base', out_indices=(3, )), 224, None))


def adan_run(golden, name, decay, **options):
    parameter = torch.nn.Parameter(golden.tensor(f'param_{name}', torch.float64))
    settings = golden.json('groups')[0]
    optimizer = OPTIMIZERS.build(
        dict(type='Adan', lr=0., params=[parameter], weight_decay=decay,
             betas=tuple(settings['betas']), eps=settings['eps'], **options))
    values = []
    for gradient, lr in zip(golden.tensor(f'grad_{name}', torch.float64),
                            golden['lr_per_step']):
        parameter.grad = gradient.clone()
        for group in optimizer.param_groups:
            group['lr'] = float(lr)
        optimizer.step()
        values.append(parameter.detach().clone())
    return torch.stack(values), optimizer.state[parameter]


def test_golden_adan_of_mmpretrain():
    golden = Golden('adan')
    for key, match in golden.matching(r'traj_(\w+)_wd([\d.]+)'):
        name, decay = match[1], float(match[2])
        # the rule of the groups: vectors are not decayed
        decayed = golden[f'param_{name}'].ndim >= 2
        values, state = adan_run(golden, name, decay if decayed else 0.)
        torch.testing.assert_close(values, golden.tensor(key), rtol=1e-6, atol=1e-9)
        if name == 'matrix' and decay > 0:
            close = dict(rtol=1e-6, atol=1e-12)
            torch.testing.assert_close(state['exp_avg'], golden.tensor('final_m'), **close)
            # the published optimiser swaps two names
            torch.testing.assert_close(
                state['exp_avg_diff'],
                golden.tensor('final_diff_avg_stored_as_exp_avg_sq'), **close)
            torch.testing.assert_close(
                state['exp_avg_sq'],
                golden.tensor('final_second_moment_stored_as_exp_avg_diff'), **close)
            torch.testing.assert_close(
                state['pre_grad'], golden.tensor('final_pre_grad'), **close)
    for key, match in golden.matching(r'traj_(\w+)_wd0(\d+)_no_prox'):
        # mmpretrain's multi-tensor path forgets the update with no_prox
        values, _ = adan_run(golden, match[1], float(f'0.{match[2]}'), no_prox=True,
                             foreach=False)
        torch.testing.assert_close(values, golden.tensor(key), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('name', STUDENTS)
def test_golden_param_groups(name):
    groups = Golden('param_groups').json(name)
    backbone, size, norm_cfg = STUDENTS[name]
    model = build_cmid(backbone, size, norm_cfg=norm_cfg)
    without, decayed = split_by_decay(model)
    assert set(without) == {from_published(key) for key in groups['no_decay']}
    assert set(decayed) == {from_published(key) for key in groups['decay']}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {from_published(key) for key in groups['frozen']}


def test_golden_learning_rate():
    golden = Golden('schedules')
    for i, case in enumerate(golden.json('lr_cases')):
        rates = schedule(case, range(len(golden[f'lr{i}'])))
        torch.testing.assert_close(rates, golden.tensor(f'lr{i}'), rtol=1e-9, atol=0)
    for key, match in golden.matching(r'lr_long_base([\de.-]+)_(\d+)ep_x(\d+)_warm(\d+)'):
        case = dict(base_lr=float(match[1]), epochs=int(match[2]), epoch_len=int(match[3]),
                    warmup_epochs=int(match[4]), warmup_factor=0.01, min_lr=1e-6)
        rates = schedule(case, golden['lr_long_its'].astype(int))
        torch.testing.assert_close(rates, golden.tensor(key), rtol=1e-9, atol=0)


def schedule(case, steps):
    """Rates at some steps, each computed as after a resume."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=case['base_lr'])
    scheduler = CMIDCosineLR.build_iter_from_epoch(
        optimizer, end=case['epochs'], epoch_length=case['epoch_len'],
        warmup=case['warmup_epochs'], warmup_factor=case['warmup_factor'],
        eta_min=case['min_lr'])
    rates = []
    for step in steps:
        scheduler.last_step = int(step)
        rates.append(scheduler._get_value()[0])
    return torch.tensor(rates, dtype=torch.float64)


def test_two_groups_train_everything_that_can_be_trained():
    model = build_cmid()
    wrapper = build_optim_wrapper(model, dict(
        type='AutoPrecisionOptimWrapper', precision='float32',
        constructor='TwoGroupOptimWrapperConstructor',
        optimizer=dict(type='Adan', lr=1e-3, weight_decay=0.02)))
    groups = wrapper.optimizer.param_groups
    assert [group['weight_decay'] for group in groups] == [0., 0.02]
    held = {id(p) for group in groups for p in group['params']}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize('features,expected', [
    (dict(amx_bf16=True), 'bfloat16'), (dict(avx512_bf16=True), 'bfloat16'),
    (dict(avx2=True), 'float32')])
def test_precision_follows_the_cpu(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: features)
    precision, reason = auto_precision.best_precision()
    assert precision == expected and 'CPU' in reason


@pytest.mark.parametrize('capability,expected', [((9, 0), 'bfloat16'), ((7, 0), 'float16')])
def test_precision_follows_the_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'a GPU')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)
    assert auto_precision.best_precision()[0] == expected


def test_bfloat16_wrapper_computes_in_bfloat16_and_close_to_float32():
    model = build_cmid()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.)
    seen = []
    model.backbone.stages[0].blocks[0].ffn.layers[0].register_forward_hook(
        lambda module, args, out: seen.append(out.dtype))
    results = []
    for precision in ('float32', 'bfloat16'):
        wrapper = OPTIM_WRAPPERS.build(dict(
            type='AutoPrecisionOptimWrapper', precision=precision, optimizer=optimizer))
        with wrapper.optim_context(model):
            results.append(torch.stack(list(losses_of(model.eval(), loader_batch()).values())))
    assert isinstance(wrapper, BFloat16OptimWrapper)
    assert seen == [torch.float32, torch.bfloat16]
    assert results[1].dtype == torch.float32
    torch.testing.assert_close(results[0], results[1], rtol=0.03, atol=0)
