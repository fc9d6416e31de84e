"""A backbone as a model of torchgeo-bench; its own run on made files where it is installed."""
import json
import pickle
import runpy
import sys
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from rasters import landscape, write_raster
from small_models import cmid_config

from cmid_mm.apis import FeatureInferencer
from cmid_mm.apis.torchgeo_bench import (
    CMIDBench,
    _new_rows,
    beside,
    names_of_bands,
    run_torchgeo_bench,
)
from cmid_mm.utils.errors import CMIDError

# the fields of torchgeo_bench.datasets.BandSpec
Band = namedtuple('Band', 'sensor name source_name mean std min max')
AERIAL = [Band('aerial', name, name.title(), 115., 48., 1, 254)
          for name in ('blue', 'green', 'red')]
SENTINEL = [Band('s2', name, name.upper(), 1000. + 100 * place, 400., 0, 28000)
            for place, name in enumerate(('b02', 'b03', 'b04', 'b08'))]
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'inference' / 'run_torchgeo_bench.py'


def save_model(folder, bands=3, value_range=None, band_names=None, **meta):
    """Config file and checkpoint of a CMID of a thin ResNet."""
    backbone = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, in_channels=bands)
    config = cmid_config(backbone, bands=bands)
    torch.manual_seed(1)
    state = MODELS.build(config).state_dict()
    for name, start in (('mean', 90.), ('std', 40.)):
        state[f'data_preprocessor.{name}'][:] = start + 10 * torch.arange(float(bands))
    loading = dict(bands=bands, band_indices=None,
                   value_range=None if value_range is None else [list(value_range)] * bands)
    meta = dict(epoch=3, dataset_meta=dict(loading=loading),
                input=dict(band_names=band_names)) | meta
    torch.save(dict(state_dict=state, meta=meta), folder / 'epoch_3.pth')
    steps = [dict(type='LoadRSImage', bands=bands, value_range=value_range),
             dict(type='PackInputs')]
    Config(dict(default_scope='mmpretrain', model=config, test_dataloader=dict(
        dataset=dict(pipeline=steps)))).dump(folder / 'config.py')
    return str(folder / 'config.py'), str(folder / 'epoch_3.pth')


def test_features_are_those_of_the_inferencer(tmp_path):
    model = save_model(tmp_path)
    image = landscape(64, 64)
    cv2.imwrite(str(tmp_path / 'image.png'), image[..., ::-1])
    wanted = FeatureInferencer(*model, device='cpu', show_progress=False)(
        str(tmp_path / 'image.png'))['vectors']
    raw = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float()
    bench = CMIDBench(AERIAL[::-1], *model).eval()
    np.testing.assert_allclose(bench(raw), wanted, rtol=1e-4, atol=1e-5)
    assert wanted.std() > 0.01 and bench.num_channels == 3
    # bands in another order under their names change nothing, under others they do
    permuted = CMIDBench(AERIAL, *model).eval()
    assert torch.equal(permuted(raw.flip(1)), bench(raw))
    assert not torch.allclose(permuted(raw), bench(raw), rtol=0.01)
    # so do bands that the model does not have
    more = CMIDBench([SENTINEL[3], *AERIAL], *model).eval()
    assert torch.equal(more(torch.cat([raw[:, :1], raw.flip(1)], 1)), bench(raw))


