"""``init_cfg=dict(type='CMIDPretrained')``: what arrives in which backbone."""
import copy
import pickle

import pytest
import torch
from frameworks import RESNET18, RESNET50, build, cmid, random_weights, save, swin, vit
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import BaseModule, initialize
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image
from small_models import build_cmid

from cmid_mm.checkpoints import initializer
from cmid_mm.checkpoints.initializer import CMIDPretrained, teach_base_module
from cmid_mm.checkpoints.backbone import extract_backbone

FRAMEWORKS = ['mmpretrain', 'mmseg', 'mmdet']


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


def assert_arrived(model, state, but=()):
    own = model.state_dict()
    for key, value in state.items():
        if key not in but:
            assert torch.equal(own[key], value), key


@pytest.mark.parametrize('framework', FRAMEWORKS)
@pytest.mark.parametrize('resnet', [RESNET18, RESNET50], ids=['18', '50'])
def test_resnet(framework, resnet, tmp_path, reports):
    path, state = source(resnet, tmp_path / 'b.pth', encoder='student', bands=3, epoch=18)
    model = build(framework, dict(resnet, init_cfg=cmid(path)))
    model.init_weights()
    assert set(state) == set(model.state_dict())
    assert_arrived(model, state)
    count = len(state)
    assert reports == [(20, f'CMIDPretrained: b.pth (student, 3 bands, epoch 18): {count} of '
                            f'{count} tensors matched, 0 missing, 0 unexpected, 0 reshaped; '
                            'normalisation unknown: the file does not tell it')]


def test_resnet50_has_318_tensors(tmp_path, reports):
    path, _ = source(RESNET50, tmp_path / 'b.pth')
    build('mmpretrain', dict(RESNET50, init_cfg=cmid(path))).init_weights()
    assert '318 of 318 tensors matched' in reports[0][1]


@pytest.mark.parametrize('framework', FRAMEWORKS)
def test_swin_whose_pretraining_had_one_norm(framework, tmp_path, reports):
    path, state = source(dict(swin('mmpretrain'), out_indices=(3, )), tmp_path / 'b.pth')
    model = build(framework, swin(framework, init_cfg=cmid(path)))
    model.init_weights()
    assert_arrived(model, state)
    for stage in range(3):
        assert torch.all(getattr(model, f'norm{stage}').weight == 1)
    assert 'fresh as expected: norm0, norm1, norm2' in reports[0][1]
    # the position indices are the model's own and do not count
    count = sum('position_index' not in key for key in state)
    assert f'{count} of {count} tensors matched, 0 missing, 0 unexpected' in reports[0][1]


@pytest.mark.parametrize('framework', FRAMEWORKS)
def test_swin_with_a_larger_window(framework, tmp_path, reports):
    path, state = source(swin('mmpretrain'), tmp_path / 'b.pth')
    # one entry for the offset (0, 0) and none for others: it must stay in the middle
    stored = torch.load(path, weights_only=True)
    tables = [key for key in state if 'bias_table' in key]
    for key in tables:
        stored['state_dict']['backbone.' + key].zero_()[4] = 1.
    torch.save(stored, path)
    model = build(framework, swin(framework, window=4, init_cfg=cmid(path)))
    model.init_weights()
    own = model.state_dict()
    for key in tables:
        assert own[key].shape[0] == 49 and own[key][:, 0].argmax() == 24
    assert_arrived(model, state, but={k for k in state if 'relative_position' in k})
    assert '8 reshaped (relative position tables: 8)' in reports[0][1]
    # the index is that of the model's windows
    fresh = build(framework, swin(framework, window=4)).state_dict()
    key = 'stages.0.blocks.0.attn.w_msa.relative_position_index'
    assert torch.equal(own[key], fresh[key])


@pytest.mark.parametrize('name', ['swin', 'vit'])
def test_mmpretrain_backbones_in_mmseg(name, tmp_path):
    config = dict(swin=swin, vit=vit)[name]('mmpretrain')
    path, state = source(config, tmp_path / 'b.pth')
    pytest.importorskip('mmseg')
    model = build('mmpretrain', dict(
        config, type=f'mmpretrain.{config["type"]}', init_cfg=cmid(path)), scope='mmseg')
    model.init_weights()
    assert_arrived(model, state)


