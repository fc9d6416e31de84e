"""Features of rasters of any size: dense ones as GeoTIFF, vectors of windows as polygons."""
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from torch import Tensor

from ..checkpoints.files import atomic_write, check_output
from ..datasets.file_limits import ImageError
from ..datasets.input_description import describe
from ..datasets.parallel_reading import spread_places, with_progress
from ..datasets.raster_file import RasterFile
from ..datasets.raster_opening import open_raster
from ..datasets.raster_paths import Window
from ..datasets.raster_windows import cover
from ..datasets.tiling import Span, cut_axis
from ..utils.errors import CMIDError
from .feature_inferencer import FeatureInferencer, scene_vectors
from .geojson import footprints
from .map_file import RowWriter, placed
from .raster_inferencer import log_resolution, open_for_model, read_window
from .tiles import Mosaic

# tiles from which components and the range of int8 are estimated
_SAMPLED_TILES = 32
_NODATA = dict(float16=float('nan'), int8=-128)
# a percentile on either side may be clipped by int8
_CLIPPED = 0.05


class Projection(NamedTuple):
    """Linear map of C channels to the bands of the file: ``(x - mean) @ matrix``."""
    mean: np.ndarray  # (C,) float32
    matrix: np.ndarray  # (C, bands) float32
    names: list[str]

    def __call__(self, maps: Tensor) -> Tensor:
        """(C, h, w) to (bands, h, w), float32."""
        flat = (maps.flatten(1).T - torch.from_numpy(self.mean)) @ torch.from_numpy(self.matrix)
        return flat.T.reshape(-1, *maps.shape[1:])


