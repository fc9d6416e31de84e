"""The tools of tools/model_converters on whole files."""
import hashlib
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from published_files import assert_same_file, keys_of, save_pretraining, thin_tensors
from small_models import TINY_SWIN, build_cmid
from test_pretraining_run import CONFIG, REPOSITORY, log_of, project, train

from cmid_mm.checkpoints.architectures import convert_backbone
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.checkpoints.published_keys import to_published

__all__ = ['project', 'train']  # fixtures
CONVERTERS = REPOSITORY / 'tools' / 'model_converters'
RUN = ('optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict')


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A training checkpoint of a small Swin, ``epoch_3.pth`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    model = build_cmid(dict(TINY_SWIN, in_channels=4), bands=4)
    for value in model.teacher.parameters():
        value.add_(1)
    config = ("data_root = '/home/someone/million aid'\nwork_dir = './work_dirs/x'\n"
              'url = "https://host/x.pth"\nwindows = \'D:\\\\data\\\\aid\'\n')
    torch.save(dict(
        meta=dict(cfg=config, epoch=3, iter=30, time='20240101_000000', seed=7,
                  dataset_meta=dict(loading=dict(bands=4), folder='~/data/aid'),
                  experiment_name='x_20240101', mmengine_version='0.10.7'),
        state_dict=model.state_dict(), **{key: dict(a=torch.zeros(9)) for key in RUN},
    ), 'epoch_3.pth')
    return model


def main_of(name):
    return runpy.run_path(str(CONVERTERS / f'{name}.py'))['main']


def call(name, *arguments):
    main_of(name)([str(argument) for argument in arguments])


def end_of(name, *arguments):
    """The last line that a user sees of a tool that fails."""
    import _errors
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [f'{name}.py', *arguments])
        with pytest.raises(SystemExit) as end:
            _errors.run(main_of(name))
    return end.value.code


# ------------------------------------------------------------------ convert_published


@pytest.mark.parametrize('part, field, first, second', [
    ('model', 'model', '686 tensors of a pre-training',
     ["not converted: the optimiser's state, logged values, state of hooks"]),
    ('backbone', None, '318 tensors of a backbone', [])])
def test_a_published_file_is_converted_and_restored(part, field, first, second, tmp_path,
                                                    monkeypatch, capsys):
    """Bit by bit, see tests/checkpoints/test_published.py for more."""
    monkeypatch.chdir(tmp_path)
    tensors = thin_tensors(keys_of('resnet50', part))
    if field:
        save_pretraining('theirs.pth', tensors)
    else:
        torch.save(tensors, 'theirs.pth')
    call('convert_published', 'theirs.pth', 'new folder/ours.pth')
    assert capsys.readouterr().out.splitlines() == [
        f'{first} written to new folder/ours.pth in the form of cmid_mm', *second]
    call('convert_published', 'new folder/ours.pth', 'back.pth', '--to', 'published')
    assert capsys.readouterr().out.splitlines() == [
        f'{first} written to back.pth in the form of published']
    back = load_checkpoint_file('back.pth')
    assert_same_file(back[field] if field else back, tensors)


def test_training_and_testing_start_from_a_converted_file(project, train, tester, monkeypatch):
    """Nothing moves at a rate of 0, so what was loaded is what is saved."""
    model = build_cmid(TINY_SWIN)
    save_pretraining(project / 'theirs.pth', to_published(model.state_dict()))
    call('convert_published', project / 'theirs.pth', project / 'ours.pth')
    config = CONFIG.format(repository=REPOSITORY, data=project / 'data')
    for old, new in (('lr=0.05', 'lr=0.'), ('max_epochs=3', 'max_epochs=1'),
                     ('warmup=1', 'warmup=1, eta_min=0.')):
        assert old in config
        config = config.replace(old, new)
    still = project / 'still.py'
    still.write_text(config)
    train(still, '--work-dir', project / 'still',
          '--cfg-options', f'load_from={project / "ours.pth"}')
    trained = load_checkpoint_file(project / 'still' / 'epoch_1.pth')['state_dict']
    for key, value in model.named_parameters():
        torch.testing.assert_close(trained[key], value.detach(), rtol=0, atol=1e-6)
    assert trained['data_preprocessor.mean'][0] == pytest.approx(86.182, abs=1e-3)
    # of its own, for a run that starts in the same second shares the log of the first
    monkeypatch.setattr(sys, 'argv', ['test.py', str(still), str(project / 'ours.pth'),
                                      '--work-dir', str(project / 'tested'),
                                      '--cfg-options', 'experiment_name=tested'])
    tester.main()
    assert 'knn/top1' in log_of(project / 'tested')


# ------------------------------------------------------------------ extract_backbone


@pytest.mark.parametrize('encoder', ['student', 'teacher'])
def test_an_exported_file_can_be_exported_again(checkpoint, encoder, capsys):
    call('extract_backbone', 'epoch_3.pth', 'mm.pth', '--encoder', encoder)
    assert capsys.readouterr().out == (
        f'{len(checkpoint.backbone.state_dict())} tensors of the {encoder} (4 bands, '
        'epoch 3) written to mm.pth in the format of mm\n')
    expected = convert_backbone(
        (checkpoint.backbone if encoder == 'student' else checkpoint.teacher['backbone']
         ).state_dict(), 'timm')
    call('extract_backbone', 'epoch_3.pth', 'a.pth', '--encoder', encoder,
         '--format', 'timm')
    assert capsys.readouterr().out.splitlines()[1] == (
        'normalise images by mean [100.0, 100.0, 100.0, 100.0], '
        'std [50.0, 50.0, 50.0, 50.0] (in 0..255)')
    call('extract_backbone', 'mm.pth', 'b.pth', '--format', 'timm')
    for file in ('a.pth', 'b.pth'):
        exported = load_checkpoint_file(file)
        assert_same_file(exported['state_dict'], expected)
        assert {key: exported['meta'][key] for key in ('encoder', 'format', 'source')} == dict(
            encoder=encoder, format='timm', source='epoch_3.pth')
    other = dict(student='teacher', teacher='student')[encoder]
    assert end_of('extract_backbone', 'mm.pth', 'c.pth', '--encoder', other) == (
        f'extract_backbone.py: error: mm.pth was exported from the {encoder}: it holds no '
        f'{other}; export that one from the training checkpoint')
    assert 'in the format of timm already' in end_of('extract_backbone', 'a.pth', 'c.pth')


def test_the_export_takes_the_encoder_with_the_better_probes(checkpoint, capsys):
    """By first accuracies and mean IoU of that very checkpoint."""
    assert 'has no probes to choose the best encoder by' in end_of(
        'extract_backbone', 'epoch_3.pth', 'best.pth', '--encoder', 'best')
    iteration = load_checkpoint_file('epoch_3.pth')['meta']['iter']
    metrics = {'student_knn/top1': 50., 'student_places/miou': 40., 'student_knn/top5': 99.,
               'teacher_knn/top1': 47., 'teacher_places/miou': 44., 'teacher_knn/top5': 70.}
    Path('probes.json').write_text(json.dumps([
        dict(epoch=2, iter=iteration - 1, samples=1, metrics={'student_knn/top1': 1.}),
        dict(epoch=3, iter=iteration, samples=2, metrics=metrics)]))
    call('extract_backbone', 'epoch_3.pth', 'best.pth', '--encoder', 'best')
    exported = load_checkpoint_file('best.pth')
    assert_same_file({key.removeprefix('backbone.'): value
                      for key, value in exported['state_dict'].items()},
                     checkpoint.teacher['backbone'].state_dict())
    assert exported['meta']['encoder'] == 'teacher'
    assert exported['meta']['probes']['student'] == {
        'knn/top1': 50., 'places/miou': 40., 'knn/top5': 99.}
    assert 'better on average: the teacher' in capsys.readouterr().out
    # the default stays the published one
    call('extract_backbone', 'epoch_3.pth', 'student.pth')
    assert load_checkpoint_file('student.pth')['meta']['encoder'] == 'student'


@pytest.mark.parametrize('form', ['mm', 'torchvision', 'timm', 'published'])
def test_safetensors_hold_the_same(checkpoint, form):
    safe = pytest.importorskip('safetensors')
    call('extract_backbone', 'epoch_3.pth', 'b.pth', '--format', form)
    call('extract_backbone', 'epoch_3.pth', 'b.safetensors', '--format', form)
    expected = load_checkpoint_file('b.pth')
    if form != 'published':
        expected = expected['state_dict']
    with safe.safe_open('b.safetensors', 'pt') as file:
        found = {key: file.get_tensor(key) for key in file.keys()}
        meta = {key: json.loads(value) for key, value in file.metadata().items()}
    assert sorted(found) == sorted(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert meta['bands'] == 4 and meta['mean'] == [100.] * 4 and meta['format'] == form
    assert meta['loading'] == dict(bands=4)


def test_without_safetensors_the_fix_is_named(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    line = end_of('extract_backbone', 'epoch_3.pth', 'b.safetensors')
    assert line.endswith('`pip install safetensors`, or let the name end in .pth')


def test_a_backbone_without_counterpart_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build_cmid(dict(type='ResNetV1d', depth=18))
    torch.save(dict(state_dict=model.state_dict()), 'x.pth')
    for form in ('torchvision', 'timm', 'published'):
        line = end_of('extract_backbone', 'x.pth', 'out.pth', '--format', form)
        assert line.startswith('extract_backbone.py: error: this backbone has no ')
        assert 'stem.0' in line and '\n' not in line
    assert not Path('out.pth').exists()


# ------------------------------------------------------------------ publish_model


def test_published_file_has_weights_and_a_lean_meta(checkpoint, capsys):
    call('publish_model', 'epoch_3.pth', 'given/cmid.pth')
    written, = Path('given').iterdir()
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    assert re.fullmatch(rf'cmid_20\d{{6}}-{digest[:8]}\.pth', written.name)
    first, second = capsys.readouterr().out.splitlines()
    assert f'written to {written} (' in first and f'sha256 {digest})' in first
    assert second == 'dropped: ' + ', '.join(RUN)
    content = load_checkpoint_file(written)
    assert set(content) == {'state_dict', 'meta'}
    assert_same_file(content['state_dict'], checkpoint.state_dict())
    assert content['meta'] == dict(
        cfg="data_root = 'million aid'\nwork_dir = './work_dirs/x'\n"
            'url = "https://host/x.pth"\nwindows = \'aid\'\n',
        epoch=3, iter=30, seed=7, mmengine_version='0.10.7',
        dataset_meta=dict(loading=dict(bands=4), folder='aid'))


def test_same_weights_same_name_other_weights_another(checkpoint):
    call('publish_model', 'epoch_3.pth', 'a/x.pth')
    Path('epoch_3.pth').rename('renamed.pth')
    call('publish_model', 'renamed.pth', 'b/y.pth')
    content = load_checkpoint_file('renamed.pth')
    # another optimiser or starting time is no other model
    content['optimizer'], content['meta']['time'] = dict(), 'later'
    torch.save(content, 'renamed.pth')
    call('publish_model', 'renamed.pth', 'c/x.pth')
    content['state_dict']['mask_token'].add_(1e-3)
    torch.save(content, 'renamed.pth')
    call('publish_model', 'renamed.pth', 'd/x.pth')
    digits = [next(Path(name).iterdir()).stem.split('-')[1] for name in 'abcd']
    assert digits[0] == digits[1] == digits[2] != digits[3]


@pytest.mark.parametrize('encoder', ['student', 'teacher'])
def test_backbone_alone_can_be_published(checkpoint, encoder):
    call('publish_model', 'epoch_3.pth', 'x.pth', '--keep', 'backbone',
         '--encoder', encoder)
    call('extract_backbone', 'epoch_3.pth', 'exported.pth', '--encoder', encoder)
    written, = Path().glob('x_*.pth')
    found, expected = load_checkpoint_file(written), load_checkpoint_file('exported.pth')
    assert_same_file(found['state_dict'], expected['state_dict'])
    assert found['meta']['encoder'] == encoder and found['meta']['bands'] == 4
    assert '/home' not in str(found['meta']) and '/home' in str(expected['meta'])
    call('publish_model', 'exported.pth', 'y.pth')
    again, = Path().glob('y_*.pth')
    assert_same_file(load_checkpoint_file(again)['state_dict'], expected['state_dict'])


def test_checkpoints_of_other_tasks_can_be_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = {'backbone.conv1.weight': torch.ones(2), 'decode_head.conv.bias': torch.ones(1)}
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=dict(classes=('a', 'b'))),
                    optimizer={}), 'x.pth')
    call('publish_model', 'x.pth', 'seg.pth')
    written, = Path().glob('seg_*.pth')
    content = load_checkpoint_file(written)
    assert_same_file(content['state_dict'], state)
    assert content['meta'] == dict(dataset_meta=dict(classes=('a', 'b')))
    assert 'no CMID pre-training checkpoint' in end_of(
        'publish_model', 'x.pth', 'y.pth', '--keep', 'backbone')


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize('name', ['extract_backbone', 'convert_published', 'publish_model'])
def test_files_that_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('folder').mkdir()
    Path('junk.pth').write_bytes(b'junk' * 9)
    torch.save(dict(a=1), 'foreign.pth')
    torch.save(thin_tensors(keys_of('resnet50', 'backbone')), 'backbone.pth')
    before = sorted(tmp_path.iterdir())
    for source, out, message in (
            ('gone.pth', 'o.pth', 'no such checkpoint: gone.pth'),
            ('junk.pth', 'o.pth', 'junk.pth cannot be read as a checkpoint'),
            ('foreign.pth', 'o.pth', 'foreign.pth'),
            ('backbone.pth', 'folder', 'folder is a folder: give the name of the file'),
            ('backbone.pth', 'folder/../backbone.pth', 'is the input itself')):
        line = end_of(name, source, out)
        assert line.startswith(f'{name}.py: error: ') and message in line, line
        assert '\n' not in line
    assert sorted(tmp_path.iterdir()) == before
    if name != 'convert_published':
        assert 'go through tools/model_converters/convert_published.py' in end_of(
            name, 'backbone.pth', 'o.pth')


def test_a_failing_write_leaves_the_old_file(checkpoint, monkeypatch):
    Path('out.pth').write_text('old')

    def fail(content, file):
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    before = sorted(Path().iterdir())
    with pytest.raises(OSError, match='No space left'):
        call('extract_backbone', 'epoch_3.pth', 'out.pth')
    with pytest.raises(OSError, match='No space left'):
        call('publish_model', 'epoch_3.pth', 'out.pth')
    assert Path('out.pth').read_text() == 'old' and sorted(Path().iterdir()) == before


def test_wrong_options_are_reported_by_the_parser(capsys):
    with pytest.raises(SystemExit) as end:
        call('publish_model', 'a', 'b', '--encoder', 'teacher')
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith('--encoder needs --keep backbone')


# ------------------------------------------------------------------ export_hub, export_onnx


def test_a_folder_for_timm_needs_a_licence(checkpoint, capsys):
    line = end_of('export_hub', 'epoch_3.pth', 'folder')
    assert line.startswith('export_hub.py: error: ') and '--licence' in line
    assert not Path('folder').exists()
    content = torch.load('epoch_3.pth')
    content['meta']['cfg'] = 'model = dict(image_size=64)\n'
    torch.save(content, 'epoch_3.pth')
    call('export_hub', 'epoch_3.pth', 'folder', '--licence', 'mit', '--encoder', 'teacher')
    assert capsys.readouterr().out == (
        'swin_tiny_patch4_window7_224 of the teacher (4 bands, epoch 3) written to folder: '
        "timm.create_model('local-dir:folder', pretrained=True, num_classes=0)\n")


def test_an_onnx_file_states_its_shapes(checkpoint, capsys):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    Path('config.py').write_text(
        f"default_scope = 'mmpretrain'\nmodel = dict(backbone={dict(TINY_SWIN, in_channels=4)})\n"
        "pipeline = [dict(type='LoadRSImage', bands=4)]\n"
        'train_dataloader = dict(dataset=dict(pipeline=pipeline))\n')
    call('export_onnx', 'config.py', 'epoch_3.pth', 'x.onnx', '--size', '64', '--half')
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith('backbone of epoch_3.pth (student, 4 bands, epoch 3) written to ')
    assert lines[-3].endswith("image ('batch', 4, 64, 64), vector ('batch', 128), "
                              "map ('batch', 128, 2, 2)")
    assert 'fixed: its windows depend' in lines[-2]
    line = end_of('export_onnx', 'config.py', 'epoch_3.pth', 'y.onnx', '--raw')
    assert 'epoch_3.pth' in line and 'value_range' in line and not Path('y.onnx').exists()
