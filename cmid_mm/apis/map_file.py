"""Maps of classes as GeoTIFFs that are written row by row."""
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from ..checkpoints.files import atomic_write
from ..datasets.raster_file import RasterFile

NODATA = 255
_BLOCK = 256


def placed(like: RasterFile, stride: int = 1) -> dict:
    """Georeference of a raster, for rasterio, of cells of ``stride`` x ``stride`` pixels."""
    place = like.georeference
    if place.gcps:
        # rasterio needs a system for control points, which may be empty
        points = [GroundControlPoint(point.row / stride, point.col / stride, point.x, point.y,
                                     point.z) for point in place.gcps]
        return dict(gcps=points, crs=place.crs or CRS())
    if place.known:
        return dict(transform=place.transform * Affine.scale(stride), crs=place.crs)
    return {}


class RowWriter:
    """Collects rows in their order and writes them in whole blocks of the file.

    A compressed block that is written in two parts would occupy its space in the file twice.

    Args:
        file (rasterio.io.DatasetWriter): Open for writing.
    """

    def __init__(self, file):
        self.file, self.block = file, file.block_shapes[0][0]
        self.done = 0
        self.pending = []

    def write(self, rows: np.ndarray) -> None:
        """Add (bands, rows, width) of the file's type."""
        self.pending.append(rows)
        ready = sum(part.shape[1] for part in self.pending)
        last = self.done + ready == self.file.height
        count = ready if last else ready // self.block * self.block
        if count:
            rows = np.concatenate(self.pending, axis=1)
            self.file.write(rows[:, :count],
                            window=Window(0, self.done, self.file.width, count))
            self.done += count
            self.pending = [rows[:, count:]]


@contextmanager
def write_map(out: str, like: RasterFile, names: list[str], palette: list,
              confidence: bool) -> Iterator[RowWriter]:
    """Context manager: a uint8 GeoTIFF in tiles, compressed, with overviews.

    The file gets its name when it is complete.

    Args:
        out (str): File to write.
        like (RasterFile): Raster of the same size and georeference.
        names (list[str]): Names of the classes, written as metadata.
        palette (list[tuple]): Colours (R, G, B), 0 to 255, of the classes.
        confidence (bool): Whether a second band holds probabilities; a file of two bands has
            no colours.
    """
    profile = dict(driver='GTiff', dtype='uint8', count=1 + confidence, width=like.width,
                   height=like.height, nodata=NODATA, compress='deflate', tiled=True,
                   blockxsize=_BLOCK, blockysize=_BLOCK, bigtiff='if_safer')
    with atomic_write(out) as path:
        # GDAL cannot derive the driver from the ending of the unfinished file
        with rasterio.open(path, 'w', **profile, **placed(like)) as file:
            file.set_band_description(1, 'class')
            if confidence:
                file.set_band_description(2, 'probability, %')
            else:
                file.write_colormap(1, dict(enumerate(map(tuple, palette))))
            file.update_tags(CLASSES=', '.join(names))
            yield RowWriter(file)
        factors = [2**power for power in range(1, 8)
                   if max(like.width, like.height) >> power >= _BLOCK]
        if factors:
            with rasterio.open(path, 'r+') as file:
                file.build_overviews(factors, Resampling.nearest)