def test_vit_of_mmseg_computes_what_mmpretrains_does(tmp_path, reports):
    student = random_weights(build('mmpretrain', vit('mmpretrain')))
    student.eval()
    path, state = save(student, tmp_path / 'b.pth')
    model = build('mmseg', vit('mmseg', init_cfg=cmid(path)))
    model.init_weights()
    model.eval()
    assert f'{len(state)} of {len(state)} tensors matched' in reports[0][1]
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(image)[-1], student(image)[-1])
    # and back
    path, _ = save(model, tmp_path / 'mmseg.pth')
    back = build('mmpretrain', vit('mmpretrain', init_cfg=cmid(path)))
    back.init_weights()
    assert_arrived(back, state)


@pytest.mark.parametrize('framework', ['mmpretrain', 'mmseg'])
def test_vit_at_another_image_size(framework, tmp_path, reports):
    path, state = source(vit('mmpretrain'), tmp_path / 'b.pth')
    model = build(framework, vit(framework, 128, init_cfg=cmid(path)))
    model.init_weights()
    assert model.pos_embed.shape == (1, 65, 16)
    assert torch.equal(model.pos_embed[:, 0], state['pos_embed'][:, 0])
    torch.testing.assert_close(model.pos_embed[:, 1:].mean((0, 1)),
                               state['pos_embed'][:, 1:].mean((0, 1)), rtol=.05, atol=0)
    assert_arrived(model, {'cls_token': state['cls_token']})
    assert '1 reshaped (position embeddings: 1)' in reports[0][1]


def test_vit_with_and_without_class_token(tmp_path, reports):
    path, state = source(vit('mmpretrain'), tmp_path / 'b.pth')
    bare = build('mmpretrain', vit('mmpretrain', with_cls_token=False, init_cfg=cmid(path)))
    bare.init_weights()
    assert torch.equal(bare.pos_embed, state['pos_embed'][:, 1:])
    assert 'not used by this model: cls_token' in reports[0][1]
    path, state = source(vit('mmpretrain', with_cls_token=False), tmp_path / 'bare.pth')
    model = build('mmpretrain', vit('mmpretrain', init_cfg=cmid(path)))
    model.init_weights()
    assert torch.equal(model.pos_embed[:, 1:], state['pos_embed'])
    assert 'fresh as expected: cls_token' in reports[1][1]


def test_convnext(tmp_path, reports):
    config = dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]),
                  gap_before_final_norm=False)
    path, state = source(config, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(config, out_indices=(0, 1, 2, 3), init_cfg=cmid(path)))
    model.init_weights()
    assert_arrived(model, state)
    assert 'fresh as expected: norm0, norm1, norm2' in reports[0][1]


def test_four_bands(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, in_channels=4, init_cfg=cmid(path)))
    model.init_weights()
    weight = state['conv1.weight']
    expected = torch.stack([weight[:, 0] / 2, weight[:, 1], weight[:, 2], weight[:, 0] / 2], 1)
    assert torch.equal(model.conv1.weight, expected)
    assert_arrived(model, state, but={'conv1.weight'})
    assert '1 reshaped (stem of 3 bands to 4: 1)' in reports[0][1]


def test_parts_that_the_model_leaves_off(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmdet', dict(RESNET18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
                                out_indices=(2, ), init_cfg=cmid(path)))
    model.init_weights()
    assert_arrived(model, {k: v for k, v in state.items() if not k.startswith('layer4')})
    assert 'not used by this model: layer4' in reports[0][1]
    path, state = source(swin('mmpretrain'), tmp_path / 'swin.pth')
    model = build('mmpretrain', dict(swin('mmpretrain'), out_indices=(0, 1),
                                     init_cfg=cmid(path)))
    model.init_weights()
    assert 'not used by this model: norm2, norm3' in reports[1][1]


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.', 'module.backbone.'])
@pytest.mark.parametrize('wrapper', ['state_dict', 'model', None])
def test_layouts_of_files(prefix, wrapper, tmp_path):
    """Exported, plain, distributed and downstream ones, with what else they hold."""
    module = random_weights(build('mmpretrain', RESNET18))
    path, state = save(module, tmp_path / 'b.pth', prefix)
    content = torch.load(path, weights_only=True)['state_dict']
    if 'backbone' in prefix:
        content[prefix.replace('backbone', 'decode_head') + 'conv_seg.weight'] = torch.ones(2)
    torch.save({wrapper: content, 'epoch': 3} if wrapper else content, path)
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    model.init_weights()
    assert_arrived(model, state)