class FeatureRasters:
    """Writes features of rasters, tile by tile.

    Tiles begin at whole cells and overlap; in the overlap features fade from one tile into the
    next, as in ``predict_raster``. Two rows of tiles are in memory.

    Args:
        features (FeatureInferencer): Backbone and normalisation.
        tile (int, optional): Side of a tile in pixels, a multiple of the stride. Defaults to
            None: the size of the views in pre-training, at least 224.
        overlap (int, optional): Least overlap in pixels. Defaults to None: half a tile.
        batch_size (int): Tiles that pass the backbone together. Defaults to 4.

    Attributes:
        stride (int): Pixels of a cell along one axis.
        channels (int): Channels of a cell.

    Raises:
        CMIDError: The backbone has no map, or the tile is no multiple of its stride.
    """

    def __init__(self, features: FeatureInferencer, tile: int | None = None,
                 overlap: int | None = None, batch_size: int = 4):
        self.features, self.batch_size = features, batch_size
        self.loading = features.pipeline.transforms.transforms[0]
        self.tile = tile or max(features.image_size or 0, 224)
        bands = len(features.mean)
        maps = features.forward(features.normalise(
            [np.zeros((self.tile, self.tile, bands), np.uint8)]))
        if maps.ndim != 4:
            raise CMIDError('the backbone ends in vectors and has no map: VisionTransformer needs '
                            '--cfg-options model.backbone.out_type=featmap')
        _, self.channels, rows, columns = maps.shape
        self.stride = self.tile // columns
        if rows != columns or self.stride * columns != self.tile:
            raise CMIDError(f'tiles of {self.tile} px give {rows} x {columns} cells: choose a '
                            f'multiple of the stride, {-(-self.tile // columns)} px or near it')
        self.overlap = self.tile // 2 if overlap is None else overlap

    @contextmanager
    def open(self, path: str) -> Iterator[RasterFile]:
        """Context manager: a raster; differences from the pre-training are logged."""
        with open_for_model(path, self.loading) as file:
            log_resolution(file, self.features.meta.get('input'))
            yield file

    def write(self, path: str, out: str, dtype: str = 'float16',
              channels: Sequence[int] | None = None, components: int | None = None) -> dict:
        """Write the dense features of a raster: one pixel per cell, at its place on the ground.

        The file is tiled and compressed. Where no pixel of a cell has data, the features are
        missing (NaN, or -128 in int8).

        Args:
            path (str): The raster, or a name of :mod:`raster_paths`.
            out (str): GeoTIFF to write.
            dtype (str): 'float16', which readers return as float32, or 'int8' with scale and
                offset of each band in its metadata. Defaults to 'float16'.
            channels (Sequence[int], optional): Channels to write, from 0 on. Defaults to None:
                all.
            components (int, optional): Number of principal components to write in place of
                channels, estimated from at most 32 tiles that are spread over the raster.

        Returns:
            dict: ``raster``, ``features`` (the file), ``shape`` (bands, rows, columns), ``stride``
            and ``seconds``.

        Raises:
            ImageError: The raster cannot be read or does not fit the model.
            CMIDError: An argument is invalid.
        """
        started = time.perf_counter()
        check_output(out, path)
        if dtype not in _NODATA:
            raise CMIDError(f'dtype is one of {tuple(_NODATA)}, not {dtype!r}')
        if channels is not None and (components is not None or not channels
                                     or not 0 <= min(channels) <= max(channels) < self.channels):
            raise CMIDError(f'channels={channels}: give numbers from 0 to {self.channels - 1}, '
                            'or components')
        if components is not None and not 1 <= components <= self.channels:
            raise CMIDError(f'components={components}: give 1 to {self.channels}')
        with self.open(path) as file:
            rows, columns = self._spans(file)
            cells = tuple(-(-side // self.stride) for side in (file.height, file.width))
            samples = self._sample(file, rows, columns) if components or dtype == 'int8' else None
            project = self._projection(samples, channels, components)
            scales, offsets = None, None
            if dtype == 'int8':
                values = (samples - project.mean) @ project.matrix
                scales, offsets = _range_of_int8(values)
            profile = dict(driver='GTiff', count=len(project.names), height=cells[0],
                           width=cells[1], dtype='int8' if dtype == 'int8' else 'float32',
                           nodata=_NODATA[dtype], tiled=True, blockxsize=64, blockysize=64,
                           compress='deflate', predictor=2 if dtype == 'int8' else 1,
                           interleave='band', bigtiff='if_safer')
            if dtype == 'float16':
                profile['nbits'] = 16
            with atomic_write(out) as target:
                with rasterio.open(target, 'w', **profile,
                                   **placed(file, self.stride)) as target_file:
                    for band, name in enumerate(project.names, 1):
                        target_file.set_band_description(band, name)
                    if scales is not None:
                        target_file.scales, target_file.offsets = scales, offsets
                    target_file.update_tags(MODEL=self.features.name, STRIDE=self.stride,
                                            INPUT=describe(self.features.meta.get('input') or {}))
                    writer = RowWriter(target_file)
                    for part in self._rows(file, rows, columns, project):
                        writer.write(_encode(part, dtype, scales, offsets))
        return dict(raster=path, features=out, shape=[len(project.names), *cells],
                    stride=self.stride, seconds=time.perf_counter() - started)

    def vectors(self, path: str, side: int) -> tuple[np.ndarray, list[Window]]:
        """Scene vectors of the windows that cover a raster with a place on the ground.

        Args:
            path (str): The raster.
            side (int): Largest side of a window in pixels.

        Returns:
            tuple[ndarray, list[Window]]: float32 (N, C), and the windows; those without data are
            left out.
        """
        vectors, kept = [], []
        with self.open(path) as file:
            windows = [window for window, _ in cover(file.height, file.width, side)]
            # fails where there are no footprints, before time is spent
            footprints(windows[:1], file)
            for window in self._progress(windows):
                image, valid = read_window(file, self.loading, window)
                if valid.any():
                    maps = self.features.forward(self.features.normalise([image]))
                    vectors.append(scene_vectors(maps)[0].cpu().numpy())
                    kept.append(window)
        return np.array(vectors, np.float32).reshape(len(kept), self.channels), kept

    def _progress(self, items: Sequence) -> Iterator:
        return with_progress(items, len(items)) if self.features.show_progress else iter(items)

    def _spans(self, file: RasterFile) -> list[list[Span]]:
        """Tiles in units of cells, of rows and of columns; the last cells may be cut off."""
        if min(file.height, file.width) < self.stride:
            raise ImageError(f'{file.path} has {file.width} x {file.height} pixels, less than a '
                             f'cell of {self.stride}')
        tile, overlap = self.tile // self.stride, -(-self.overlap // self.stride)
        return [cut_axis(max(-(-length // self.stride), tile), tile, min(overlap, tile // 2))
                for length in (file.height, file.width)]

    def _tile(self, file: RasterFile, row: Span, column: Span) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of a tile, mirrored beyond the border of the raster, and which have data."""
        top, left = row.start * self.stride, column.start * self.stride
        image, valid = read_window(file, self.loading, Window(
            left, top, min(self.tile, file.width - left), min(self.tile, file.height - top)))
        missing = [(0, self.tile - side) for side in valid.shape]
        return (np.pad(image, (*missing, (0, 0)), mode='symmetric'),
                np.pad(valid, missing))

    def _maps(self, tiles: list[tuple]) -> Iterator[Tensor | None]:
        """float32 (C, h, w) on the CPU of each tile; None without data."""
        full = [image for image, valid in tiles if valid.any()]
        maps = (item for start in range(0, len(full), self.batch_size)
                for item in self.features.forward(self.features.normalise(
                    full[start:start + self.batch_size])).float().cpu())
        for _, valid in tiles:
            yield next(maps) if valid.any() else None

    def _cells_with_data(self, valid: np.ndarray) -> np.ndarray:
        cells = self.tile // self.stride
        return valid.reshape(cells, self.stride, cells, self.stride).any((1, 3))

    def _sample(self, file: RasterFile, rows: list[Span], columns: list[Span]) -> np.ndarray:
        """float32 (N, C), cells with data of some tiles that are spread over the raster."""
        places = spread_places(len(rows) * len(columns), _SAMPLED_TILES)
        samples = []
        for place in places:
            tile = self._tile(file, rows[place // len(columns)], columns[place % len(columns)])
            for maps in filter(lambda found: found is not None, self._maps([tile])):
                samples.append(maps.flatten(1).T.numpy()[self._cells_with_data(tile[1]).ravel()])
        if not samples:
            raise ImageError(f'{file.path} has no data where it was sampled ({len(places)} '
                             'tiles)')
        return np.concatenate(samples)

    def _projection(self, samples: np.ndarray | None, channels: Sequence[int] | None,
                    components: int | None) -> Projection:
        if components is None:
            channels = list(range(self.channels) if channels is None else channels)
            return Projection(np.zeros(self.channels, np.float32),
                              np.eye(self.channels, dtype=np.float32)[:, channels],
                              [f'channel {channel}' for channel in channels])
        mean = samples.mean(0, dtype=np.float64)
        centred = samples - mean
        variances, vectors = np.linalg.eigh(centred.T @ centred)
        vectors = vectors[:, ::-1][:, :components]
        # the entry of the largest magnitude is positive
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), range(components)])
        shares = variances[::-1][:components] / max(variances.sum(), 1e-30)
        return Projection(mean.astype(np.float32), vectors.astype(np.float32),
                          [f'component {number}, {share:.1%} of the variance'
                           for number, share in enumerate(shares, 1)])

    def _rows(self, file: RasterFile, rows: list[Span], columns: list[Span],
              project: Projection) -> Iterator[np.ndarray]:
        """float32 (bands, rows, width) from top to bottom; NaN where there is no data."""
        mosaic = Mosaic(columns, len(project.names))
        height, width = (-(-side // self.stride) for side in (file.height, file.width))
        for row in self._progress(rows):
            tiles = [self._tile(file, row, column) for column in columns]
            maps = (None if found is None else project(found) for found in self._maps(tiles))
            part = np.empty((len(project.names), row.settled - row.low, columns[-1].stop),
                            np.float32)
            for place, means in mosaic.join(row, maps):
                part[..., place] = means.numpy()
            masks = [self._cells_with_data(valid) for _, valid in tiles]
            valid = np.concatenate([
                mask[row.low - row.start:row.settled - row.start,
                     span.low - span.start:span.settled - span.start]
                for span, mask in zip(columns, masks)], axis=1)
            part[:, ~valid] = np.nan
            # a raster smaller than a tile has fewer cells
            yield part[:, :height - row.low, :width]


def _range_of_int8(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Scale and offset of every band of (N, bands) float32 for -127 to 127."""
    low, high = np.percentile(values, (_CLIPPED, 100 - _CLIPPED), axis=0)
    scales = np.where(high > low, (high - low) / 254, 1.)
    return scales.tolist(), ((low + high) / 2).tolist()


def _encode(part: np.ndarray, dtype: str, scales: list | None,
            offsets: list | None) -> np.ndarray:
    if dtype != 'int8':
        return part
    scaled = (part - np.reshape(offsets, (-1, 1, 1))) / np.reshape(scales, (-1, 1, 1))
    scaled = np.rint(scaled).clip(-127, 127)
    return np.where(np.isnan(part), _NODATA['int8'], scaled).astype(np.int8)


def save_vectors(found: Sequence[tuple[str, np.ndarray, list[Window]]], out: str) -> None:
    """Write vectors of windows of rasters with their footprints, longitude and latitude.

    Args:
        found (Sequence): For each raster its path, vectors float32 (N, C) and windows.
        out (str): ``*.parquet``, a GeoParquet file, or ``*.geojson``.

    Raises:
        CMIDError: geopandas is not installed, or a raster has no place on the ground.
    """
    rows = []
    for path, vectors, windows in found:
        with open_raster(path) as file:
            geometries = footprints(windows, file)
        rows += [dict(raster=path, window=list(window), vector=vector, geometry=geometry)
                 for window, vector, geometry in zip(windows, vectors, geometries)]
    if Path(out).suffix == '.parquet':
        try:
            import geopandas
            import pyarrow  # noqa: F401
            from shapely.geometry import shape
        except ImportError as error:
            raise CMIDError(f'{out} needs geopandas and pyarrow: pip install geopandas pyarrow, '
                            'or let the name end in .geojson') from error
        frame = geopandas.GeoDataFrame(
            [{**row, 'geometry': shape(row['geometry'])} for row in rows], crs='EPSG:4326')
        with atomic_write(out) as path:
            frame.to_parquet(path)
        return
    features = [dict(type='Feature', geometry=row['geometry'], properties=dict(
        raster=row['raster'], window=row['window'],
        vector=[float(f'{value:.6g}') for value in row['vector']])) for row in rows]
    with atomic_write(out) as path, path.open('w', encoding='utf-8') as file:
        json.dump(dict(type='FeatureCollection', features=features), file)
