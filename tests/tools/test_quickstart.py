"""The quickstart's main job on folders that are not photographs in classes."""
import collections
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from PIL import Image

TOOL = Path(__file__).parents[2] / 'tools' / 'quickstart.py'
KEYS = {'images', 'images_per_second', 'threads', 'losses_start', 'losses_end', 'knn_before',
        'knn_after', 'linear_before', 'linear_after', 'checkpoint', 'backbone', 'picture'}


@pytest.fixture
def config(monkeypatch):
    """The module that makes the config."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    return importlib.import_module('_quickstart_config')


def quickstart(*arguments):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True,
        timeout=300, env=os.environ | dict(OMP_NUM_THREADS='2'))


def write_geotiffs(folder, count, bands=4):
    """16-bit rasters of changing size, as a satellite delivers them."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(len(folder.name))
    for i in range(count):
        height, width = 60 + 5 * i, 120 - 3 * i
        level = 400 * (1 + len(folder.name))
        image = draw.integers(level, level + 900, (bands, height, width)).astype(np.uint16)
        with rasterio.open(folder / f'{i}.tif', 'w', driver='GTiff', height=height, width=width,
                           count=bands, dtype='uint16', crs='EPSG:32633',
                           transform=rasterio.transform.from_origin(5e5, 5e6, 10, 10)) as file:
            file.write(image)


def test_multispectral_geotiffs_in_class_folders(tmp_path):
    for name in ('field', 'woodland'):
        write_geotiffs(tmp_path / 'images' / name, 10)
    result = quickstart(tmp_path / 'images', '--work-dir', tmp_path / 'out', '--epochs', 2)
    assert result.returncode == 0, result.stderr[-3000:]
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert set(summary) == KEYS
    # 16 of 20 images are trained on, the others are queries; a batch holds all of them
    assert summary['images'] == 2 * 16 and summary['images_per_second'] > 0
    for name in ('losses_start', 'losses_end'):
        assert set(summary[name]) == {'reconstruction', 'global', 'local'}
        assert all(np.isfinite(list(summary[name].values())))
    # two classes of different brightness, told apart by any network
    assert all(50 <= summary[f'{probe}_{time}'] <= 100 for probe in ('knn', 'linear')
               for time in ('before', 'after'))
    backbone = torch.load(summary['backbone'], weights_only=True)
    assert backbone['meta']['bands'] == 4
    assert backbone['state_dict']['backbone.conv1.weight'].shape[1] == 4
    assert Path(summary['checkpoint']).is_file()
    picture = np.asarray(Image.open(summary['picture']))
    assert min(picture.shape[:2]) > 300 and picture.std() > 10
    for value in (f'{summary["knn_after"]:.1f} %', summary['backbone'], summary['picture']):
        assert value in result.stdout


def test_a_flat_folder_has_no_classes_and_trains_all_the_same(tmp_path, config, capsys):
    tool = importlib.import_module('quickstart')
    write_geotiffs(tmp_path / 'images', 5, bands=1)
    summary = tool.run(tool.parse_args(
        [str(tmp_path / 'images'), '--work-dir', str(tmp_path / 'out'), '--epochs', '1']))
    tool.show(summary)
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text()) == summary
    assert all(summary[f'{probe}_{time}'] is None for probe in ('knn', 'linear')
               for time in ('before', 'after'))
    assert summary['images'] == 5 and 'not measured' in capsys.readouterr().out


def test_images_beside_class_folders_make_no_class(tmp_path, config):
    for name in ('', 'a', 'b'):
        (tmp_path / 'images' / name).mkdir(parents=True, exist_ok=True)
        for i in range(6):
            (tmp_path / 'images' / name / f'{i}.png').touch()
    dataset, classes = config.list_images(str(tmp_path / 'images'), tmp_path)
    assert classes == [] and 'with_label' not in dataset