def test_safetensors(tmp_path, reports):
    safetensors = pytest.importorskip('safetensors.torch')
    module = random_weights(build('mmpretrain', RESNET18))
    _, state = save(module, tmp_path / 'b.pth')
    path = str(tmp_path / 'b.safetensors')
    safetensors.save_file({'backbone.' + key: value for key, value in state.items()}, path,
                          dict(encoder='"teacher"', bands='3', mean='[1.0, 2.0, 3.0]'))
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    model.init_weights()
    assert_arrived(model, state)
    assert 'b.safetensors (teacher, 3 bands)' in reports[0][1]


def test_training_checkpoint_holds_two_encoders(tmp_path, reports):
    trained = random_weights(build_cmid(RESNET18))
    path = str(tmp_path / 'epoch_4.pth')
    content = dict(state_dict=trained.state_dict(), meta=dict(epoch=4))
    torch.save(content, path)
    for encoder, module in (('student', trained.backbone), ('teacher', trained.teacher.backbone)):
        for arguments in (dict(encoder=encoder),
                          dict(prefix=dict(student='', teacher='teacher.')[encoder]
                               + 'backbone.')):
            model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path, **arguments)))
            model.init_weights()
            assert_arrived(model, module.state_dict())
            assert f'epoch_4.pth ({encoder}, 3 bands, epoch 4): ' in reports[-1][1]
    exported = str(tmp_path / 'b.pth')
    torch.save(extract_backbone(content, 'teacher'), exported)
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(exported)))
    model.init_weights()
    assert_arrived(model, trained.teacher.backbone.state_dict())
    with pytest.raises(ValueError, match='holds the teacher: leave encoder away'):
        CMIDPretrained(exported, encoder='student')(model)


@pytest.mark.parametrize('framework', ['mmseg', 'mmdet'])
def test_stock_config_whose_init_cfg_merges(framework, tmp_path):
    """``prefix`` and ``map_location`` are left over from the parent's Pretrained."""
    path, state = source(swin('mmpretrain'), tmp_path / 'b.pth')
    model = build(framework, swin(framework, init_cfg=cmid(
        path, prefix='backbone.', map_location='cpu')))
    model.init_weights()
    assert_arrived(model, state)


def test_inside_a_complete_segmentor(tmp_path):
    """The head initialises itself as ever, and mmengine's book names who did what."""
    path, state = source(swin('mmpretrain'), tmp_path / 'b.pth')
    model = build('mmseg', dict(
        type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=swin('mmseg', init_cfg=cmid(path)),
        decode_head=dict(type='FCNHead', in_channels=128, channels=8, num_classes=2,
                         num_convs=1, init_cfg=dict(type='Constant', layer='Conv2d', val=.5)),
        train_cfg=dict(), test_cfg=dict(mode='whole')))
    book = {}

    def dump():
        book.update({name: model._params_init_info[parameter]['init_info']
                     for name, parameter in model.named_parameters()})

    model._dump_init_info = dump
    model.init_weights()
    assert_arrived(model.backbone, state)
    assert torch.all(model.decode_head.convs[0].conv.weight == .5)
    assert model.backbone.is_init
    assert book['backbone.norm3.weight'] == 'CMIDPretrained: b.pth'
    assert 'ConstantInit' in book['decode_head.convs.0.conv.weight']


def test_a_deep_copy_loads_into_itself(tmp_path):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    twin = copy.deepcopy(model)
    twin.init_weights()
    assert_arrived(twin, state)
    assert_arrived(model, before)
    assert twin.is_init and not model.is_init


def test_a_pickled_module_loads_into_itself(tmp_path):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    restored = pickle.loads(pickle.dumps(model))
    restored.init_weights()
    assert_arrived(restored, state)
    assert not model.is_init


def test_the_second_call_changes_nothing(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    model.init_weights()
    model.conv1.weight.data.fill_(3.)
    model.init_weights()
    assert torch.all(model.conv1.weight == 3)
    assert reports[1] == (30, 'init_weights of ResNet has been called more than once.')


def test_init_cfg_that_was_taken_away_initialises_from_scratch(tmp_path):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path)))
    model.init_cfg = dict(type='Constant', layer='Conv2d', val=.25)
    model.init_weights()
    assert torch.all(model.conv1.weight == .25)


