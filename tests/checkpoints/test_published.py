"""Whole published files: read safely, converted, and back without a difference."""
import pickle
import shutil
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from damaged_images import refused
from golden_files import Golden, recipe
from mmengine.config import Config
from mmpretrain.registry import MODELS
from published_files import (
    NAMES,
    assert_same_file,
    full_shapes,
    keys_of,
    save_pretraining,
    thin_tensors,
)
from small_models import TINY_SWIN, build_cmid

from cmid_mm.checkpoints.export import export_backbone
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.checkpoints.published import (
    STUDENT,
    convert_published_file,
    import_published,
    load_published_file,
)
from cmid_mm.checkpoints.published_keys import from_published, to_published
from cmid_mm.checkpoints.state import compare_states

CONFIGS = Path(__file__).parents[2] / 'configs' / 'cmid'
# published file: (recipe, config of the backbone with all of its feature maps)
RECIPES = dict(
    resnet50=(CONFIGS / 'cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid.py',
              dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3))),
    swin_base=(CONFIGS / 'cmid_swin_pretrain.py',
               dict(type='SwinTransformer', arch='base', out_indices=(0, 1, 2, 3))))


class Call:
    """Pickles as a call of any function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


# ------------------------------------------------------------------------ there and back


def there_and_back(theirs, folder):
    """Convert a published file and convert it back; ours, theirs and what ours left out."""
    ours, back = folder / 'ours.pth', folder / 'back.pth'
    left_out = convert_published_file(theirs, ours)['not_converted']
    assert convert_published_file(ours, back, 'published')['not_converted'] == []
    return load_checkpoint_file(ours), load_checkpoint_file(back), left_out


def assert_published_statistics(mean, std):
    assert mean == pytest.approx([255 * value for value in (0.33797, 0.3605, 0.3348)])
    assert std == pytest.approx([255 * value for value in (0.1359, 0.1352, 0.1407)])


@pytest.mark.parametrize('name', NAMES)
def test_there_and_back_is_exact(name, tmp_path):
    model = thin_tensors(keys_of(name))
    save_pretraining(tmp_path / 'theirs.pth', model)
    ours, back, left_out = there_and_back(tmp_path / 'theirs.pth', tmp_path)
    assert left_out == ["the optimiser's state", 'logged values', 'state of hooks']
    assert {key: ours['meta'][key] for key in ('source', 'epoch', 'num_gpus')} == dict(
        source='theirs.pth', epoch=200, num_gpus=8)
    state = ours['state_dict']
    queue = state['global_head.queue']
    assert torch.equal(queue, model['queue'].t()) and queue.is_contiguous()
    for key, value in model.items():
        assert key == 'queue' or torch.equal(state[from_published(key)], value)
    mean, std = (state[f'data_preprocessor.{part}'] for part in ('mean', 'std'))
    assert mean.dtype == std.dtype == torch.float32
    assert_published_statistics(mean.tolist(), std.tolist())
    assert_same_file(back.pop('model'), model)
    assert back == dict(epoch=199, num_gpus=8)


@pytest.mark.parametrize('name', NAMES)
def test_a_backbone_there_and_back_is_exact(name, tmp_path):
    backbone = thin_tensors(keys_of(name, 'backbone'))
    torch.save(backbone, tmp_path / 'theirs.pth')
    ours, back, left_out = there_and_back(tmp_path / 'theirs.pth', tmp_path)
    assert left_out == []
    assert_same_file(ours['state_dict'],
                     {f'backbone.{key}': value for key, value in backbone.items()})
    meta = ours['meta']
    assert meta['encoder'] == 'student' and meta['bands'] == 3
    assert_published_statistics(meta['mean'], meta['std'])
    # exporting and converting are two ways to the same
    export_backbone(tmp_path / 'ours.pth', tmp_path / 'exported.pth', fmt='published')
    for file in (back, load_checkpoint_file(tmp_path / 'exported.pth')):
        assert type(file) is OrderedDict
        assert_same_file(file, backbone)


@pytest.mark.parametrize('backbone, norm, num_layers', [
    (dict(type='ResNet', depth=18), dict(type='BN1d'), 3), (TINY_SWIN, None, 3),
    (TINY_SWIN, None, 1)])
def test_a_model_trained_here_is_written_in_the_published_order(backbone, norm, num_layers):
    model = build_cmid(backbone, norm_cfg=norm, dense_projector=dict(num_layers=num_layers))
    state = model.state_dict()
    published = to_published(state)
    assert ('class_projector.mlp.weight' in published) == (num_layers == 1)
    if num_layers == 3:
        name = 'resnet50' if norm else 'swin_base'
        known = [key for key in keys_of(name) if key in published]
        assert [key for key in published if key in keys_of(name)] == known
        assert len(known) > 200 and known[:2] == ['queue', 'queue_ptr']
    imported = import_published(dict(model=published), 'x')['state_dict']
    assert compare_states(state, imported).differences == ''
    for key, value in state.items():
        assert torch.equal(imported[key], value) == ('data_preprocessor' not in key), key


def test_other_statistics_are_reported_as_not_converted(tmp_path):
    torch.save(dict(state_dict=build_cmid(TINY_SWIN).state_dict()), tmp_path / 'ours.pth')
    export_backbone(tmp_path / 'ours.pth', tmp_path / 'alone.pth')
    for source in ('ours.pth', 'alone.pth'):
        done = convert_published_file(tmp_path / source, tmp_path / 'out.pth', 'published')
        assert done['not_converted'] == ['mean [100.0, 100.0, 100.0] of the images',
                                       'std [50.0, 50.0, 50.0] of the images']


# ------------------------------------------------------------------------ untrusted files


@pytest.mark.parametrize('call', [
    (open, 'opened', 'w'), (eval, "open('opened', 'w')"), (getattr, dict, 'clear'),
    (pickle.loads, pickle.dumps(Call(open, 'opened', 'w')))])
@pytest.mark.parametrize('place', ['hooks', 'metric_storage', 'model'])
def test_code_in_a_pickle_is_refused(call, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_pretraining('evil.pth', dict(queue=torch.ones(2)), **{place: Call(*call)})
    refused(lambda: convert_published_file('evil.pth', 'out.pth'), ValueError,
            'evil.pth (holds a|cannot be read)')
    assert not Path('opened').exists() and not Path('out.pth').exists()


def test_replacements_of_classes_end_with_the_reading(tmp_path):
    save_pretraining(tmp_path / 'x.pth', OrderedDict(queue=torch.ones(2)))
    storage = load_published_file(tmp_path / 'x.pth')['metric_storage']
    assert type(storage) is OrderedDict and not vars(storage['loss'])
    with pytest.raises(ValueError, match='convert it with .*convert_published.py first'):
        load_checkpoint_file(tmp_path / 'x.pth')


A, B = 'online_encoder.model.a', 'backbone.a'
ONE = torch.ones(1)


@pytest.mark.parametrize('content, to, message', [
    (dict(), 'cmid_mm', 'no published CMID file'),
    (dict(state_dict=dict(a=ONE)), 'cmid_mm', 'no published CMID file'),
    (dict(model=dict(a=ONE)), 'cmid_mm', 'no published CMID file'),
    (dict(model={A: 3}), 'cmid_mm', 'a is a int, no tensor'),
    (dict(model={A: ONE, 'fc.weight': ONE}), 'cmid_mm', 'fc.weight is no key of a published'),
    (dict(a=ONE), 'cmid_mm', 'no published CMID backbone.*found a'),
    (dict(thin_tensors(keys_of('resnet50', 'backbone')), **{'fc.weight': ONE}),
     'cmid_mm', r'1 tensors are none of a plain ResNet \(e.g. fc.weight\)'),
    (dict(a=ONE), 'published', 'no file of this project'),
    (dict(state_dict={B: ONE, 'head.a': ONE}), 'published', '1 tensors have no place.*head.a'),
    (dict(state_dict={'backbone.cls_token': ONE}), 'published', 'has no published form')])
def test_foreign_files_are_refused(content, to, message, tmp_path):
    torch.save(content, tmp_path / 'x.pth')
    refused(lambda: convert_published_file(tmp_path / 'x.pth', tmp_path / 'out.pth', to),
            ValueError, f'^x.pth.*{message}')
    assert [path.name for path in tmp_path.iterdir()] == ['x.pth']


# -------------------------------------------------------------------- true shapes, features


@pytest.fixture(scope='module', params=RECIPES)
def converted(request, tmp_path_factory):
    """A published file with the golden backbone, the rest in its true shapes, converted.

    Name, path of the converted file, and the tensors of the published one.
    """
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    model = full_shapes(keys_of(name))
    seed, weight = int(Golden(f'checkpoints/{name}_backbone_io')['seed']), recipe().weight
    backbone = MODELS.build(dict(RECIPES[name][1])).state_dict()
    for key, (shape, dtype) in keys_of(name, 'backbone').items():
        # the golden recipe has no index tables
        value = (backbone[key] if key.endswith('relative_position_index')
                 else torch.as_tensor(weight(STUDENT + key, shape, seed)))
        model[STUDENT + key] = value.to(dtype)
    save_pretraining(folder / 'theirs.pth', model)
    convert_published_file(folder / 'theirs.pth', folder / 'ours.pth')
    yield name, folder / 'ours.pth', model
    # gigabytes, of which pytest would keep those of three runs
    shutil.rmtree(folder)


def test_every_published_tensor_has_its_place(converted):
    name, ours, published = converted
    own = MODELS.build(Config.fromfile(RECIPES[name][0]).model).state_dict()
    state = load_checkpoint_file(ours)['state_dict']
    assert compare_states(own, state).differences == ''
    assert {key: value.dtype for key, value in state.items()} == {
        key: value.dtype for key, value in own.items()}
    assert list(to_published(own)) == list(published)
    assert len({from_published(key) for key in published}) == len(published)


def test_converted_weights_give_the_published_features(converted, tmp_path):
    name, ours, published = converted
    export_backbone(ours, tmp_path / 'exported.pth')
    golden = Golden(f'checkpoints/{name}_backbone_io')
    backbone = MODELS.build(RECIPES[name][1] | dict(init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'exported.pth'), prefix='backbone.')))
    backbone.init_weights()
    (tmp_path / 'exported.pth').unlink()
    for key, value in backbone.state_dict().items():
        # the norms of inner stages are not pre-trained
        fresh = key.startswith(('norm0.', 'norm1.', 'norm2.'))
        assert fresh or torch.equal(value, published[STUDENT + key]), key
    backbone.eval()
    for stage, out in stages(name, backbone, golden.tensor('input')).items():
        expected = golden.tensor(stage).double()
        assert list(out.shape) == golden[f'{stage}_full_shape'].tolist(), stage
        part = out.double()[tuple(slice(size) for size in expected.shape)]
        error = (part - expected).norm() / expected.norm()
        assert error < 1e-5, (stage, error)
        total = out.double().abs().sum()
        assert abs(total / golden[f'{stage}_sum_abs'].item() - 1) < 1e-5, stage


@torch.no_grad()
def stages(name, backbone, image):
    """The outputs in the golden file: the stem, and each stage before the next downsampling."""
    outputs = {}

    def note(module, stage):
        module.register_forward_hook(lambda module, args, out: outputs.update(
            {stage: out[0] if isinstance(out, tuple) else out}))

    resnet = name == 'resnet50'
    note(*((backbone.maxpool, 'stem') if resnet else (backbone.patch_embed, 'patch_embed')))
    for i in range(1, 5):
        note(getattr(backbone, f'layer{i}') if resnet else backbone.stages[i - 1].blocks[-1],
             f'stage{i}')
    last = backbone(image)[-1]
    if not resnet:
        outputs['stage4_norm3'] = last
        for i in range(1, 5):
            tokens = outputs[f'stage{i}']
            side = int(tokens.shape[1]**0.5)
            outputs[f'stage{i}'] = tokens.transpose(1, 2).unflatten(2, (side, side))
    return outputs
