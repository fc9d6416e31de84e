"""A backbone of CMID as a model of torchgeo-bench, which probes frozen features."""
import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor, nn

from ..checkpoints.backbone import read_backbone_file
from ..datasets.transforms.loading import LoadRSImage
from ..utils.errors import CMIDError, MissingFileError
from .feature_inferencer import FeatureInferencer
from .model import as_config
from .onnx_graph import ExportedModel

_RGB = ('red', 'green', 'blue')
# names of one band in data sets of torchgeo-bench; the codes are Sentinel-2's
_SAME = dict(
    r='red', g='green', b='blue', b01='coastal_aerosol', b02='blue', b03='green', b04='red',
    b05='red_edge_1', b06='red_edge_2', b07='red_edge_3', b08='nir', b8a='red_edge_4',
    b09='water_vapour', b10='swir_cirrus', b11='swir_1', b12='swir_2')
# mean grey levels of a data set outside of it: another unit than that of value_range
_GREY = (2, 253)
_NO_DOWNLOAD = ('GEOBENCH_V1_NO_HF_DOWNLOAD', 'GEOBENCH_V2_NO_DOWNLOAD')


class CMIDBench(nn.Module):
    """Has the interface of ``torchgeo_bench.models.BenchModel``, without importing it.

    The bands of the checkpoint are taken from those of the data set by their names. Raw values
    become 0..255 and are normalised as in the pre-training; 8-bit values stay as they are.

    Args:
        bands (Sequence): ``BandSpec`` of every band of the images, in their order.
        config (str | Config): See ``FeatureInferencer``.
        checkpoint (str): See ``read_backbone_file``.
        normalization (str): ``'model_native'`` normalises as above, ``'bandspec_zscore'`` by mean
            and std that the data set states. Defaults to 'model_native'.
        encoder (str, optional): ``'student'`` or ``'teacher'``, see ``FeatureInferencer``.
        band_names (Sequence[str], optional): Of the checkpoint's bands, in its order. Defaults to
            None: as the checkpoint states them, or red, green, blue where its files have three
            bands.
        value_range (Sequence, optional): See ``LoadRSImage``, in the data set's units, for data
            sets that are not 8-bit. Defaults to None: that of the checkpoint.

    Attributes:
        num_channels (int): Bands of the images.
        map (nn.Module): Its output is the last feature map, for probes of segmentations.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        CMIDError: The data set lacks bands or has other units, the checkpoint does not state its
            normalisation or names no bands, or it does not fit the config.
    """

    def __init__(self, bands: Sequence, config: str | Config, checkpoint: str,
                 normalization: str = 'model_native', encoder: str | None = None,
                 band_names: Sequence[str] | None = None, value_range: Sequence | None = None,
                 **_: Any):
        super().__init__()
        if normalization not in ('model_native', 'bandspec_zscore'):
            raise CMIDError(f'normalization {normalization!r}: this model has model_native (as in '
                            'its pre-training) and bandspec_zscore (mean and std of the data set)')
        source = FeatureInferencer(config, checkpoint, encoder, device='cpu', show_progress=False)
        names = names_of_bands(source.meta, len(source.mean), source.name, band_names)
        self.num_channels = len(bands)
        self.positions = _positions(names, bands, source)
        chosen = [bands[position] for position in self.positions]
        mean, std, bounds = source.mean, source.std, None
        if normalization == 'bandspec_zscore':
            mean, std = (mean.new_tensor([getattr(band, name) for band in chosen])
                         for name in ('mean', 'std'))
        else:
            bounds = _bounds(chosen, source, value_range)
        self.model = ExportedModel(source.model, 'backbone', mean, std, bounds)
        self.map = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Scene vectors, float32 (B, C), of raw values (B, bands, H, W)."""
        vectors, *maps = self.model(images[:, self.positions].float())
        for features in maps:
            self.map(features)
        return vectors

    forward_patch_features = forward


def names_of_bands(meta: dict, number: int, source: str,
                   given: Sequence[str] | None = None) -> list[str]:
    """Names of a checkpoint's bands as torchgeo-bench has them.

    Raises:
        CMIDError: They are unknown, or not one for each band.
    """
    stated = meta.get('input') or {}
    # bands chosen from a file by their numbers can be any
    chosen = (meta.get('loading') or {}).get('band_indices')
    names = given or stated.get('band_names') or (_RGB if number == 3 and not chosen else ())
    if len(names) != number:
        raise CMIDError(f'{source} has {number} bands and {len(names)} names: give one for each '
                        'in its order, such as --band-names red green blue nir')
    # a code of another sensor is another band
    sensor = str(stated.get('sensor') or 'sentinel').lower()
    codes = given or 'sentinel' in sensor
    return [str(name).lower() if re.match(r'b\d', str(name).lower()) and not codes
            else _plain(name) for name in names]


def _plain(name: str) -> str:
    name = re.sub(r'^b(\d)$', r'b0\1', str(name).strip().lower())
    return _SAME.get(name, name)


def _positions(names: list[str], bands: Sequence, source: FeatureInferencer) -> list[int]:
    given = [_plain(band.name) for band in bands]
    missing = [name for name in names if name not in given]
    if missing:
        raise CMIDError(
            f'{source.name} was trained on {", ".join(names)}; of these the data set lacks '
            f'{", ".join(missing)}, it has {", ".join(given)}: load all its bands '
            '(dataset.bands=all, --bands all), or take a data set that has them')
    return [given.index(name) for name in names]


def _bounds(bands: list, source: FeatureInferencer, value_range: Sequence | None) -> list:
    """(low, high) of every band in the data set's units, which become 0 and 255."""
    loading = source.meta.get('loading')
    if not source.meta.get('mean') or not source.meta.get('std') or not (loading or value_range):
        raise CMIDError(
            f'{source.name} does not state its normalisation (mean, std and value_range): give a '
            'checkpoint of a pre-training or a backbone exported from it, or normalise by the '
            'data set (dataset.normalization=bandspec_zscore, --normalization bandspec_zscore)')
    is_8_bit = (all(0 <= band.min and band.max <= 255 for band in bands)
                and any(band.mean >= _GREY[0] for band in bands))
    # as LoadRSImage, also beside data sets that need a range
    value_range = (0, 255) if is_8_bit else value_range or loading.get('value_range') or (0, 255)
    bounds = LoadRSImage(len(bands), value_range=value_range).settings()['value_range']
    grey = [255 * (band.mean - low) / (high - low) for band, (low, high) in zip(bands, bounds)]
    if not any(_GREY[0] <= level <= _GREY[1] for level in grey):
        low, high = bounds[0]
        raise CMIDError(
            f'band {bands[0].name} has a mean of {bands[0].mean:g} in this data set, and '
            f'{low:g}..{high:g} of {source.name} becomes 0..255: give the range in the units of '
            'the data set (--value-range LOW HIGH), or --normalization bandspec_zscore')
    return bounds