def test_the_choice_of_a_big_folder_is_even_and_keeps_classes(tmp_path, config, monkeypatch):
    monkeypatch.setattr(config, 'MAX_IMAGES', 20)
    for name in ('a', 'b'):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for i in range(30):
            (tmp_path / 'images' / name / f'{i:02}.png').touch()
    dataset, classes = config.list_images(str(tmp_path / 'images'), tmp_path)
    assert classes == ['a', 'b'] and dataset['with_label']
    lines = Path(dataset['ann_file']).read_text().split('\n')[:-1]
    places = 0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 31, 34, 37, 40, 43, 47, 50, 53, 56, 59
    assert lines == [f'{"ab"[i // 30]}/{i % 30:02}.png {i // 30}' for i in places]


def test_broken_images_are_left_out_and_reported(tmp_path, config, capsys):
    """From the test images too: one that cannot be read would end the quickstart."""
    for name in ('field', 'woodland'):
        write_geotiffs(tmp_path / 'images' / name, 10)
    # every fifth image of a class is a query
    broken = [tmp_path / 'images' / 'field' / '4.tif', tmp_path / 'images' / 'woodland' / '0.tif']
    broken[0].write_bytes(broken[0].read_bytes()[:300])
    broken[1].write_text('404 not found')
    load = dict(bands=4, band_indices=None, value_range=[[0, 5000]] * 4)
    dataset, classes = config.list_images(str(tmp_path / 'images'), tmp_path, load)
    assert ('2 of 20 images cannot be used and are left out, for example field/4.tif: is damaged'
            in capsys.readouterr().out)
    listed = Path(dataset['ann_file']).read_text().splitlines()
    assert len(listed) == 18 and 'field/3.tif 0' in listed and 'woodland/1.tif 1' in listed
    assert classes == ['field', 'woodland'] and dataset['with_label']
    args = SimpleNamespace(band_indices=None, work_dir=str(tmp_path), seed=0)
    cfg = config.make_config(args, dataset, classes, dict(
        mean=[9.] * 4, std=[9.] * 4, **load))
    assert cfg.train_dataloader.dataset.replace_broken
    assert cfg.default_hooks.broken_images.type == 'BrokenImagesHook'
    assert config.fit_batch(cfg) == 16
    for file in listed[1:]:
        (tmp_path / 'images' / file.split(' ')[0]).write_bytes(b'')
    with pytest.raises(config.UserError, match='holds 1 images that can be used'):
        config.list_images(str(tmp_path / 'images'), tmp_path, load)


def write_photographs(folder, count):
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(draw.integers(0, 255, (48, 48, 3), np.uint8)).save(folder / f'{i}.png')


@pytest.mark.parametrize('side, count, window', [
    # photographs of scenes: few are cut, so that there is something to learn from
    (250, 2, None), (256, 2, 128), (256, 4, None), (600, 1, 256), (600, 4, None),
    # large rasters are cut however many there are
    (1100, 4, 256),
])
def test_only_large_or_few_images_are_cut_into_windows(
        tmp_path, config, monkeypatch, side, count, window):
    monkeypatch.setattr(config, 'FEW_IMAGES', 4)
    for i in range(count):
        Image.new('L', (side, side + i)).save(tmp_path / f'{i}.png')
    assert config.find_rasters(str(tmp_path)).get('window') == window


def test_a_slow_machine_has_lines_of_progress(tmp_path, config, monkeypatch, capsys):
    """Lines come before mmengine's log has published its first losses."""
    run = sys.modules['_quickstart_run']
    write_photographs(tmp_path / 'images', 24)
    monkeypatch.setattr(run, 'SECONDS_BETWEEN_LINES', 0.)
    dataset, classes = config.list_images(str(tmp_path / 'images'), tmp_path)
    args = SimpleNamespace(band_indices=None, work_dir=str(tmp_path / 'out'), seed=0)
    cfg = config.make_config(args, dataset, classes, dict(
        mean=[127.] * 3, std=[70.] * 3, bands=3, value_range=None))
    cfg.train_dataloader.batch_size = 8
    config.set_length(cfg, 24, 1)
    runner, results = run.train(cfg, run.print_timed)
    lines = [line for line in capsys.readouterr().out.splitlines() if 'iteration' in line]
    assert len(lines) == 3 and all('loss_reconstruction' in line for line in lines)
    assert results.before == {} and results.seconds_trained > 0


