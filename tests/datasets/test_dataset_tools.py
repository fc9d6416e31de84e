"""check_dataset.py, dataset_statistics.py and pack_dataset.py, as a user calls them."""
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from damaged_images import agree, damage, write_images
from PIL import Image

from cmid_mm.datasets import ImageFolder

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """``call(tool, *arguments)``: exit status (or line of error) and what was printed."""
    monkeypatch.syspath_prepend(TOOLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, 'reconfigure', lambda **kwargs: None, raising=False)

    def run(tool, *arguments):
        if tool == 'pack_dataset':
            pytest.importorskip('lmdb')
        path = str(TOOLS / f'{tool}.py')
        monkeypatch.setattr(sys, 'argv', [path, *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(path, run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr()
    return run


def test_check_reports_lists_and_sets_the_status(call, tmp_path):
    paths = write_images(tmp_path / 'data', 30)
    reasons = damage(paths)
    usable = len(paths) - len(reasons)
    good = str(tmp_path / 'new' / 'good.txt')
    status, printed = call('check_dataset', 'data', '--out', 'new/report.json', '--good', good)
    assert status == 1 and f'30 images in data, {usable} usable' in printed.out
    assert f'unusable: {len(reasons)}' in printed.out and f'{usable} JPEG' in printed.out
    assert all(Path(path).name in printed.out for path in reasons)
    assert '30/30' in printed.err and 'ETA' in printed.err  # the progress bar
    report = json.loads(Path('new/report.json').read_text())
    assert agree({str(tmp_path / 'data' / file): reason for file, reason in
                  report['unusable']}, reasons)
    dataset = ImageFolder('data', ann_file=good, pipeline=[dict(type='LoadRSImage')])
    assert len(dataset) == usable and f'ann_file={good}' in printed.out
    assert all(dataset[i]['img'].shape == (40, 48, 3) for i in range(usable))
    # all images of the list can be used
    status, printed = call('check_dataset', 'data', '--list', good)
    assert status == 0 and f'{usable} images' in printed.out and 'unusable' not in printed.out
    assert not list(tmp_path.rglob('*.part'))


def test_check_passes_options_on_and_accepts_unusual_images(call, tmp_path):
    first, second, *_ = write_images(tmp_path / 'data', 15)
    second.write_bytes(first.read_bytes())
    status, printed = call('check_dataset', 'data', '--size', 41)
    assert status == 0
    assert 'equal files (1 more than needed, 0.0 MB): 1\n  000.jpg = 001.jpg' in printed.out
    assert 'smaller than 41 px: 15' in printed.out and '... and 5 more' in printed.out
    assert 'colour' not in printed.out and 'NaN' not in printed.out
    for status, *options in ((1, '--bands', 4), (0, '--band-indices', 2, 0),
                             (1, '--max-pixels', 1000)):
        assert call('check_dataset', 'data', *options)[0] == status


@pytest.mark.parametrize('tool, arguments', [
    ('check_dataset', []), ('pack_dataset', ['x.lmdb']), ('dataset_statistics', [])])
def test_a_name_does_not_control_the_terminal(call, tmp_path, tool, arguments):
    write_images(tmp_path / 'data', 1)
    (tmp_path / 'data' / 'red \x1b[31m\nnext.jpg').write_text('text')
    _, printed = call(tool, 'data', *arguments)
    assert '\x1b' not in printed.out and r'red \x1b[31m' in printed.out


def snippet(printed):
    """Arguments of the loader and of the model in the printed piece of config."""
    _, _, text = printed.out.partition('# in the pipelines\n')
    load, _, model = text.partition('# in the model\n')
    model = model.partition('\nwritten to')[0]
    return eval(load.rstrip().rstrip(',')), eval(f'dict({model})')


def test_statistics_give_the_lines_of_a_config(call, write, write_tiff, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    write('data/x.png', image)
    (tmp_path / 'data' / 'broken.jpg').write_bytes(b'x')
    _, printed = call('dataset_statistics', 'data', '--out', 'new/out.json')
    assert '2 images' in printed.out and 'unusable: broken.jpg is not' in printed.out
    load, model = snippet(printed)
    assert load == dict(type='LoadRSImage', bands=3) and set(model) == {'data_preprocessor'}
    np.testing.assert_allclose(model['data_preprocessor']['mean'], image.mean((0, 1)), atol=0.005)
    result = json.loads(Path('new/out.json').read_text())['statistics']
    np.testing.assert_allclose(result['mean'], image.mean((0, 1)))

    values = np.arange(4 * 5 * 4, dtype=np.uint16).reshape(4, 5, 4) * 100
    write_tiff('deep/x.tif', values)
    load, model = snippet(call('dataset_statistics', 'deep', '--band-indices', 3, 0)[1])
    assert model['backbone'] == dict(in_channels=2)
    assert len(model['data_preprocessor']['mean']) == load['bands'] == 2
    assert model['data_preprocessor']['bands'] == 2
    assert load['band_indices'] == (3, 0)
    low, high = np.transpose(load['value_range'])
    assert np.all(low < values[..., [3, 0]].mean((0, 1))) and np.all(high > 7000)
    load, _ = snippet(call('dataset_statistics', 'deep', '--value-range', 0, 8000)[1])
    assert load['value_range'] == [0, 8000] and load['bands'] == 4


def test_pack_reports_what_it_wrote_and_left_out(call, tmp_path):
    paths = write_images(tmp_path / 'data', 5, size=(96, 80))
    status, printed = call('pack_dataset', 'data', 'new/x.lmdb', '--shortest-side', 40,
                           '--quality', 80)
    assert status == 0 and '5 of 5 images packed in new/x.lmdb (' in printed.out
    assert '5 as JPEG of quality 80, 5 of them shrunk' in printed.out
    assert 'left out' not in printed.out and 'cannot be shrunk' not in printed.out
    assert printed.out.splitlines()[-1].endswith('dataset.data_root=new/x.lmdb')
    dataset = ImageFolder('new/x.lmdb', pipeline=[dict(type='LoadRSImage')])
    assert [dataset[i]['img'].shape for i in range(5)] == [(40, 48, 3)] * 5
    for path in write_images(tmp_path / 'data', 20)[:12]:
        path.write_text('text')
    status, printed = call('pack_dataset', 'data', 'x.lmdb', '--raw')
    assert status == 1 and '8 of 20 images packed' in printed.out
    assert 'left out: 12' in printed.out and '8 uncompressed' in printed.out
    assert '... and 2 more (tools/check_dataset.py has all)' in printed.out
    assert f'{paths[0].name} is not a JPEG' in printed.out
    assert len(ImageFolder('x.lmdb')) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ['data', 'new', 'x.lmdb']


@pytest.mark.parametrize('tool, arguments, reason', [
    ('check_dataset', ['none'], 'the image folder'),
    ('check_dataset', ['data', '--out', 'data'], 'is a folder: give the name'),
    ('check_dataset', ['data', '--list', 'list.txt', '--good', 'data/list.txt'],
     'is the input itself'),
    ('dataset_statistics', ['none'], 'none does not exist'),
    ('dataset_statistics', ['data', '--max-pixels', 9], 'no usable image; the first: 000'),
    ('pack_dataset', ['none', 'x.lmdb'], 'none does not exist'),
    ('pack_dataset', ['data', 'file/x.lmdb'], 'file is a file')])
def test_one_line_on_bad_input(call, tmp_path, tool, arguments, reason):
    write_images(tmp_path / 'data', 1)
    (tmp_path / 'file').touch()
    (tmp_path / 'data' / 'list.txt').write_text('000.jpg\n')
    line, _ = call(tool, *arguments)
    assert line.startswith(f'{tool}.py: error: ') and reason in line and '\n' not in line
    assert not list(tmp_path.rglob('*.lmdb*'))
    assert (tmp_path / 'data' / 'list.txt').read_text() == '000.jpg\n'


def test_a_config_is_checked_as_it_would_be_trained(call, tmp_path):
    """Every data set of it, each once; what a training would refuse sets the status."""
    for number in range(3):
        for part, value in (('images', 9), ('masks', 255 * (number % 2))):
            (tmp_path / 'data' / part).mkdir(parents=True, exist_ok=True)
            mask = np.zeros((40, 40), np.uint8)
            mask[:20] = value
            Image.fromarray(mask).save(tmp_path / 'data' / part / f'{number}.png')
    dataset = dict(
        type='mmpretrain.MaskFolder', data_root='data', metainfo=dict(classes=['a', 'b']),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        pipeline=[dict(type='mmpretrain.LoadRSImage'), dict(type='mmpretrain.LoadMask')])
    Path('c.py').write_text(f'train_dataloader = dict(dataset={dataset!r})\n'
                            'test_dataloader = val_dataloader = train_dataloader\n')
    status, printed = call('check_dataset', 'c.py', '--size', 40)
    assert status == 1 and printed.out.count('3 masks: ') == 1
    assert '3 masks: a 100 %; 16.7 % ignored; never: b' in printed.out
    assert 'hold one class, a, and 16.7 % ignored pixels' in printed.out
    status, printed = call('check_dataset', 'c.py', '--out', 'r.json',
                           '--cfg-options', *(f'{use}_dataloader.dataset.values=[(0,0),(255,1)]'
                                              for use in ('train', 'val', 'test')))
    assert status == 0 and 'a 83.3 %, b 16.7 %; 0 % ignored' in printed.out
    report, = json.loads(Path('r.json').read_text())['train_dataloader']
    assert report['images']['usable'] == report['masks']['read'] == 3
    status, _ = call('check_dataset', 'c.py', '--good', 'good.txt')
    assert '--good is for folders' in str(status)
    Path('data/masks/2.png').unlink()
    status, printed = call('check_dataset', 'c.py')
    assert status == 1 and 'data/masks lacks 1 of 3 files' in printed.out
