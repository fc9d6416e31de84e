"""The tests, options and defaults that ``docs/deviations.md`` names exist."""
import argparse
import inspect
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose
from mmpretrain.registry import BATCH_AUGMENTS, HOOKS, MODELS, OPTIM_WRAPPERS, TRANSFORMS
from small_models import STUDENTS, build_cmid, loader_batch, losses_of

from cmid_mm.engine.optimizers import auto_precision
from cmid_mm.engine.runners import CMIDRunner, cmid_runner
from cmid_mm.models.selfsup.cell_matching import location_grid, match_cells

REPOSITORY = Path(__file__).parents[1]
# the toy is tuned for speed, the others have the defaults of the table
CONFIGS = [path for path in sorted((REPOSITORY / 'configs' / 'cmid').glob('*.py'))
           if 'toy' not in path.name]
RESNET = next(path for path in CONFIGS if 'resnet50_4xb64' in path.name)
SWIN = REPOSITORY / 'configs' / 'cmid' / 'cmid_swin_pretrain.py'


def rows():
    """Cells of every row of the table."""
    text = (REPOSITORY / 'docs' / 'deviations.md').read_text()
    lines = [line for line in text.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[2:]]


def options():
    """Arguments of ``--cfg-options`` in the table."""
    found = re.findall(r'`([a-z_]+[\w.]*=[^`]+)`', ' '.join(row[3] for row in rows()))
    return [option for option in found if not option.startswith('type=')]


def test_every_defect_has_its_row():
    numbers = [number for row in rows() for number in re.findall(r'D\d+', row[0])]
    assert sorted(numbers, key=lambda number: int(number[1:])) == [
        f'D{number}' for number in range(1, 34)]
    assert all(len(row) == 6 for row in rows()), [row for row in rows() if len(row) != 6]


@pytest.mark.parametrize('row', rows(), ids=lambda row: row[1].replace(' ', '_'))
def test_every_row_is_pinned_by_a_test_that_exists(row):
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', row[5])
    assert bool(named) != (row[5] == '-')
    assert named or re.search('not reproduced|[Dd]oes not arise', row[3])
    for path, name in named:
        assert f'def {name}(' in (REPOSITORY / path).read_text(), f'{path}::{name}'


