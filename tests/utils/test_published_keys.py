"""Names and shapes of the published checkpoints, and what their backbones compute."""
import json

import pytest
import torch
from golden_files import GOLDEN, Golden, recipe
from mmengine.config import Config
from mmpretrain.registry import MODELS
from test_configs import CONFIGS

from cmid_mm.utils.published_keys import convert_published, from_published

PUBLISHED = dict(
    resnet50=(CONFIGS[0].with_name('cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid.py'),
              dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3))),
    swin_base=(CONFIGS[0].with_name('cmid_swin_pretrain.py'),
               dict(type='SwinTransformer', arch='base', out_indices=(0, 1, 2, 3))))


def keys(name):
    return json.loads((GOLDEN / 'checkpoints' / f'{name}_keys.json').read_text())


@pytest.mark.parametrize('name', PUBLISHED)
def test_every_published_tensor_has_its_place(name):
    model = MODELS.build(Config.fromfile(PUBLISHED[name][0]).model)
    own = {key: list(value.shape) for key, value in model.state_dict().items()}
    published = {key: shape for key, (shape, _) in keys(name)['model'].items()}
    found = {from_published(key): shape for key, shape in published.items()}
    assert len(found) == len(published)
    found['global_head.queue'] = found['global_head.queue'][::-1]
    # statistics of the images are ours alone
    assert found == {key: shape for key, shape in own.items()
                     if not key.startswith('data_preprocessor.')}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_backbone_keys_are_mmpretrains(name):
    backbone = PUBLISHED[name][1]
    plain = MODELS.build(backbone | dict(
        out_indices=(3, )) if name == 'swin_base' else dict(backbone))
    own = {key: list(value.shape) for key, value in plain.state_dict().items()}
    assert own == {key: shape for key, (shape, _) in keys(name)['backbone'].items()}


@pytest.mark.parametrize('name', PUBLISHED)
def test_converted_weights_give_the_published_features(name):
    golden = Golden(f'checkpoints/{name}_backbone_io')
    backbone = MODELS.build(dict(PUBLISHED[name][1]))
    prefix, seed = 'online_encoder.model.', int(golden['seed'])
    weights = recipe()
    state = {
        prefix + key: torch.as_tensor(weights.weight(prefix + key, shape, seed))
        for key, (shape, _) in keys(name)['backbone'].items()
        if not key.endswith('relative_position_index')}
    converted = {key.removeprefix('backbone.'): value
                 for key, value in convert_published(state).items()}
    result = backbone.load_state_dict(converted, strict=False)
    assert not result.unexpected_keys
    # an index table, and the norms of inner stages that pre-training does not have
    fresh = ('norm0.', 'norm1.', 'norm2.')
    assert all(key.endswith('relative_position_index') or key.startswith(fresh)
               for key in result.missing_keys)
    backbone.eval()
    outputs = stages(name, backbone, golden.tensor('input'))
    for stage, out in outputs.items():
        expected = golden.tensor(stage).double()
        assert list(out.shape) == golden[f'{stage}_full_shape'].tolist(), stage
        part = out.double()[tuple(slice(size) for size in expected.shape)]
        error = (part - expected).norm() / expected.norm()
        assert error < 1e-5, (stage, error)
        total = out.double().abs().sum()
        assert abs(total / golden[f'{stage}_sum_abs'].item() - 1) < 1e-5, stage


@torch.no_grad()
def stages(name, backbone, image):
    """What the file holds: the stem and each stage before the next downsampling."""
    seen = {}

    def note(stage):
        def hook(module, args, out):
            seen[stage] = out[0] if isinstance(out, tuple) else out
        return hook

    if name == 'resnet50':
        backbone.maxpool.register_forward_hook(note('stem'))
        for i in range(1, 5):
            getattr(backbone, f'layer{i}').register_forward_hook(note(f'stage{i}'))
        backbone(image)
        return seen
    backbone.patch_embed.register_forward_hook(note('patch_embed'))
    for i, stage in enumerate(backbone.stages, 1):
        stage.blocks[-1].register_forward_hook(note(f'stage{i}'))
    seen['stage4_norm3'] = backbone(image)[-1]
    for i in range(1, 5):
        tokens = seen[f'stage{i}']
        side = int(tokens.shape[1]**0.5)
        seen[f'stage{i}'] = tokens.transpose(1, 2).unflatten(2, (side, side))
    return seen


def test_unknown_names_are_refused():
    with pytest.raises(KeyError, match='fc.weight'):
        from_published('fc.weight')
