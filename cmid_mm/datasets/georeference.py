"""Where the pixels of a raster are on the ground."""
import math
from typing import NamedTuple

import numpy as np
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as change_coordinates

# metres of a degree of latitude
_DEGREE = 111_320


class Georeference(NamedTuple):
    """Georeference of a raster.

    Attributes:
        crs (rasterio.crs.CRS | None): System of ``transform``, or of ``gcps`` if there are any.
        transform (affine.Affine): From column and row to coordinates.
        gcps (list): Ground control points; empty where ``transform`` is used.
    """
    crs: object
    transform: object
    gcps: list

    @property
    def known(self) -> bool:
        """Whether the raster has any georeference."""
        return self.crs is not None or bool(self.gcps) or not self.transform.is_identity

    @property
    def matrix(self) -> np.ndarray:
        """float64 (3, 3), from homogeneous column and row to coordinates."""
        return np.reshape(self.transform, (3, 3)).astype(float)


def change_system(points: np.ndarray, source, target) -> np.ndarray:
    """Coordinates (N, 2) in another system; NaN or infinite where it has none for them."""
    try:
        return np.stack(change_coordinates(source, target, *points.T), axis=1)
    except Exception:  # GDAL's own errors, whose classes rasterio does not export
        return np.full(points.shape, np.nan)


def to_ground(points: np.ndarray, place: Georeference) -> np.ndarray:
    """Pixels (N, 2), x and y, to coordinates of the raster; control points are interpolated."""
    if place.gcps:
        with GCPTransformer(place.gcps, tps=True) as transformer:
            return np.stack(transformer.xy(points[:, 1], points[:, 0], offset='ul'), axis=1)
    return (np.pad(points, ((0, 0), (0, 1)), constant_values=1) @ place.matrix.T)[:, :2]


def corner_distance(ours: Georeference, theirs: Georeference, size: tuple,
                    their_size: tuple) -> float:
    """Largest distance of the corners of two rasters, in pixels of the first one.

    Args:
        ours (Georeference): Georeference of the first raster; ``theirs`` likewise.
        size (tuple[int, int]): Height and width of the first raster; ``their_size`` likewise.

    Returns:
        float: 0 where one of them has no georeference, or control points; NaN where their
        systems have nothing in common.
    """
    if not (ours.known and theirs.known) or ours.gcps or theirs.gcps:
        return 0.
    corners = [np.array([(0, 0, 1), (width, 0, 1), (0, height, 1)], float).T
               for height, width in (size, their_size)]
    ground = theirs.matrix @ corners[1]
    if ours.crs and theirs.crs and ours.crs != theirs.crs:
        # one system may be written in several ways
        ground[:2] = change_system(ground[:2].T, theirs.crs, ours.crs).T
    return np.abs(np.linalg.solve(ours.matrix, ground) - corners[0]).max()


def ground_sample_distance(place: Georeference, height: int, width: int) -> float | None:
    """Side of a pixel on the ground in metres, in the middle of a raster.

    It is the square root of the area of a pixel; a degree of latitude is taken as 111,320 m.

    Args:
        place (Georeference): Georeference of the raster.
        height (int): Of the raster in pixels; ``width`` likewise.

    Returns:
        float | None: None where the file does not tell it.
    """
    if place.crs is None or place.gcps or place.transform.is_identity:
        return None
    side = math.sqrt(abs(np.linalg.det(place.matrix)))
    if place.crs.is_geographic:
        latitude = to_ground(np.array([[width / 2, height / 2]]), place)[0, 1]
        return side * _DEGREE * math.sqrt(max(math.cos(math.radians(latitude)), 0.))
    try:
        return side * place.crs.linear_units_factor[1]
    except Exception:  # a system without units
        return None
