import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from damaged_images import damage, write_images

from cmid_mm.datasets import ImageFolder

pytest.importorskip('lmdb')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'pack_dataset.py'


@pytest.fixture
def tool(tmp_path):
    """``tool(*arguments)``: run it in ``tmp_path`` as a user does."""
    def call(*arguments):
        return subprocess.run([sys.executable, str(TOOL), *arguments], cwd=tmp_path,
                              capture_output=True, text=True, env={**os.environ})
    return call


def test_all_are_packed(tool, tmp_path):
    write_images(tmp_path / 'data', 5, size=(96, 80))
    done = tool('data', 'new/x.lmdb', '--shortest-side', '40', '--quality', '80')
    assert done.returncode == 0, done.stderr
    assert '5 of 5 images packed in new/x.lmdb (' in done.stdout
    assert '5 as JPEG of quality 80, 5 of them shrunk' in done.stdout
    assert 'left out' not in done.stdout and 'cannot be shrunk' not in done.stdout
    assert done.stdout.splitlines()[-1].endswith('train_dataloader.dataset.data_root=new/x.lmdb')
    assert '5/5' in done.stderr and 'ETA' in done.stderr  # the progress bar
    dataset = ImageFolder(str(tmp_path / 'new/x.lmdb'), pipeline=[dict(type='LoadRSImage')])
    assert [dataset[i]['img'].shape for i in range(5)] == [(40, 48, 3)] * 5


def test_what_is_left_out_gives_status_1(tool, tmp_path):
    paths = write_images(tmp_path / 'data', 20)
    said = damage(paths)
    for path in paths[10:17]:
        path.write_text('text')
    paths[17].rename(tmp_path / 'data' / 'red \x1b[31m.jpg')
    (tmp_path / 'data' / 'red \x1b[31m.jpg').write_text('text')
    done = tool('data', 'x.lmdb', '--raw')
    # five bands can be packed: the loader may want them
    count = len(said) - 1 + 8
    assert done.returncode == 1
    assert f'{20 - count} of 20 images packed' in done.stdout
    assert f'left out: {count}' in done.stdout and 'as pixels' in done.stdout
    assert f'... and {count - 10} more (tools/check_dataset.py has all)' in done.stdout
    assert '000.jpg is damaged or cut off' in done.stdout
    assert '\x1b' not in done.stdout
    assert len(ImageFolder(str(tmp_path / 'x.lmdb'))) == 20 - count
    assert sorted(path.name for path in tmp_path.iterdir()) == ['data', 'x.lmdb']


@pytest.mark.parametrize('arguments, reason', [
    (['none', 'x.lmdb'], 'none does not exist'),
    (['data', 'x.db'], 'does not end in .lmdb, by which packed data sets are known'),
    (['empty', 'x.lmdb'], 'holds no image'),
    (['data', 'x.lmdb', '--max-pixels', '9'], 'no usable image; the first: 000.jpg has 48 x'),
    (['data', 'file/x.lmdb'], 'file is a file, but a folder is wanted there')])
def test_one_line_on_bad_input(tmp_path, monkeypatch, arguments, reason):
    write_images(tmp_path / 'data', 1)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(TOOL.parent)
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    line = end.value.code
    assert line.startswith('pack_dataset.py: error: ') and reason in line and '\n' not in line
    assert not list(tmp_path.rglob('*.lmdb*'))