# ------------------------------------------------------------------------------------ the run


def run_torchgeo_bench(config: str | Config, checkpoint: str, datasets: Sequence[str],
                       out: str, root: str = '.', name: str | None = None,
                       bands: str | None = None, normalization: str = 'model_native',
                       device: str | None = None, download: bool = False,
                       options: Sequence[str] = (), **settings: Any):
    """Probe a backbone with torchgeo-bench, after every data set was compared with it.

    Args:
        config, checkpoint: See ``CMIDBench``, and further arguments of it as ``settings``.
        datasets (Sequence[str]): Names of torchgeo-bench.
        out (str): CSV file to which rows are appended.
        root (str): Folder that has torchgeo-bench's folder ``data``. Defaults to '.'.
        name (str, optional): Of the rows. Defaults to None: the checkpoint's file name.
        bands (str, optional): Bands to load, ``'rgb'`` or ``'all'``. Defaults to None: 'rgb' where
            the checkpoint has these, otherwise 'all'.
        normalization (str): See ``CMIDBench``.
        device (str, optional): Defaults to None: a GPU where there is one.
        download (bool): Whether torchgeo-bench may download what is absent. Defaults to False.
        options (Sequence[str]): Settings of its own config, such as ``'eval.bootstrap=100'``.

    Returns:
        pandas.DataFrame: The new rows; with the option ``resume=true`` all of this name.

    Raises:
        MissingFileError: ``root`` does not exist.
        CMIDError: torchgeo-bench is not installed, a data set or setting is unknown, a data set
            does not suit the checkpoint (see ``CMIDBench``), or has no data.
    """
    if not Path(root).is_dir():
        raise MissingFileError(f'no such folder: {root}; give the one that holds data (--root)')
    try:
        from contextlib import chdir  # Python 3.11

        from hydra import compose, initialize_config_module
        from hydra.errors import HydraException
        from omegaconf import OmegaConf
        from torchgeo_bench.datasets import get_bench_dataset_class
        from torchgeo_bench.main import main
    except ImportError as error:
        raise CMIDError(f'{error.name} is not installed: pip install torchgeo-bench, which needs '
                        'Python 3.12 or later') from error
    file = read_backbone_file(checkpoint, settings.get('encoder'))
    name, out = name or Path(checkpoint).stem, Path(out).absolute()
    given = settings.get('band_names')
    number = file.meta.get('bands') or len(given or _RGB)
    names = names_of_bands(file.meta, number, str(file), given)
    bands = bands or ('rgb' if set(names) == set(_RGB) else 'all')
    with TemporaryDirectory() as folder:
        as_config(config).dump(path := f'{folder}/config.py')
        settings = dict(settings, config=path, checkpoint=str(Path(checkpoint).absolute()))
        for dataset in datasets:
            try:
                known = get_bench_dataset_class(dataset)()
                CMIDBench(known.select_band_specs(known.rgb_bands if bands == 'rgb' else None),
                          normalization=normalization, **settings)
            except (KeyError, CMIDError) as error:
                raise CMIDError(f'{dataset}: {error.args[0]}') from error
        try:
            with initialize_config_module('torchgeo_bench.conf', version_base=None):
                cfg = compose('config', [
                    f'dataset.names=[{",".join(datasets)}]', f'dataset.bands={bands}',
                    f'dataset.normalization={normalization}',
                    f'device={device or get_device()}', 'verbose=true', *options])
        except HydraException as error:
            raise CMIDError(f'--options: {str(error).splitlines()[0]}') from error
        OmegaConf.set_struct(cfg, False)
        cfg.output = str(out)
        cfg.model = dict(settings, name=name, eval=dict(segmentation=dict(layers=['map'])),
                         _target_=f'{__name__}.{CMIDBench.__name__}')
        if not download:
            os.environ.update(dict.fromkeys(_NO_DOWNLOAD, '1'))
        # rows are appended; a resumed run leaves out what the file has
        before = 0 if cfg.get('resume') else len(_rows_of(out))
        with chdir(root):
            main(cfg)
    return _new_rows(out, before, name, datasets, root)