@pytest.mark.parametrize('option', options())
def test_every_option_is_accepted_and_changes_something(option):
    """In the ResNet config with thin parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    changes = parser.parse_args(['--cfg-options', *option.split()]).cfg_options
    cfg = Config.fromfile(RESNET)
    cfg.merge_from_dict({
        'model.backbone.depth': 18, 'model.global_head.queue_size': 64,
        'model.dense_projector.hidden_channels': 64,
        'model.dense_projector.num_prototypes': 64, 'model.local_head.num_prototypes': 64})
    before = cfg.to_dict()
    cfg.merge_from_dict(changes)
    assert cfg.to_dict() != before
    part = option.split('.')[0]
    if part == 'model':
        MODELS.build(cfg.model)
    elif part == 'train_dataloader':
        Compose(cfg.train_dataloader.dataset.pipeline)
    elif part == 'custom_hooks':
        for hook in cfg.custom_hooks:
            HOOKS.build(hook)
    else:
        known = {*before[part], 'clip_grad', 'accumulative_counts'}
        assert all(key.split('.')[1] in known for key in changes)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_keep_the_defaults_of_the_table(path):
    cfg = Config.fromfile(path)
    model = cfg.model
    assert not {'mask_mode', 'mask_stem', 'feature_of'} & set(model)
    assert set(model.data_preprocessor) - {'bands'} == {
        'type', 'mean', 'std', 'photometric', 'mask_cell', 'mask_ratio'}
    assert model.data_preprocessor.photometric == dict(type='PhotometricDistortion')
    # the data set's own statistics wherever it is not MillionAID
    assert (model.data_preprocessor.mean is None) == ('millionaid' not in path.stem
                                                      and path.stem != 'cmid_swin_pretrain')
    assert dict(model.reconstruction_head) == dict(type='CMIDReconstructionHead')
    assert 'init_std' not in model.dense_projector
    assert (model.num_matches, model.data_preprocessor.mask_cell,
            model.data_preprocessor.mask_ratio) == (20, 32, 0.6)
    # published: batch norm of the dense projector follows the backbone's
    assert ('norm_cfg' in model.dense_projector) == (model.backbone.type == 'ResNet')
    assert set(cfg.train_pipeline[1]) == {'type', 'size'}
    assert [step.type for step in cfg.train_pipeline] == [
        'LoadRSImage', 'CMIDTwoViews', 'PackViews']
    assert 'first_epoch' not in cfg.custom_hooks[1]
    assert cfg.optim_wrapper.precision == 'auto' and cfg.auto_scale_lr.rule == 'linear'
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.model_wrapper_cfg.broadcast_buffers is False
    assert cfg.default_hooks.visualization.enable is False
    assert cfg.default_hooks.pictures == dict(type='PicturesHook', interval=10, num_images=4)


@pytest.mark.parametrize('registry, kind, argument, value', [
    (MODELS, 'CMID', 'mask_mode', 'add'), (MODELS, 'CMID', 'feature_of', 'student'),
    (MODELS, 'CMIDDataPreprocessor', 'mask_fill', 'mean'),
    (MODELS, 'CMIDDataPreprocessor', 'photometric', dict(type='PhotometricDistortion')),
    (BATCH_AUGMENTS, 'PhotometricDistortion', 'views', (1, )),
    (MODELS, 'FocalL1Loss', 'add_l1', False),
    (MODELS, 'FocalFrequencyLoss', 'average_spectrum', True),
    (MODELS, 'CMIDDenseProjector', 'init_std', 0.02),
    (TRANSFORMS, 'CMIDTwoViews', 'locations', 'pixel')])
def test_classes_have_the_defaults_of_the_table(registry, kind, argument, value):
    parameters = inspect.signature(registry.get(kind).__init__).parameters
    assert parameters[argument].default == value


def test_recipe_has_the_published_values():
    cfg = Config.fromfile(SWIN)
    model = MODELS.build(dict(cfg.model, backbone=dict(type='ResNet', depth=18)))
    assert model.global_head.queue.shape == (65536, 256)
    assert model.global_head.loss_module.temperature == 0.2
    assert model.local_head.center.shape == (1, 2048, 1)
    assert model.local_head.loss_module.temperature == 0.1
    assert model.local_head.center_momentum == 0.9
    head = model.reconstruction_head
    assert (head.visible_weight, head.frequency_visible_weight, head.frequency_fill) == (
        0.0, 0.001, 'mixed')
    assert (head.pixel_loss.alpha, head.pixel_loss.gamma) == (0.2, 1.0)
    assert head.pixel_loss.activation == 'sigmoid'
    assert head.frequency_loss.loss_weight == 1.0
    assert cfg.optim_wrapper.optimizer == dict(
        type='Adan', lr=4e-3, betas=(0.98, 0.92, 0.99), weight_decay=0.02)
    assert cfg.custom_hooks[0].base_momentum == 0.996
    schedule, = cfg.param_scheduler
    assert (schedule.warmup, schedule.warmup_factor, schedule.eta_min) == (10, 0.01, 1e-6)
    assert cfg.randomness.seed == 322


@pytest.mark.parametrize('path', [path for path in CONFIGS if 'millionaid' in path.stem],
                         ids=lambda path: path.stem)
def test_millionaid_has_the_published_statistics(path):
    settings = Config.fromfile(path).model.data_preprocessor
    published = [0.33797, 0.3605, 0.3348], [0.1359, 0.1352, 0.1407]
    for values, fractions in zip((settings.mean, settings.std), published, strict=True):
        assert values == pytest.approx([255 * value for value in fractions], abs=1e-3)


@pytest.mark.parametrize('rule,factor', [('linear', 4.0), ('sqrt', 2.0)])
def test_rate_follows_the_effective_batch(rule, factor):
    runner = SimpleNamespace(_train_dataloader=dict(batch_size=64), world_size=8,
                             logger=logging.getLogger('test'))
    wrapper = SimpleNamespace(_accumulative_counts=2, param_groups=[dict(lr=4e-3)])
    CMIDRunner.scale_lr(runner, wrapper, dict(enable=True, base_batch_size=256, rule=rule))
    assert wrapper.param_groups[0]['lr'] == pytest.approx(4e-3 * factor)
    with pytest.raises(ValueError, match='cubic'):
        CMIDRunner.scale_lr(runner, wrapper, dict(enable=True, base_batch_size=256, rule='cubic'))


@pytest.mark.parametrize('device,kept', [('cpu', None), ('cuda', 'torch')])
def test_synchronised_batch_norm_is_left_out_on_the_cpu(monkeypatch, caplog, device, kept):
    monkeypatch.setattr(cmid_runner, 'get_device', lambda: device)
    runner = CMIDRunner.__new__(CMIDRunner)
    runner._distributed, runner.cfg = True, Config(dict(sync_bn='torch'))
    runner.logger = logging.getLogger('test')
    # a wrapped model is returned as it is
    wrapped = torch.nn.DataParallel(torch.nn.Linear(1, 1))
    assert runner.wrap_model(None, wrapped) is wrapped
    assert runner.cfg.sync_bn == kept
    assert ('not synchronised' in caplog.text) == (kept is None)


def test_float16_has_a_dynamic_scale(monkeypatch):
    monkeypatch.setattr(auto_precision, 'FiniteAmpOptimWrapper', lambda **kwargs: kwargs)
    assert OPTIM_WRAPPERS.build(dict(
        type='AutoPrecisionOptimWrapper', precision='float16')) == dict(
            loss_scale='dynamic', dtype='float16')


def test_backbones_start_as_mmpretrain_starts_them():
    """A ResNet by its fan out, with closed branches; a Swin by the option of the table too."""
    resnet = MODELS.build(dict(type='ResNet', depth=18))
    resnet.init_weights()
    block = resnet.layer4[1]
    assert block.conv2.weight.std().item() == pytest.approx((2 / (512 * 9))**0.5, rel=0.05)
    assert not block.bn2.weight.any() and block.bn1.weight.eq(1).all()
    linear = dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.)
    for init_cfg, expected in ((None, (3 * 96)**-0.5), ([linear], 0.02)):
        swin = MODELS.build(dict(
            type='SwinTransformer', arch='tiny', out_indices=(3, ), init_cfg=init_cfg))
        swin.init_weights()
        attention = swin.stages[0].blocks[0].attn.w_msa
        assert attention.relative_position_bias_table.std().item() == pytest.approx(
            0.02, rel=0.1)
        assert attention.qkv.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_dense_projector_may_start_as_published():
    neck = MODELS.build(dict(type='CMIDDenseProjector', in_channels=2048, init_std=None))
    neck.init_weights()
    hidden = neck.mlp[2]
    assert hidden.weight.std().item() == pytest.approx(0.0128, rel=0.02)
    assert hidden.bias.abs().sum() > 0


def test_token_of_a_vision_transformer_enters_before_the_positions():
    model = build_cmid(STUDENTS['vit'], mask_mode='replace').eval()
    torch.nn.init.normal_(model.mask_token)
    inputs = []
    model.backbone.layers[0].register_forward_pre_hook(
        lambda module, args: inputs.append(args[0]))
    images = torch.randn(1, 3, 64, 64)
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, :32, :32] = True
    with torch.no_grad():
        model.student_map(images)
        model.student_map(images, mask)
    plain, marked = inputs
    # the class token first, then 4 x 4 tokens, of which the upper left 2 x 2 are masked
    masked = torch.zeros(17, dtype=torch.bool)
    masked[[1, 2, 5, 6]] = True
    assert torch.equal(marked[:, ~masked], plain[:, ~masked])
    expected = model.mask_token + model.backbone.pos_embed[:, masked]
    torch.testing.assert_close(marked[:, masked], expected)


def test_one_image_is_a_batch():
    model = build_cmid()
    assert all(loss.isfinite() for loss in losses_of(model, loader_batch(1)).values())
    assert model.global_head.queue_ptr.item() == 2


def test_small_distances_are_exact_far_from_the_corner():
    """The expansion of a squared distance by a matrix product would round them to zero."""
    grid = location_grid(torch.tensor([[9000., 9000., 20., 20., 0.]]), (7, 7))
    source, target = match_cells(grid, grid, -1)
    assert torch.equal(source, target)


def test_squashed_copy_is_what_views_are_cut_from():
    row, = (row for row in rows() if row[1] == 'Aspect ratio')
    line = re.search(r'`(dict\(.*\))`', row[3])[1]
    squash = TRANSFORMS.build(Config.fromstring(f'squash = {line}', '.py').squash)
    views = TRANSFORMS.build(dict(type='CMIDTwoViews', size=64, area=(1, 1), ratio=(1, 1)))
    image = torch.arange(100 * 400 * 3).remainder(251).byte().view(100, 400, 3).numpy()
    sides = [views(dict(results, sample_key=(0, 0, 0)))['view_boxes'][0, 2:4].tolist()
             for results in (dict(img=image), squash(dict(img=image)))]
    assert sides == [[100, 100], [224, 224]]


def test_teacher_moves_in_place():
    model = build_cmid()
    addresses = [parameter.data_ptr() for parameter in model.teacher.parameters()]
    model.update_teacher(0.5)
    assert addresses == [parameter.data_ptr() for parameter in model.teacher.parameters()]
