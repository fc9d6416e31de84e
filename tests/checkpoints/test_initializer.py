"""``init_cfg=dict(type='CMIDPretrained')``: what is loaded into which backbone."""
import copy
import pickle

import pytest
import torch
from frameworks import RESNET18, RESNET50, build, cmid, random_weights, save, swin, vit
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import BaseModule, initialize
from mmengine.runner import Runner
from PIL import Image
from small_models import build_cmid

from cmid_mm.checkpoints import initializer
from cmid_mm.checkpoints.adapt import adapt
from cmid_mm.checkpoints.export import extract_backbone
from cmid_mm.checkpoints.initializer import patch_base_module

FRAMEWORKS = ['mmpretrain', 'mmseg', 'mmdet']
SWIN, VIT = swin('mmpretrain'), vit('mmpretrain')


@pytest.fixture
def reports(monkeypatch, tmp_path):
    """Lines that were logged, with their levels, while no training runs."""
    MessageHub.get_instance(str(tmp_path))
    lines = []
    monkeypatch.setattr(initializer, 'print_log',
                        lambda text, logger, level: lines.append((level, text)))
    return lines


def source(config, path, framework='mmpretrain', **meta):
    """Path and tensors of an exported file with random weights."""
    return save(random_weights(build(framework, config)), path, **meta)


def loaded(framework, config, path, scope=None, **arguments):
    """A backbone after ``init_weights``."""
    model = build(framework, dict(config, init_cfg=cmid(path, **arguments)), scope)
    model.init_weights()
    return model


def edit(path, change):
    """Change the tensors of a file in place."""
    content = torch.load(path, weights_only=True)
    change(content['state_dict'])
    torch.save(content, path)


def assert_loaded(model, state, but=()):
    own = model.state_dict()
    for key, value in state.items():
        if key not in but:
            assert torch.equal(own[key], value), key


# ------------------------------------------------------------------------ kinds of backbones


@pytest.mark.parametrize('framework', FRAMEWORKS)
@pytest.mark.parametrize('resnet, count', [(RESNET18, 120), (RESNET50, 318)], ids=['18', '50'])
def test_resnet(framework, resnet, count, tmp_path, reports):
    path, state = source(resnet, tmp_path / 'b.pth', encoder='student', bands=3, epoch=18)
    model = loaded(framework, resnet, path)
    assert set(state) == set(model.state_dict())
    assert_loaded(model, state)
    assert reports == [(20, f'CMIDPretrained: b.pth (student, 3 bands, epoch 18): {count} of '
                            f'{count} tensors matched, 0 missing, 0 unexpected, 0 reshaped; '
                            'normalisation unknown: the file does not state it')]


@pytest.mark.parametrize('framework', FRAMEWORKS)
def test_swin_whose_pretraining_had_one_norm(framework, tmp_path, reports):
    """With the arguments that a stock config's ``Pretrained`` leaves when dicts merge."""
    path, state = source(dict(swin('mmpretrain'), out_indices=(3, )), tmp_path / 'b.pth')
    model = loaded(framework, swin(framework), path, prefix='backbone.', map_location='cpu')
    assert_loaded(model, state)
    for stage in range(3):
        assert torch.all(getattr(model, f'norm{stage}').weight == 1)
    assert 'fresh as expected: norm0, norm1, norm2' in reports[0][1]
    # the position indices are the model's own and do not count
    count = sum('position_index' not in key for key in state)
    assert f'{count} of {count} tensors matched, 0 missing, 0 unexpected' in reports[0][1]


@pytest.mark.parametrize('config', [SWIN, VIT], ids=lambda config: config['type'])
def test_mmpretrain_backbones_in_mmseg(config, tmp_path):
    path, state = source(config, tmp_path / 'b.pth')
    pytest.importorskip('mmseg')
    named = dict(config, type=f'mmpretrain.{config["type"]}')
    assert_loaded(loaded('mmpretrain', named, path, scope='mmseg'), state)


def test_vit_of_mmseg_computes_the_same_as_mmpretrains(tmp_path, reports):
    student = random_weights(build('mmpretrain', vit('mmpretrain')))
    student.eval()
    path, state = save(student, tmp_path / 'b.pth')
    model = loaded('mmseg', vit('mmseg'), path)
    model.eval()
    assert f'{len(state)} of {len(state)} tensors matched' in reports[0][1]
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(image)[-1], student(image)[-1])
    # and back
    path, _ = save(model, tmp_path / 'mmseg.pth')
    assert_loaded(loaded('mmpretrain', vit('mmpretrain'), path), state)


CONVNEXT = dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]),
                gap_before_final_norm=False)
BARE_VIT = vit('mmpretrain', with_cls_token=False)