def _new_rows(out: Path, before: int, name: str, datasets: Sequence[str], root: str):
    """Rows of this name after the first ``before`` rows; an error where a data set has none."""
    rows = _rows_of(out)[before:]
    rows = rows[rows.name == name]
    absent = [dataset for dataset in datasets if dataset not in set(rows.dataset)]
    if absent:
        raise CMIDError(f'no new row for {", ".join(absent)}: has it data in '
                        f'{Path(root) / "data"}? `torchgeo-bench download` there, or give the '
                        f'folder that holds it; {len(rows)} rows of others are in {out}')
    return rows


def _rows_of(path: Path):
    import pandas
    return pandas.read_csv(path) if path.is_file() else pandas.DataFrame(dict(name=[], dataset=[]))


def beside(rows, reference: str):
    """Rows of a reference file of torchgeo-bench with what was measured alike, best first.

    Args:
        rows (pandas.DataFrame): From :func:`run_torchgeo_bench`.
        reference (str): CSV file, such as ``results/all_results.csv`` of its repository.

    Returns:
        pandas.DataFrame: Both, with the columns of ``COLUMNS``.
    """
    import pandas
    same = ['dataset', 'method', 'metric_name', 'bands', 'image_size', 'partition']
    wanted = rows[same].drop_duplicates()
    found = pandas.concat([rows, pandas.read_csv(reference).merge(wanted, on=same)])
    return found.sort_values(['dataset', 'method', 'metric_value'],
                             ascending=[True, True, False])[COLUMNS]


#: What the tool prints of a row.
COLUMNS = ['dataset', 'method', 'metric_name', 'metric_value', 'ci_lower', 'ci_upper', 'name',
           'normalization', 'bands', 'image_size', 'n_test']
