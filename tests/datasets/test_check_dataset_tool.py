import json
import os
import runpy
import sys
from pathlib import Path

import pytest
from damaged_images import agree, damage, write_images

from cmid_mm.datasets import ImageFolder

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'check_dataset.py'


@pytest.fixture
def tool(monkeypatch, capsys, tmp_path):
    """``tool(*arguments)``: run it on the folder, give exit status and what it prints."""
    monkeypatch.syspath_prepend(TOOL.parent)
    monkeypatch.setattr(sys.stdout, 'reconfigure', lambda **kwargs: None, raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), str(tmp_path / 'data'), *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        return end.value.code, capsys.readouterr()
    return call


def test_report_list_and_status(tool, tmp_path):
    paths = write_images(tmp_path / 'data', 30)
    said = damage(paths)
    out, good = tmp_path / 'new' / 'report.json', tmp_path / 'new' / 'good.txt'
    code, printed = tool('--out', str(out), '--good', str(good))
    assert code == 1
    usable = len(paths) - len(said)
    assert f'30 images in {tmp_path}/data, {usable} usable' in printed.out
    assert f'unusable: {len(said)}' in printed.out and f'{usable} JPEG' in printed.out
    assert all(Path(path).name in printed.out for path in said)
    assert '30/30' in printed.err and 'ETA' in printed.err  # the progress bar
    report = json.loads(out.read_text())
    assert agree({str(tmp_path / 'data' / file): reason for file, reason in
                  report['unusable']}, said)
    dataset = ImageFolder(str(tmp_path / 'data'), ann_file=str(good),
                          pipeline=[dict(type='LoadRSImage')])
    assert len(dataset) == usable and f'ann_file={good}' in printed.out
    assert all(dataset[i]['img'].shape == (40, 48, 3) for i in range(usable))
    # of the list, all can be used
    code, printed = tool('--list', str(good))
    assert code == 0 and f'{usable} images' in printed.out and 'unusable' not in printed.out
    assert not list(tmp_path.rglob('*.part'))


def test_what_is_worth_a_look_is_no_failure(tool, tmp_path):
    first, second, *_ = write_images(tmp_path / 'data', 15)
    second.write_bytes(first.read_bytes())
    code, printed = tool('--size', '41')
    assert code == 0
    assert 'equal files (1 more than needed, 0.0 MB): 1\n  000.jpg = 001.jpg' in printed.out
    assert 'smaller than 41 px: 15' in printed.out and '... and 5 more' in printed.out
    assert 'colour' not in printed.out and 'NaN' not in printed.out


def test_options_reach_the_check(tool, tmp_path):
    write_images(tmp_path / 'data', 3)
    assert tool('--bands', '4')[0] == 1
    assert tool('--band-indices', '2', '0')[0] == 0
    code, printed = tool('--max-pixels', '1000')
    assert code == 1 and 'max_pixels=1000' in printed.out


def test_a_name_does_not_write_to_the_terminal(tool, tmp_path):
    path, = write_images(tmp_path / 'data', 1)
    path.rename(path.with_name('red \x1b[31m\nnext.jpg'))
    code, printed = tool('--bands', '4')
    assert code == 1 and '\x1b' not in printed.out
    assert r'red \x1b[31m\nnext.jpg has 3 band(s)' in printed.out


def test_one_line_on_bad_input(tool, tmp_path):
    assert 'error: the image folder' in tool()[0]
    write_images(tmp_path / 'data', 1)
    assert 'is a folder: give the name' in tool('--out', str(tmp_path))[0]
    (tmp_path / 'data' / 'list.txt').write_text('000.jpg\n')
    text = str(tmp_path / 'data' / 'list.txt')
    assert 'is the input itself' in tool('--list', 'list.txt', '--good', text)[0]
    assert Path(text).read_text() == '000.jpg\n'
    if os.geteuid() != 0:
        (tmp_path / 'data' / 'closed').mkdir(mode=0)
        assert 'closed cannot be read' in tool()[0]