def test_strides_elsewhere_are_told(tmp_path, reports):
    """mmdet's caffe configs: every tensor fits, and the network computes other things."""
    path, _ = source(RESNET50, tmp_path / 'b.pth', encoder='student')
    for style, lines in (('pytorch', 1), ('caffe', 2)):
        reports.clear()
        build('mmdet', dict(RESNET50, style=style, init_cfg=cmid(path))).init_weights()
        assert len(reports) == lines
    assert "set style='pytorch'" in reports[1][1] and reports[1][0] == 30


def test_counters_that_old_files_lack_do_not_count(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    content = torch.load(path, weights_only=True)
    for key in [key for key in content['state_dict'] if key.endswith('tracked')]:
        del content['state_dict'][key]
    torch.save(content, path)
    build('mmpretrain', dict(RESNET18, init_cfg=cmid(path))).init_weights()
    assert '100 of 100 tensors matched, 0 missing, 0 unexpected, 0 reshaped; norm' in reports[0][1]


def test_other_modules_are_left_alone():
    wrapped = BaseModule.__init__
    teach_base_module()
    assert BaseModule.__init__ is wrapped
    for init_cfg in (None, dict(type='Constant', layer='Conv2d', val=1.), [
            dict(type='Constant', layer='Conv2d', val=1.)]):
        model = build('mmpretrain', dict(RESNET18, init_cfg=init_cfg))
        assert 'init_weights' not in vars(model)


def test_by_mmengines_initialize(tmp_path):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    model = MODELS.build(RESNET18)
    initialize(model, ConfigDict(cmid(path)))
    assert_arrived(model, state)


def test_what_may_stay_fresh_is_initialised_as_from_scratch(tmp_path, reports):
    path, state = source(vit('mmpretrain'), tmp_path / 'b.pth')
    content = torch.load(path, weights_only=True)
    del content['state_dict']['backbone.pos_embed']
    torch.save(content, path)
    init_cfg = cmid(path, allow_missing='pos_embed')
    model = build('mmpretrain', vit('mmpretrain', init_cfg=init_cfg))
    model.init_weights()
    # mmpretrain draws positions of 0.02; they begin as zeros
    assert 0.01 < model.pos_embed.std() < 0.03
    assert model.init_cfg == init_cfg
    assert_arrived(model, state, but={'pos_embed'})
    assert '0 missing' in reports[0][1] and 'fresh as expected: pos_embed' in reports[0][1]


def test_below_the_threshold_on_demand(tmp_path, reports):
    path, state = source(RESNET18, tmp_path / 'b.pth')
    content = torch.load(path, weights_only=True)
    del content['state_dict']['backbone.layer4.1.bn2.weight']
    content['state_dict']['backbone.strange'] = torch.ones(1)
    torch.save(content, path)
    model = build('mmpretrain', dict(RESNET18, init_cfg=cmid(path, min_match=.99)))
    model.init_weights()
    level, report = reports[0]
    assert level == 30
    assert '119 of 120 tensors matched, 1 missing, 1 unexpected, 0 reshaped' in report
    assert_arrived(model, state, but={'layer4.1.bn2.weight'})


def test_by_mmengines_runner(tmp_path):
    """The config is known when the weights are initialised, and its numbers are compared."""
    for name in ('a', 'b'):
        (tmp_path / 'data' / name).mkdir(parents=True)
        Image.new('RGB', (32, 32)).save(tmp_path / 'data' / name / '0.png')
    path, state = source(RESNET18, tmp_path / 'b.pth', bands=3, mean=[1., 2., 3.], std=[4.] * 3)
    runner = Runner.from_cfg(Config(dict(
        default_scope='mmpretrain', work_dir=str(tmp_path / 'work'), log_level='INFO',
        custom_imports=dict(imports=['cmid_mm'], allow_failed_imports=False),
        experiment_name=tmp_path.name, load_from=None,
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
    assert_arrived(runner.model.backbone, state)
    log = next((tmp_path / 'work').rglob('*.log')).read_text()
    assert 'CMIDPretrained: b.pth (3 bands): 120 of 120 tensors matched' in log
    assert ('the checkpoint was trained with mean [1,2,3] std [4,4,4], model.data_preprocessor '
            'has mean [9,9,9] std [4,4,4]: --cfg-options model.data_preprocessor.mean=[1,2,3] '
            'model.data_preprocessor.std=[4,4,4]') in log