@pytest.mark.parametrize('stored, framework, wanted, text', [
    *[(SWIN, framework, swin(framework, window=4), '8 reshaped (relative position tables: 8)')
      for framework in FRAMEWORKS],
    (VIT, 'mmpretrain', vit('mmpretrain', 128), '1 reshaped (position embeddings: 1)'),
    (VIT, 'mmseg', vit('mmseg', 128), '1 reshaped (position embeddings: 1)'),
    (VIT, 'mmpretrain', BARE_VIT, 'not used by this model: cls_token'),
    (BARE_VIT, 'mmpretrain', VIT, 'fresh as expected: cls_token'),
    (CONVNEXT, 'mmpretrain', dict(CONVNEXT, out_indices=(0, 1, 2, 3)),
     'fresh as expected: norm0, norm1, norm2'),
    (RESNET18, 'mmpretrain', dict(RESNET18, in_channels=4),
     '1 reshaped (stem of 3 bands to 4: 1)'),
    (RESNET18, 'mmpretrain', dict(RESNET18, num_stages=3, strides=(1, 2, 2),
                                  dilations=(1, 1, 1), out_indices=(2, )),
     'not used by this model: layer4'),
    (SWIN, 'mmpretrain', dict(SWIN, out_indices=(0, 1)), 'not used by this model: norm2, norm3')])
def test_other_parts_and_sizes(stored, framework, wanted, text, tmp_path, reports):
    path, state = source(stored, tmp_path / 'b.pth')
    model = loaded(framework, wanted, path)
    fresh = build(framework, wanted).state_dict()
    for key, own in model.state_dict().items():
        if key not in state:
            continue
        expected = state[key]
        if key.endswith('relative_position_index'):
            # the index is that of the model's windows
            expected = fresh[key]
        elif expected.shape != own.shape:
            _, expected = adapt(model, key, expected, own)
        assert torch.equal(own, expected), key
    assert text in reports[0][1]


def test_caffe_style_is_reported(tmp_path, reports):
    """Every tensor fits, and the network computes other things."""
    path, _ = source(RESNET50, tmp_path / 'b.pth', encoder='student')
    for style in ('pytorch', 'caffe'):
        loaded('mmpretrain', dict(RESNET50, style=style), path)
    assert [level for level, _ in reports] == [20, 20, 30]
    assert "set style='pytorch'" in reports[2][1]


# --------------------------------------------------------------------------- kinds of files


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.', 'module.backbone.'])
@pytest.mark.parametrize('wrapper', ['state_dict', 'model', None])
def test_layouts_of_files(prefix, wrapper, tmp_path):
    """Exported, plain, distributed and downstream ones, with other content."""
    state = random_weights(build('mmpretrain', RESNET18)).state_dict()
    content = {prefix + key: value for key, value in state.items()}
    if 'backbone' in prefix:
        content[prefix.replace('backbone', 'decode_head') + 'conv_seg.weight'] = torch.ones(2)
    path = str(tmp_path / 'b.pth')
    torch.save({wrapper: content, 'epoch': 3} if wrapper else content, path)
    assert_loaded(loaded('mmpretrain', RESNET18, path), state)


def test_safetensors(tmp_path, reports):
    safetensors = pytest.importorskip('safetensors.torch')
    state = random_weights(build('mmpretrain', RESNET18)).state_dict()
    path = str(tmp_path / 'b.safetensors')
    safetensors.save_file({'backbone.' + key: value for key, value in state.items()}, path,
                          dict(encoder='"teacher"', bands='3', mean='[1.0, 2.0, 3.0]'))
    assert_loaded(loaded('mmpretrain', RESNET18, path), state)
    assert 'b.safetensors (teacher, 3 bands)' in reports[0][1]


def test_training_checkpoint_holds_two_encoders(tmp_path, reports):
    trained = random_weights(build_cmid(RESNET18))
    path, exported = str(tmp_path / 'epoch_4.pth'), str(tmp_path / 'b.pth')
    content = dict(state_dict=trained.state_dict(), meta=dict(epoch=4))
    torch.save(content, path)
    student, teacher = (module.state_dict()
                        for module in (trained.backbone, trained.teacher.backbone))
    for arguments, state in ((dict(encoder='student'), student), ({}, student),
                             (dict(encoder='teacher'), teacher),
                             (dict(prefix='teacher.backbone.'), teacher)):
        assert_loaded(loaded('mmpretrain', RESNET18, path, **arguments), state)
        encoder = 'student' if state is student else 'teacher'
        assert f'epoch_4.pth ({encoder}, 3 bands, epoch 4): ' in reports[-1][1]
    torch.save(extract_backbone(content, 'teacher'), exported)
    assert_loaded(loaded('mmpretrain', RESNET18, exported), teacher)


def test_counters_that_old_files_lack_do_not_count(tmp_path, reports):
    path, _ = source(RESNET18, tmp_path / 'b.pth')
    edit(path, lambda state: [state.pop(key) for key in [*state] if key.endswith('tracked')])
    loaded('mmpretrain', RESNET18, path)
    assert '100 of 100 tensors matched, 0 missing, 0 unexpected, 0 reshaped; norm' in reports[0][1]


