"""CMID against complete steps and trajectories of the published code."""
import gc

import pytest
import torch
from golden_files import Golden, recipe
from mmpretrain.registry import MODELS, OPTIMIZERS
from published_settings import biases_before_batch_norm, reconstruction_head_of

from cmid_mm.checkpoints.published_keys import convert_published, from_published
from cmid_mm.engine.hooks import CMIDTeacherMomentumHook, CMIDTeacherTemperatureHook
from cmid_mm.engine.optimizers.two_group_constructor import split_by_decay
from cmid_mm.models.preprocessing.block_mask import upsample_mask
from cmid_mm.models.selfsup import cmid as cmid_module

BACKBONES = dict(
    resnet50=dict(type='ResNet', depth=50),
    swin=dict(type='SwinTransformer', arch='base', drop_path_rate=0., out_indices=(3, )))


@pytest.fixture(autouse=True)
def memory_is_given_back():
    """The trajectories take gigabytes in float64, and cycles would keep them for long."""
    yield
    gc.collect()


class Features(torch.nn.Module):
    """A backbone in place of the maps that the test passes by itself."""

    def __init__(self, channels, stride):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, channels, stride, stride)

    def forward(self, x):
        return (self.stem(x), )


def model_of(config, backbone, bands=3):
    """The model that a published configuration means."""
    return MODELS.build(dict(
        type='CMID',
        backbone=backbone,
        decoder=dict(type='CMIDDecoder'),
        global_projector=dict(
            type='CMIDGlobalProjector', hidden_channels=config['hidden_dim'],
            out_channels=config['out_dim']),
        dense_projector=dict(
            type='CMIDDenseProjector', hidden_channels=config['hidden_dim'],
            bottleneck_channels=config['bottleneck_dim'],
            num_prototypes=config['class_feat_size'], num_layers=config.get('num_layers', 3),
            norm_cfg=dict(type='BN1d') if config['use_bn'] else None),
        reconstruction_head=reconstruction_head_of(config),
        global_head=dict(
            type='CMIDGlobalHead', embed_dims=config['out_dim'],
            queue_size=config['queue_size'],
            loss=dict(type='QueueContrastLoss', temperature=config['temperature'])),
        local_head=dict(
            type='CMIDLocalHead', num_prototypes=config['class_feat_size'],
            center_momentum=config['center_momentum'],
            loss=dict(type='AssignmentLoss', temperature=config['online_temp'])),
        data_preprocessor=dict(
            type='CMIDDataPreprocessor', mean=[0.] * bands, std=[1.] * bands,
            mask_cell=config.get('mask_patch_size', 32)),
        image_size=config['size'][0],
        num_matches=config['num_matches'],
        mask_mode='replace' if config.get('residual', False) else 'add')).double()


def temperatures(config):
    return CMIDTeacherTemperatureHook(config['warmup_branch_temp'], config['branch_temp'],
                                      config['warmup_branch_temp_epochs'])