def test_the_faster_number_of_threads_is_chosen(config, monkeypatch):
    """As where two threads wait for each other: a step with one is faster."""
    run = sys.modules['_quickstart_run']
    model = torch.nn.Linear(1, 1)
    seconds = {1: 0., 2: 0.05}
    steps = collections.Counter()

    def train_step(data, wrapper):
        steps[torch.get_num_threads()] += 1
        time.sleep(seconds[torch.get_num_threads()])
        return dict(loss=torch.zeros(()))

    model.train_step = train_step
    monkeypatch.setattr('mmengine.registry.MODELS.build', lambda cfg: model)
    monkeypatch.setattr('mmengine.optim.build_optim_wrapper', lambda model, cfg: None)
    monkeypatch.setattr('mmengine.runner.Runner.build_dataloader', lambda *args, **kwargs: [0] * 4)
    before = torch.get_num_threads()
    cfg = Config(dict(model={}, optim_wrapper={}, train_dataloader={}, randomness=dict(seed=0)))
    try:
        found, length = run.seconds_per_step(cfg, [1, 2])
        assert torch.get_num_threads() == 1 and length == 4
        assert found[1] < found[2]
        assert steps == {number: run.WARM_UP + run.TIMED for number in (1, 2)}
        seconds.update({1: 0.05, 2: 0.})
        found, _ = run.seconds_per_step(cfg, [1, 2])
        assert torch.get_num_threads() == 2
        # a number of threads with which a step takes very long costs one step
        steps.clear()
        monkeypatch.setattr(run, 'PATIENCE', 0.)
        run.seconds_per_step(cfg, [2])
        assert steps == {2: 1}
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('content', [None, 'empty'])
def test_nothing_to_train_on_is_one_line(tmp_path, config, monkeypatch, content):
    errors = importlib.import_module('_errors')
    folder = tmp_path / 'images'
    if content:
        folder.mkdir()
    monkeypatch.setattr(sys, 'argv', [
        'quickstart.py', str(folder), '--work-dir', str(tmp_path / 'out')])
    with pytest.raises(SystemExit) as end:
        errors.run(importlib.import_module('quickstart').main)
    assert str(folder) in end.value.code and '\n' not in end.value.code


def test_large_rasters_and_bands_in_files(tmp_path, config):
    """Windows and bands are found; the windows of a raster are not split for the probes."""
    draw = np.random.default_rng(0)
    for name in ('north/T31_B02', 'north/T31_B8A', 'south/T32_B02', 'south/T32_B8A'):
        path = tmp_path / f'{name}.tif'
        path.parent.mkdir(exist_ok=True)
        side = 300 // (1 + name.endswith('B8A'))
        with rasterio.open(path, 'w', driver='GTiff', height=side, width=side, count=1,
                           dtype='uint16') as file:
            file.write(draw.integers(1, 3000, (1, side, side)).astype(np.uint16))
    found = config.find_rasters(str(tmp_path))
    assert found == dict(band_files=['B02', 'B8A'], grid_band='B02', window=128)
    dataset, classes = config.list_images(str(tmp_path), tmp_path, {}, found)
    assert classes == [] and dataset == dict(type='ImageFolder', data_root=str(tmp_path), **found)
    plain = tmp_path / 'plain'
    write_geotiffs(plain, 6)
    assert config.find_rasters(str(plain)) == {}


def test_a_folder_of_rasters_just_works(tmp_path):
    write_geotiffs(tmp_path / 'scenes', 1)
    with rasterio.open(tmp_path / 'scenes/large.tif', 'w', driver='GTiff', height=600, width=900,
                       count=4, dtype='uint16', nodata=0) as file:
        pixels = np.random.default_rng(0).integers(400, 1300, (4, 600, 900)).astype(np.uint16)
        pixels[:, :, 800:] = 0
        file.write(pixels)
    (tmp_path / 'scenes/0.tif').unlink()
    done = quickstart(tmp_path / 'scenes', '--work-dir', tmp_path / 'run', '--epochs', 1)
    assert done.returncode == 0, done.stderr
    assert '1 rasters, most with a shorter side of 600 px or more: windows of 128 px' in done.stdout
    summary = json.loads((tmp_path / 'run/summary.json').read_text())
    assert summary['images'] == 28 and Path(summary['picture']).is_file()