def test_allowed_missing_tensors_are_initialised_as_from_scratch(tmp_path, reports):
    path, state = source(vit('mmpretrain'), tmp_path / 'b.pth')
    edit(path, lambda state: state.pop('backbone.pos_embed'))
    model = loaded('mmpretrain', vit('mmpretrain'), path, allow_missing='pos_embed')
    # mmpretrain draws positions of 0.02; they begin as zeros
    assert 0.01 < model.pos_embed.std() < 0.03
    assert model.init_cfg == cmid(path, allow_missing='pos_embed')
    assert_loaded(model, state, but={'pos_embed'})
    assert '0 missing' in reports[0][1] and 'fresh as expected: pos_embed' in reports[0][1]


def test_a_lower_min_match(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    edit(path, lambda state: state.update({
        'backbone.strange': state.pop('backbone.layer4.1.bn2.weight')}))
    model = loaded('mmpretrain', RESNET18, path, min_match=.99)
    (level, report), = reports
    assert level == 30 and '119 of 120 tensors matched, 1 missing, 1 unexpected' in report
    assert_loaded(model, state, but={'layer4.1.bn2.weight'})


# ---------------------------------------------------------------------- inside of frameworks


def test_inside_a_complete_segmentor(tmp_path, monkeypatch):
    """The head initialises itself, and mmengine's record names the source of the weights."""
    path, state = source(SWIN, tmp_path / 'b.pth')
    model = build('mmseg', dict(
        type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=swin('mmseg', init_cfg=cmid(path)),
        decode_head=dict(type='FCNHead', in_channels=128, channels=8, num_classes=2,
                         num_convs=1, init_cfg=dict(type='Constant', layer='Conv2d', val=.5)),
        train_cfg=dict(), test_cfg=dict(mode='whole')))
    record = {}
    monkeypatch.setattr(model, '_dump_init_info', lambda: record.update({
        name: model._params_init_info[parameter]['init_info']
        for name, parameter in model.named_parameters()}))
    model.init_weights()
    assert_loaded(model.backbone, state)
    assert torch.all(model.decode_head.convs[0].conv.weight == .5)
    assert record['backbone.norm3.weight'] == 'CMIDPretrained: b.pth'
    assert 'ConstantInit' in record['decode_head.convs.0.conv.weight']


@pytest.mark.parametrize('duplicate', [
    copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=['copy', 'pickle'])
def test_a_copy_loads_into_itself(duplicate, tmp_path):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    twin = duplicate(model)
    twin.init_weights()
    assert_loaded(twin, state)
    assert_loaded(model, before)
    assert twin.is_init and not model.is_init


def test_a_second_call_changes_nothing_and_another_init_cfg_starts_from_scratch(
        tmp_path, reports):
    path, _ = source(RESNET18, tmp_path / 'b.pth')
    model = loaded('mmpretrain', RESNET18, path)
    model.conv1.weight.data.fill_(3.)
    model.init_weights()
    assert torch.all(model.conv1.weight == 3)
    assert reports[1] == (30, 'init_weights of ResNet has been called more than once.')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    model.init_cfg = dict(type='Constant', layer='Conv2d', val=.25)
    model.init_weights()
    assert torch.all(model.conv1.weight == .25)


def test_by_mmengines_initialize_and_nothing_else_is_changed(tmp_path):
    wrapped = BaseModule.__init__
    patch_base_module()
    assert BaseModule.__init__ is wrapped
    constant = dict(type='Constant', layer='Conv2d', val=1.)
    for init_cfg in (None, constant, [constant]):
        model = build('mmpretrain', dict(RESNET18, init_cfg=init_cfg))
        assert 'init_weights' not in vars(model)
    path, state = source(RESNET18, tmp_path / 'b.pth')
    initialize(model, ConfigDict(cmid(path)))
    assert_loaded(model, state)


def test_by_mmengines_runner(tmp_path):
    """The config is known when the weights are initialised, and its numbers are compared."""
    path, state = source(RESNET18, tmp_path / 'b.pth', bands=3, mean=[1., 2., 3.], std=[4.] * 3)
    for name in ('a', 'b'):
        (tmp_path / 'data' / name).mkdir(parents=True)
        Image.new('RGB', (32, 32)).save(tmp_path / 'data' / name / '0.png')
    runner = Runner.from_cfg(Config(dict(
        default_scope='mmpretrain', work_dir=str(tmp_path / 'work'),
        experiment_name=tmp_path.name,
        model=dict(
            type='ImageClassifier', backbone=dict(RESNET18, frozen_stages=4, init_cfg=cmid(path)),
            neck=dict(type='GlobalAveragePooling'),
            data_preprocessor=dict(mean=[9., 9., 9.], std=[4.] * 3, to_rgb=True),
            head=dict(type='LinearClsHead', num_classes=2, in_channels=64)),
        train_dataloader=dict(
            batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CustomDataset', data_root=str(tmp_path / 'data'),
                         pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)))))
    runner.train()
    assert_loaded(runner.model.backbone, state)
    log = next((tmp_path / 'work').rglob('*.log')).read_text()
    assert 'CMIDPretrained: b.pth (3 bands): 120 of 120 tensors matched' in log
    assert ('the checkpoint was trained with mean [1,2,3] std [4,4,4], model.data_preprocessor '
            'has mean [9,9,9] std [4,4,4]') in log
