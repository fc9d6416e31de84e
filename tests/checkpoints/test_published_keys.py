"""Names and shapes of the published checkpoints, and what their backbones compute."""
import shutil
from collections import OrderedDict

import pytest
import torch
from golden_files import Golden, recipe
from mmengine.config import Config
from mmpretrain.registry import MODELS
from published_files import assert_same_file, full_shapes, keys_of, save_pretraining
from test_configs import CONFIGS

from cmid_mm.engine.hooks.checkpoint_guard_hook import compare_states
from cmid_mm.checkpoints.backbone import export_backbone
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.checkpoints.published import STUDENT, convert_published_file
from cmid_mm.checkpoints.published_keys import from_published, to_published

PUBLISHED = dict(
    resnet50=(CONFIGS[0].with_name('cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid.py'),
              dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3))),
    swin_base=(CONFIGS[0].with_name('cmid_swin_pretrain.py'),
               dict(type='SwinTransformer', arch='base', out_indices=(0, 1, 2, 3))))


@pytest.fixture(scope='module', params=PUBLISHED)
def converted(request, tmp_path_factory):
    """A published file: the backbone as the recipe says, the rest in its true shapes.

    Name, folder with theirs.pth, ours.pth and the backbone alone, and what theirs holds.
    """
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    model = full_shapes(keys_of(name))
    seed, weight = int(Golden(f'checkpoints/{name}_backbone_io')['seed']), recipe().weight
    backbone = MODELS.build(dict(PUBLISHED[name][1])).state_dict()
    for key, (shape, dtype) in keys_of(name, 'backbone').items():
        # the recipe has no index tables
        value = (backbone[key] if key.endswith('relative_position_index')
                 else torch.as_tensor(weight(STUDENT + key, shape, seed)))
        model[STUDENT + key] = value.to(dtype)
    save_pretraining(folder / 'theirs.pth', model)
    convert_published_file(folder / 'theirs.pth', folder / 'ours.pth')
    alone = OrderedDict((key, model[STUDENT + key]) for key in keys_of(name, 'backbone'))
    torch.save(alone, folder / 'their_backbone.pth')
    convert_published_file(folder / 'their_backbone.pth', folder / 'our_backbone.pth')
    yield name, folder, model
    # gigabytes, of which pytest would keep those of three runs
    shutil.rmtree(folder)


def test_every_published_tensor_has_its_place(converted):
    name, folder, published = converted
    model = MODELS.build(Config.fromfile(PUBLISHED[name][0]).model)
    state = load_checkpoint_file(folder / 'ours.pth')['state_dict']
    # what tools/train.py and tools/test.py ask before they use a checkpoint
    assert compare_states(model.state_dict(), state) == ''
    own = model.state_dict()
    assert {key: value.dtype for key, value in state.items()} == {
        key: value.dtype for key, value in own.items()}
    assert list(to_published(own)) == list(published)
    assert len({from_published(key) for key in published}) == len(published)


def test_the_way_back_is_exact(converted):
    name, folder, published = converted
    for ours, expected in (
            ('ours.pth', published),
            ('our_backbone.pth', load_checkpoint_file(folder / 'their_backbone.pth'))):
        convert_published_file(folder / ours, folder / 'back.pth', 'published')
        back = load_checkpoint_file(folder / 'back.pth')
        assert_same_file(back.get('model', back), expected)
    export_backbone(folder / 'ours.pth', folder / 'back.pth', fmt='published')
    assert_same_file(load_checkpoint_file(folder / 'back.pth'), expected)


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_backbone_keys_are_mmpretrains(name):
    backbone = PUBLISHED[name][1]
    plain = MODELS.build(backbone | dict(
        out_indices=(3, )) if name == 'swin_base' else dict(backbone))
    own = {key: list(value.shape) for key, value in plain.state_dict().items()}
    assert own == {key: shape for key, (shape, _) in keys_of(name, 'backbone').items()}


@pytest.mark.parametrize('file', ['our_backbone.pth', 'exported.pth'])
def test_converted_weights_give_the_published_features(converted, file):
    """From the backbone-only file, and from the pre-training file by way of an export."""
    name, folder, published = converted
    export_backbone(folder / 'ours.pth', folder / 'exported.pth')
    golden = Golden(f'checkpoints/{name}_backbone_io')
    backbone = MODELS.build(PUBLISHED[name][1] | dict(init_cfg=dict(
        type='Pretrained', checkpoint=str(folder / file), prefix='backbone.')))
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        # the norms of inner stages are not pre-trained
        fresh = key.startswith(('norm0.', 'norm1.', 'norm2.'))
        assert fresh or torch.equal(value, published[STUDENT + key]), key
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