def inputs_of(batch):
    """A published batch as this project's model takes it; boxes hold the grids themselves."""
    tensors = {key: torch.as_tensor(value) for key, value in batch.items() if key != 'locations'}
    return dict(
        images=[tensors['img'], tensors['view']],
        masked_images=[tensors['mim_img'], tensors['view_mim_img']],
        masks=[upsample_mask(tensors[key], tensors['img'].shape[-1] // tensors[key].shape[-1])
               for key in ('mask', 'view_mask')],
        boxes=[torch.as_tensor(grid) for grid in batch['locations']])


@pytest.fixture(autouse=True)
def grids_in_place_of_boxes(monkeypatch):
    monkeypatch.setattr(cmid_module, 'location_grid', lambda box, size: box)


def close(actual, expected, rtol=1e-6, atol=1e-9):
    torch.testing.assert_close(
        actual.detach().double(), torch.as_tensor(expected, dtype=torch.float64),
        rtol=rtol, atol=atol)


def test_golden_heads():
    golden = Golden('heads_step')
    batch_size, size, channels = (int(golden[key]) for key in 'BSC')
    seed = int(golden['seed'])
    inputs = inputs_of(recipe().pretrain_batch(seed, 0, batch_size, size))
    for _, match in golden.matching(r'(bn\d)/state/queue'):
        kind = match[1]
        config = golden.json('config') | dict(use_bn=kind == 'bn1')
        model = model_of(config, Features(channels, size // int(golden['N'])))
        state = {found[1]: golden.tensor(name)
                 for name, found in golden.matching(rf'{kind}/state/(.+)')}
        weight = 'mim2org.decoder_pred.0.weight'
        shape = model.decoder.project.weight.shape
        state[weight] = torch.as_tensor(recipe().weight(f'{kind}/{weight}', shape, seed))
        result = model.load_state_dict(convert_published(state), strict=False)
        assert not result.unexpected_keys
        assert all('backbone' in name or 'data_preprocessor' in name or name == 'mask_token'
                   for name in result.missing_keys), result.missing_keys
        schedule = temperatures(config)
        for step in range(len(golden.matching(rf'{kind}/step\d+/total_loss'))):
            prefix = f'{kind}/step{step}'
            student, teacher = (
                [golden.tensor(f'feat_{side}_{view}', torch.float64) for view in ('org', 'view')]
                for side in ('student', 'teacher'))
            for features in student:
                features.requires_grad_()
            model.local_head.teacher_temperature.fill_(schedule.temperature(step))
            losses = [
                model.reconstruction_loss(student, inputs['images'], inputs['masks']),
                model.global_loss(student, teacher),
                model.local_loss(student, teacher, inputs['boxes'])
            ]
            for loss, name in zip(losses, ('loss_rec', 'global_loss', 'pixel_loss')):
                close(loss, golden[f'{prefix}/{name}'])
            model.zero_grad()
            sum(losses).backward()
            close(model.global_head.queue.t(), golden[f'{prefix}/queue'])
            assert model.global_head.queue_ptr.item() == golden[f'{prefix}/ptr']
            close(model.local_head.center, golden[f'{prefix}/center'])
            for features, view in zip(student, ('org', 'view')):
                expected = golden[f'{prefix}/grad_student_{view}']
                close(features.grad, expected, 1e-5, 1e-6 * abs(expected).max())
            parameters = dict(model.named_parameters())
            for name in golden.arrays:
                if name.startswith(f'{prefix}/grad/'):
                    published = name.removeprefix(f'{prefix}/grad/')
                    if published in biases_before_batch_norm(config):
                        continue
                    close(parameters[from_published(published)].grad, golden[name], 1e-5, 1e-7)
        state = model.state_dict()
        for name in golden.arrays:
            if name.startswith(f'{kind}/after'):
                close(state[from_published(name.split('/', 2)[2])], golden[name])


@pytest.mark.parametrize('name', ['trajectory_resnet50', 'trajectory_swin_base'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_golden_trajectory(name, dtype):
    if name == 'trajectory_swin_base' and dtype == torch.float32:
        pytest.skip('the ResNet-50 shows float32')
    golden = Golden(name)
    config, seed = golden.json('config'), int(golden['seed'])
    model = model_of(config, BACKBONES[config['backbone']])
    start = start_state(golden, seed)
    result = model.load_state_dict(convert_published(start), strict=False)
    assert not result.unexpected_keys
    assert all(key.startswith('data_preprocessor.') or key.endswith('relative_position_index')
               for key in result.missing_keys), result.missing_keys
    model.to(dtype).train()
    groups = split_by_decay(model)
    optimizer = OPTIMIZERS.build(dict(type='Adan', lr=0., params=[
        dict(params=list(groups[0].values()), weight_decay=0.),
        dict(params=list(groups[1].values()), weight_decay=config['wd'])]))
    steps = int(golden['epochs']) * int(golden['epoch_len'])
    teacher = CMIDTeacherMomentumHook(config['base_momentum'], config['final_momentum'])
    schedule = temperatures(config)
    rtol = 1e-6 if dtype == torch.float64 else 1e-4
    for i in range(steps):
        batch = recipe().pretrain_batch(seed, i, int(golden['B']), int(golden['S']))
        inputs = {key: [x.to(dtype) if x.is_floating_point() else x for x in value]
                  for key, value in inputs_of(batch).items()}
        # matching is by exact distances: float32 grids would only test the rounding
        inputs['boxes'] = [x.double() for x in inputs['boxes']]
        model.local_head.teacher_temperature.fill_(
            schedule.temperature(int(golden['temp_epoch'][i])))
        losses = model(inputs, mode='loss')
        for key, published in (('loss_reconstruction', 'loss_rec'),
                               ('loss_global', 'global_loss'), ('loss_local', 'pixel_loss')):
            close(losses[key], golden[published][i], rtol)
        close(sum(losses.values()), golden['total_loss'][i], rtol)
        assert model.global_head.queue_ptr.item() == golden['ptr'][i]
        optimizer.zero_grad()
        sum(losses.values()).backward()
        if dtype == torch.float64:
            check_gradients(golden, model, i, biases_before_batch_norm(config))
        # the published order: the teacher follows one step late, before the optimiser
        if i > 0:
            momentum = teacher.momentum(i - 1, steps)
            assert momentum == pytest.approx(golden['tau'][i], rel=1e-9)
            model.update_teacher(momentum)
        for group in optimizer.param_groups:
            group['lr'] = golden['lr'][i]
        optimizer.step()
        if dtype == torch.float64:
            check_state(golden, model, start, i, biases_before_batch_norm(config))


def start_state(golden, seed):
    """Published state dict at the start, by the rules of the file's ``how``."""
    weights = recipe()
    state = {}
    for key, shape in golden.json('state_dict_shapes').items():
        if key.startswith('branch_') or key.endswith('relative_position_index'):
            continue
        if key.startswith('class_loss.') or key.endswith(('num_batches_tracked', 'queue_ptr')):
            state[key] = torch.zeros(shape, dtype=torch.float64)
        elif 'running_' in key:
            state[key] = torch.full(shape, float('var' in key), dtype=torch.float64)
        else:
            state[key] = torch.as_tensor(weights.weight(key, shape, seed))
    teacher = {}
    for key, value in state.items():
        for student, branch in (('online_encoder.model.', 'branch_encoder.'),
                                ('online_projector.', 'branch_projector.'),
                                ('class_projector.', 'branch_class_projector.')):
            if key.startswith(student):
                teacher[branch + key.removeprefix(student)] = value
    return state | teacher


def snapshot(tensor, size):
    """Big tensors are stored by their first elements."""
    return tensor.detach().flatten()[:size].double()


def check_gradients(golden, model, step, left_out):
    parameters = dict(model.named_parameters())
    for key in golden.arrays:
        if key.startswith(f'grad_it{step}/') and key.split('/', 1)[1] not in left_out:
            parameter = parameters[from_published(key.split('/', 1)[1])]
            expected = torch.as_tensor(golden[key]).double().flatten()
            close(snapshot(parameter.grad, len(expected)), expected, 1e-4,
                  1e-5 * expected.abs().max().item())


def check_state(golden, model, start, step, left_out):
    """Displacements, because the learning rate is too small for plain closeness."""
    state = model.state_dict()
    state['global_head.queue'] = state['global_head.queue'].t()
    for key in golden.arrays:
        if key.startswith(f'after_it{step}/') and key.split('/', 1)[1] not in left_out:
            published = key.split('/', 1)[1]
            expected = torch.as_tensor(golden[key]).double().flatten()
            begin = snapshot(start[published], len(expected))
            moved = expected - begin
            close(snapshot(state[from_published(published)], len(expected)) - begin, moved,
                  1e-5, 1e-5 * moved.abs().max().item() + 1e-12)
