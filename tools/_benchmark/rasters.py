"""Windows of large rasters as samples, beside the same windows cut to files before."""
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import rasterio
from mmengine.registry import DATASETS, DefaultScope
from rasterio.errors import NotGeoreferencedWarning

from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.packing import encode_tiff
from cmid_mm.datasets.raster_reading import every_band
from cmid_mm.utils.keyed_random import SampleIndex

from .timing import rates, take_turns

SIDE = 4096
WINDOW = 512
BANDS = 4
_WINDOWS_PER_TURN = 4
# metres of a pixel of each of the 13 bands of Sentinel-2
_RESOLUTIONS = (10, 10, 10, 10, 20, 20, 20, 20, 20, 20, 60, 60, 60)
#: Name of a form -> profile of rasterio; None for one file per band.
FORMS = {
    'GeoTIFF, tiles of 512 px, deflate': dict(
        driver='GTiff', tiled=True, blockxsize=512, blockysize=512, compress='deflate',
        interleave='pixel'),
    'GeoTIFF, tiles of 128 px, deflate': dict(
        driver='GTiff', tiled=True, blockxsize=128, blockysize=128, compress='deflate',
        interleave='pixel'),
    'GeoTIFF, strips, not compressed': dict(driver='GTiff', interleave='pixel'),
    'JPEG 2000, no loss': dict(driver='JP2OpenJPEG', quality=100, reversible='YES',
                               blockxsize=1024, blockysize=1024),
    '13 bands in 13 GeoTIFFs, 10 to 60 m': None,
}


def measure_windows(size: int, steps: int, warmup: int, tick: Callable[[], None]) -> dict:
    """Windows per second of one core, in turns with files.

    Args:
        size (int): Side of the two views that are cut from each window, in pixels.
        steps (int): Turns of four windows to measure.
        warmup (int): Turns before these.
        tick (Callable): Called after every turn.

    Returns:
        dict[str, dict]: By form of the raster: ``files`` and ``windows``, windows per second of
        processor time, a ``spread``; ``ratio`` of the second to the first.
    """
    found = {}
    with TemporaryDirectory() as folder:
        for number, (name, profile) in enumerate(FORMS.items()):
            root = Path(folder, str(number))
            settings = _write(root / 'raster', profile)
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                windows = DATASETS.build(_dataset(root / 'raster', size, settings,
                                                  window=WINDOW))
                _cut(windows, root / 'cut', profile)
                files = DATASETS.build(_dataset(root / 'cut', size,
                                                dict(settings, band_files=None)))
            calls = [partial(_take, files, count(), lambda: None),
                     partial(_take, windows, count(), tick)]
            take_turns(calls, warmup, time.process_time)
            times = take_turns(calls, steps, time.process_time)
            of_files = rates(times[0], _WINDOWS_PER_TURN)
            of_windows = rates(times[1], _WINDOWS_PER_TURN, times[0])
            found[name] = dict(files=of_files['images_per_second'],
                               windows=of_windows['images_per_second'],
                               ratio=of_windows['ratio'])
    return found


def _take(dataset, samples: Iterator[int], tick: Callable[[], None]) -> None:
    """Load the next samples of a data set, epoch after epoch."""
    for sample in islice(samples, _WINDOWS_PER_TURN):
        dataset[SampleIndex(sample % len(dataset), 0, sample // len(dataset))]
    tick()


def _dataset(root: Path, size: int, settings: dict, window: int | None = None) -> dict:
    load = dict(type='LoadRSImage', bands=settings['bands'], value_range=settings['range'])
    return dict(type='ImageFolder', data_root=str(root), window=window,
                band_files=settings['band_files'],
                pipeline=[load, dict(type='CMIDTwoViews', size=size), dict(type='PackViews')])


def _write(root: Path, profile: dict | None) -> dict:
    """Write a raster of one form; returns how it is read."""
    root.mkdir(parents=True)
    if profile is not None:
        ending = 'jp2' if profile['driver'].startswith('JP2') else 'tif'
        _save(root / f'scene.{ending}', _ground(SIDE, BANDS, np.uint8), profile)
        return dict(bands=BANDS, range=None, band_files=None)
    names = []
    for number, resolution in enumerate(_RESOLUTIONS, 1):
        names.append(f'B{number:02}')
        # one side is a whole number of pixels at each resolution
        side = SIDE // 6 * 6 * 10 // resolution
        _save(root / f'T31_{names[-1]}.tif', _ground(side, 1, np.uint16),
              dict(driver='GTiff', tiled=True, blockxsize=512, blockysize=512,
                   compress='deflate'))
    return dict(bands=len(names), range=(0, 65535), band_files=names)


def _save(path: Path, pixels: np.ndarray, profile: dict) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', height=len(pixels), width=pixels.shape[1],
                           count=pixels.shape[2], dtype=pixels.dtype, **profile) as file:
            file.write(pixels.transpose(2, 0, 1))


def _ground(side: int, bands: int, dtype) -> np.ndarray:
    """(side, side, bands): smooth areas with fine texture, which compress as photographs do."""
    rng = np.random.default_rng(0)
    levels = np.iinfo(dtype).max
    planes = []
    for _ in range(bands):
        coarse = rng.random((side // 32, side // 32), np.float32) * 0.6 + 0.2
        plane = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        plane += rng.normal(0, 0.01, plane.shape).astype(np.float32)
        planes.append((plane.clip(0, 1) * levels).astype(dtype))
    return np.stack(planes, 2)


def _cut(windows, root: Path, profile: dict | None) -> None:
    """Save every window, at its middle position, as a file of the same form."""
    root.mkdir()
    tiled = profile is None or profile.get('compress')
    for place in range(len(windows)):
        raster = read_image(windows.get_data_info(place)['img_path'], every_band)
        if profile is not None and profile['driver'].startswith('JP2'):
            _save(root / f'{place:05}.jp2', raster.pixels, profile)
        else:
            (root / f'{place:05}.tif').write_bytes(
                encode_tiff(raster, 'deflate' if tiled else None))
