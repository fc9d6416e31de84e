import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_statistics.py'


@pytest.fixture
def tool(monkeypatch, capsys, tmp_path):
    """``tool(*arguments)``: run it on the folder, give what it prints."""
    monkeypatch.syspath_prepend(TOOL.parent)

    def call(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), str(tmp_path / 'data'), *arguments])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr()
    return call


def snippet(printed):
    """The parts of the config: the loading transform and the settings of the model."""
    lines = printed.out.splitlines()
    load = lines[lines.index('# in the pipelines') + 1]
    start = lines.index('# in the model') + 1
    end = next(i for i in range(start, len(lines)) if lines[i].endswith('),')
               and 'backbone' not in lines[i])
    return eval(load.rstrip(',')), eval(f'dict({"".join(lines[start:end + 1])})')


def test_table_snippet_and_file(tool, write, tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write('data/x.png', image)
    (tmp_path / 'data' / 'broken.png').write_bytes(b'x')
    out = tmp_path / 'new' / 'out.json'
    printed = tool('--out', str(out))
    assert '2 images' in printed.out and 'unusable' in printed.out
    assert '2/2' in printed.err  # the progress bar
    load, model = snippet(printed)
    assert load == dict(type='LoadRSImage', bands=3)
    assert set(model) == {'data_preprocessor'}
    np.testing.assert_allclose(model['data_preprocessor']['mean'], image.mean((0, 1)), atol=0.005)
    result = json.loads(out.read_text())
    np.testing.assert_allclose(result['mean'], image.mean((0, 1)))


def test_snippet_for_deep_rasters(tool, write_tiff, tmp_path):
    (tmp_path / 'data').mkdir()
    values = np.arange(4 * 5 * 4, dtype=np.uint16).reshape(4, 5, 4) * 100
    write_tiff('data/x.tif', values)
    load, model = snippet(tool('--band-indices', '3', '0'))
    assert model['backbone'] == dict(in_channels=2)
    assert len(model['data_preprocessor']['mean']) == 2
    assert load['bands'] == 2 and load['band_indices'] == (3, 0)
    low, high = np.transpose(load['value_range'])
    assert np.all(low < values[..., [3, 0]].mean((0, 1))) and np.all(high > 7000)
    load, model = snippet(tool('--value-range', '0', '8000'))
    assert model['backbone'] == dict(in_channels=4)
    assert load['value_range'] == [0, 8000] and load['bands'] == 4


def test_the_limit_on_pixels_is_the_users(tool, write):
    write('data/x.png', np.zeros((4, 5, 3), np.uint8))
    assert '1 used' in tool('--max-pixels', '20').out
    with pytest.raises(SystemExit, match='no usable image.*max_pixels=19'):
        tool('--max-pixels', '19')


def test_one_line_on_bad_input(tool):
    with pytest.raises(SystemExit, match=r'error: the image folder .*data does not exist'):
        tool()
