"""Whole published files: read safely, converted, and back without a difference."""
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from published_files import NAMES, assert_same_file, keys_of, save_pretraining, thin_tensors
from small_models import TINY_SWIN, build_cmid

from cmid_mm.checkpoints.backbone import export_backbone
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.checkpoints.published import (
    MEAN,
    STD,
    convert_published_file,
    import_published,
    load_published_file,
)
from cmid_mm.checkpoints.published_keys import from_published, to_published


class Call:
    """Pickles as a call of any function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize('name', NAMES)
def test_there_and_back_is_exact(name, tmp_path):
    model = thin_tensors(keys_of(name))
    save_pretraining(tmp_path / 'theirs.pth', model)
    done = convert_published_file(tmp_path / 'theirs.pth', tmp_path / 'ours.pth')
    assert done['left_behind'] == ["the optimiser's state", 'logged values', 'state of hooks']
    ours = load_checkpoint_file(tmp_path / 'ours.pth')
    state = ours['state_dict']
    assert torch.equal(state['global_head.queue'], model['queue'].t())
    assert state['global_head.queue'].is_contiguous()
    assert {key: ours['meta'][key] for key in ('source', 'epoch', 'num_gpus')} == dict(
        source='theirs.pth', epoch=200, num_gpus=8)
    for key, value in model.items():
        assert key == 'queue' or torch.equal(state[from_published(key)], value)

    done = convert_published_file(tmp_path / 'ours.pth', tmp_path / 'back.pth', 'published')
    assert done['left_behind'] == []
    back = load_checkpoint_file(tmp_path / 'back.pth')
    assert_same_file(back.pop('model'), model)
    assert back == dict(epoch=199, num_gpus=8)


@pytest.mark.parametrize('name', NAMES)
def test_a_backbone_there_and_back_is_exact(name, tmp_path):
    backbone = thin_tensors(keys_of(name, 'backbone'))
    torch.save(backbone, tmp_path / 'theirs.pth')
    assert convert_published_file(
        tmp_path / 'theirs.pth', tmp_path / 'ours.pth')['left_behind'] == []
    ours = load_checkpoint_file(tmp_path / 'ours.pth')
    assert_same_file(ours['state_dict'],
                     {f'backbone.{key}': value for key, value in backbone.items()})
    assert ours['meta']['encoder'] == 'student' and ours['meta']['bands'] == 3
    convert_published_file(tmp_path / 'ours.pth', tmp_path / 'back.pth', 'published')
    back = load_checkpoint_file(tmp_path / 'back.pth')
    assert type(back) is OrderedDict
    assert_same_file(back, backbone)
    # exporting and converting are two ways to the same
    export_backbone(tmp_path / 'ours.pth', tmp_path / 'exported.pth', fmt='published')
    assert_same_file(load_checkpoint_file(tmp_path / 'exported.pth'), backbone)


def test_normalisation_is_the_published_one():
    assert MEAN == pytest.approx([0.33797 * 255, 0.3605 * 255, 0.3348 * 255])
    assert STD == pytest.approx([0.1359 * 255, 0.1352 * 255, 0.1407 * 255])
    model = thin_tensors(keys_of(NAMES[0]))
    whole = import_published(dict(model=model), 'x')
    alone = import_published(thin_tensors(keys_of(NAMES[0], 'backbone')), 'x')
    for name, values in (('mean', MEAN), ('std', STD)):
        stored = whole['state_dict'][f'data_preprocessor.{name}']
        assert stored.dtype == torch.float32
        assert stored.tolist() == pytest.approx(values) == alone['meta'][name]
    assert whole['meta']['epoch'] is None


@pytest.mark.parametrize('backbone, norm', [
    (dict(type='ResNet', depth=18), dict(type='BN1d')), (TINY_SWIN, None)])
@pytest.mark.parametrize('num_layers', [1, 3])
def test_a_model_trained_here_is_written_in_the_published_order(backbone, norm, num_layers):
    changes = dict(norm_cfg=norm, dense_projector=dict(num_layers=num_layers))
    model = build_cmid(backbone, **changes)
    published = to_published(model.state_dict())
    single = 'class_projector.mlp.weight' in published
    assert single == (num_layers == 1)
    if num_layers == 3:
        name = 'resnet50' if norm else 'swin_base'
        known = [key for key in keys_of(name) if key in published]
        assert [key for key in published if key in keys_of(name)] == known
        assert len(known) > 200 and known[:2] == ['queue', 'queue_ptr']
    imported = import_published(dict(model=published), 'x')['state_dict']
    fresh = build_cmid(backbone, **changes)
    for value in fresh.state_dict().values():
        value.zero_()
    fresh.load_state_dict(imported)
    mean = fresh.data_preprocessor.mean
    for key, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[key], value) == ('data_pre' not in key), key
    assert mean.tolist() == pytest.approx(MEAN)


@pytest.mark.parametrize('call', [
    (open, 'opened', 'w'), (eval, "open('opened', 'w')"), (getattr, dict, 'clear'),
    (pickle.loads, pickle.dumps(Call(open, 'opened', 'w')))])
@pytest.mark.parametrize('place', ['hooks', 'metric_storage', 'model'])
def test_a_pickle_that_would_run_code_is_refused(call, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_pretraining('evil.pth', thin_tensors(keys_of(NAMES[0])), **{place: Call(*call)})
    with pytest.raises(ValueError, match='evil.pth (holds a|cannot be read)') as error:
        convert_published_file('evil.pth', 'out.pth')
    assert '\n' not in str(error.value)
    assert not Path('opened').exists() and not Path('out.pth').exists()


def test_stand_ins_run_nothing_and_do_not_outlive_the_reading(tmp_path):
    save_pretraining(tmp_path / 'x.pth', OrderedDict(queue=torch.ones(2)))
    content = load_published_file(tmp_path / 'x.pth')
    storage = content['metric_storage']
    assert type(storage) is OrderedDict and not vars(storage['loss'])
    with pytest.raises(ValueError, match='convert it with .*convert_published.py first'):
        load_checkpoint_file(tmp_path / 'x.pth')


@pytest.mark.parametrize('content, to, message', [
    (dict(), 'cmid_mm', 'no published CMID file'),
    (dict(state_dict=dict(a=torch.ones(1))), 'cmid_mm', 'no published CMID file'),
    (dict(model=dict(a=torch.ones(1))), 'cmid_mm', 'no published CMID file'),
    (dict(model={'online_encoder.model.a': 3}), 'cmid_mm', 'a is a int, no tensor'),
    (dict(model={'online_encoder.model.a': torch.ones(1), 'fc.weight': torch.ones(1)}),
     'cmid_mm', 'fc.weight is no key of a published'),
    (dict(a=torch.ones(1)), 'cmid_mm', 'no published CMID backbone.*found a'),
    (dict(thin_tensors(keys_of('resnet50', 'backbone')), **{'fc.weight': torch.ones(1)}),
     'cmid_mm', r'1 tensors are none of a plain ResNet \(e.g. fc.weight\)'),
    (dict(a=torch.ones(1)), 'published', 'no file of this project'),
    (dict(state_dict={'backbone.a': torch.ones(1), 'head.a': torch.ones(1)}),
     'published', '1 tensors have no place.*head.a'),
    (dict(state_dict={'backbone.cls_token': torch.ones(1)}), 'published',
     'has no published form'),
])
def test_foreign_files_are_refused(content, to, message, tmp_path):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message) as error:
        convert_published_file(tmp_path / 'x.pth', tmp_path / 'out.pth', to)
    assert str(error.value).startswith('x.pth') and '\n' not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ['x.pth']


def test_converted_file_starts_a_model(tmp_path):
    """What mmengine loads from it, and what the exported backbone holds."""
    model = build_cmid(TINY_SWIN)
    for value in model.teacher.parameters():
        value.add_(1)
    save_pretraining(tmp_path / 'theirs.pth', to_published(model.state_dict()))
    convert_published_file(tmp_path / 'theirs.pth', tmp_path / 'ours.pth')
    for encoder, expected in (('student', model.backbone),
                              ('teacher', model.teacher['backbone'])):
        meta = export_backbone(tmp_path / 'ours.pth', tmp_path / 'b.pth', encoder)['meta']
        assert (meta['encoder'], meta['epoch'], meta['bands']) == (encoder, 200, 3)
        backbone = MODELS.build(TINY_SWIN | dict(init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'b.pth'), prefix='backbone.')))
        backbone.init_weights()
        assert_same_file(backbone.state_dict(), expected.state_dict())


def test_other_statistics_are_said_to_be_left_behind(tmp_path):
    model = build_cmid(TINY_SWIN)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'ours.pth')
    export_backbone(tmp_path / 'ours.pth', tmp_path / 'alone.pth')
    for source in ('ours.pth', 'alone.pth'):
        done = convert_published_file(tmp_path / source, tmp_path / 'out.pth', 'published')
        assert done['left_behind'] == ['mean [100.0, 100.0, 100.0] of the images',
                                       'std [50.0, 50.0, 50.0] of the images']