def test_raw_values_become_those_of_the_training(tmp_path):
    model = save_model(tmp_path, 4, (0, 3000), ['B4', 'B3', 'B2', 'B8'])
    image = landscape(64, 64, 4).astype(np.uint16) * 17
    image[0, 0] = 60000
    path = write_raster(tmp_path / 'image.tif', image)
    wanted = FeatureInferencer(*model, device='cpu', show_progress=False)(path)['vectors']
    raw = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
    bench = CMIDBench(SENTINEL, *model).eval()
    # the data set has blue first
    np.testing.assert_allclose(bench(raw[:, [2, 1, 0, 3]]), wanted, rtol=1e-4, atol=1e-5)
    assert not np.allclose(bench(raw), wanted, rtol=0.01)
    # the range is that of the checkpoint or the given one, never that of the data
    wider = CMIDBench(SENTINEL, *model, value_range=(0, 6000)).eval()
    assert torch.allclose(wider(2 * raw), bench(raw), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(wider(raw), bench(raw), rtol=0.01)
    # missing values count as 0
    raw[..., :9] = torch.nan
    assert torch.equal(bench(raw), bench(raw.nan_to_num(0)))
    # 8-bit values are not changed, as LoadRSImage does not change them
    grey = [band._replace(mean=band.mean / 20, max=255) for band in SENTINEL]
    eight = torch.randint(256, (1, 4, 64, 64)).float()
    for given in (None, (0, 6000)):
        assert torch.allclose(CMIDBench(grey, *model, value_range=given).eval()(eight),
                              bench(eight * 3000 / 255), rtol=1e-4, atol=1e-4)


def test_normalisation_by_the_data_set(tmp_path):
    model = save_model(tmp_path)
    bench = CMIDBench(SENTINEL, *model, normalization='bandspec_zscore').eval()
    raw = 3000 * torch.rand(2, 4, 64, 64)
    chosen = [SENTINEL[2], SENTINEL[1], SENTINEL[0]]
    mean, std = (torch.tensor([getattr(band, name) for band in chosen])[:, None, None]
                 for name in ('mean', 'std'))
    inferencer = FeatureInferencer(*model, device='cpu', show_progress=False)
    wanted = inferencer.forward((raw[:, [2, 1, 0]] - mean) / std)
    maps = []
    bench.map.register_forward_hook(lambda module, args, output: maps.append(output))
    assert torch.allclose(bench(raw), wanted.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert torch.allclose(maps[0], wanted, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path):
    model = save_model(tmp_path, 4, (0, 3000), ['red', 'green', 'blue', 'B8'])
    with pytest.raises(CMIDError, match=r'lacks nir, it has blue, green, red: .*--bands all'):
        CMIDBench(SENTINEL[:3], *model)
    reflectance = [band._replace(mean=band.mean / 1e4, max=1.) for band in SENTINEL]
    with pytest.raises(CMIDError, match=r'red has a mean of 0.12 .*0..3000.*--value-range'):
        CMIDBench([band._replace(name=name) for band, name in zip(
            reflectance, ('blue', 'green', 'red', 'nir'))], *model)
    CMIDBench(reflectance, *model, value_range=(0, .3))
    with pytest.raises(CMIDError, match='minmax.*model_native'):
        CMIDBench(SENTINEL, *model, normalization='minmax')
    # codes of another sensor are other bands
    stated = dict(sensor='Landsat 8', band_names=['b2', 'b3', 'b4', 'b5'])
    assert names_of_bands(dict(input=stated), 4, '') == ['b2', 'b3', 'b4', 'b5']
    stated = dict(sensor='PlanetScope', band_names=['B1', 'B2', 'B3', 'R'])
    assert names_of_bands(dict(input=stated), 4, '') == ['b1', 'b2', 'b3', 'red']
    for sensor in (None, 'Sentinel-2 L2A'):
        stated = dict(sensor=sensor, band_names=['B4', 'B3'])
        assert names_of_bands(dict(input=stated), 2, '') == ['red', 'green']
    assert names_of_bands(dict(input=stated), 1, '', ['B8']) == ['nir']
    # so are bands that were chosen by numbers
    with pytest.raises(CMIDError, match='3 bands and 0 names.*--band-names'):
        names_of_bands(dict(loading=dict(band_indices=[7, 3, 2])), 3, '')
    assert names_of_bands(dict(loading=dict(band_indices=None)), 3, '')[0] == 'red'
    with pytest.raises(CMIDError, match='4 bands and 0 names.*--band-names'):
        names_of_bands({}, 4, 'x.pth')

    eight = save_model(tmp_path)
    with pytest.raises(CMIDError, match=r'mean of 1200 .*0..255.*--value-range'):
        CMIDBench(SENTINEL, *eight)
    CMIDBench(SENTINEL, *eight, value_range=(0, 3000))
    unknown = save_model(tmp_path, dataset_meta={})
    with pytest.raises(CMIDError, match='does not state its normalisation'):
        CMIDBench(AERIAL, *unknown)
    CMIDBench(AERIAL, *unknown, normalization='bandspec_zscore')


def test_an_absent_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'hydra', None)
    monkeypatch.setitem(sys.modules, 'pandas', None)
    with pytest.raises(CMIDError, match='pip install torchgeo-bench'):
        run_torchgeo_bench('config.py', 'epoch_3.pth', ['m-eurosat'], 'out.csv')


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(CMIDError, match='no such folder: .*gone.*--root'):
        run_torchgeo_bench('c.py', 'a.pth', ['m-eurosat'], 'out.csv', root=str(tmp_path / 'gone'))


def test_rows_of_earlier_runs_are_not_those_of_this_one(tmp_path):
    pytest.importorskip('pandas')
    out, rows = tmp_path / 'rows.csv', ['name,dataset', 'a,m-eurosat', 'b,m-pv4ger', 'a,m-pv4ger']

    def new_rows(count, before, datasets):
        out.write_text('\n'.join(rows[:1 + count]))
        return _new_rows(out, before, 'a', datasets, tmp_path).dataset.tolist()

    assert new_rows(3, 1, ['m-pv4ger']) == ['m-pv4ger']
    assert new_rows(3, 0, ['m-eurosat', 'm-pv4ger']) == ['m-eurosat', 'm-pv4ger']
    for count in (1, 2, 3):
        with pytest.raises(CMIDError, match='no new row for m-eurosat: '):
            new_rows(count, 1, ['m-eurosat'])
    out.unlink()
    with pytest.raises(CMIDError, match='no new row for m-eurosat, m-pv4ger: '):
        _new_rows(out, 0, 'a', ['m-eurosat', 'm-pv4ger'], tmp_path)


# ------------------------------------------------------------------------ torchgeo-bench itself


def test_probes_of_segmentations_get_the_map(tmp_path):
    probes = pytest.importorskip('torchgeo_bench.segmentation_probe')
    bench = CMIDBench(AERIAL, *save_model(tmp_path))
    probe = probes.SegmentationProbe(bench, ['map'], num_classes=5, head_type='fpn')
    assert probe.channels_list == [64] and probe.feature_hw_list == [(7, 7)]
    assert probe(255 * torch.rand(2, 3, 64, 96)).shape == (2, 5, 64, 96)


def write_geobench(root, name, bands, counts, high):
    """Files of GEO-Bench 1 in its form: brightness tells the class."""
    h5py = pytest.importorskip('h5py')
    folder = root / 'data' / 'classification_v1.0' / name
    folder.mkdir(parents=True)
    draw, partition = np.random.default_rng(0), {}
    for split, count in counts.items():
        partition[split] = [f'{split}_{number}' for number in range(count)]
        for number, sample in enumerate(partition[split]):
            with h5py.File(folder / f'{sample}.hdf5', 'w') as file:
                for band in bands:
                    pixels = draw.integers(0, high // 2, (32, 32)) + number % 2 * (high // 2)
                    file[band] = pixels.astype(np.uint16 if high > 255 else np.uint8)
                file.attrs['pickle'] = repr(pickle.dumps(
                    dict(label=number % 2, bands_order=list(bands))))
    (folder / 'default_partition.json').write_text(json.dumps(partition))


@pytest.mark.timeout(300)
def test_a_run_of_torchgeo_bench(tmp_path, monkeypatch, capsys):
    pytest.importorskip('torchgeo_bench')
    from torchgeo_bench.datasets import MEurosat, MPv4ger
    counts = dict(train=24, valid=8, test=8)
    for cls, high in ((MEurosat, 3000), (MPv4ger, 255)):
        write_geobench(tmp_path, cls.name, [band.source_name for band in cls.bands], counts, high)
    config, checkpoint = save_model(tmp_path, 4, (0, 3000), ['B2', 'B3', 'B4', 'B8'])
    out = tmp_path / 'rows.csv'
    small = ['--options', 'dataset.image_size=64', 'dataset.num_workers=0', 'eval.bootstrap=10',
             'eval.c_range=[-2,2,3]']

    def run(*words):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), config, checkpoint, *words, '--device', 'cpu',
                                          '--root', str(tmp_path), '--out', str(out), *small])
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr().out

    status, printed = run('m-eurosat')
    assert not status and 'm-eurosat' in printed
    import pandas
    rows = pandas.read_csv(out)
    assert rows.method.tolist() == ['knn5', 'linear'] and set(rows.bands) == {'all'}
    assert set(rows.name) == {'epoch_3'} and set(rows.normalization) == {'model_native'}
    assert rows.n_test.tolist() == [8, 8] and rows.metric_value.min() > 0.8
    assert set(rows.model) == {'cmid_mm.apis.torchgeo_bench.CMIDBench'}

    # beside rows of other models that were measured alike
    other = rows.assign(name='other', metric_value=[0.3, 0.4])
    pandas.concat([other, other.assign(image_size=224), other.assign(bands='rgb')]).to_csv(
        tmp_path / 'reference.csv')
    table = beside(rows, str(tmp_path / 'reference.csv'))
    assert table.name.tolist() == ['epoch_3', 'other'] * 2

    assert 'm-pv4ger: ' in run('m-pv4ger')[0] and 'lacks nir' in run('m-pv4ger')[0]
    # without data the rows of the first run, of the same name, are not returned
    status = run('m-bigearthnet', 'm-eurosat')[0]
    assert 'no new row for m-bigearthnet: ' in status and '2 rows of others' in status
    assert "Unknown dataset 'eurosad'" in run('eurosad')[0]
    assert len(pandas.read_csv(out)) == 4
    # a resumed run measures nothing again
    small.append('resume=true')
    status, printed = run('m-eurosat')
    assert not status and printed.count('m-eurosat') >= 4 and len(pandas.read_csv(out)) == 4
    small.pop()

    config, checkpoint = save_model(tmp_path)
    assert not run('m-pv4ger', '--name', 'photographs')[0]
    rows = pandas.read_csv(out)
    assert rows[rows.name == 'photographs'].bands.tolist() == ['rgb', 'rgb']
