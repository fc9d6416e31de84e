"""Boxes of a raster as GeoJSON (RFC 7946)."""
import json
from collections.abc import Sequence

import numpy as np
from rasterio.transform import from_gcps
from rasterio.warp import transform as change_coordinates

from ..checkpoints.files import atomic_write
from .raster_file import Georeference

# the only coordinates of GeoJSON: longitude and latitude on WGS 84
_LONGITUDE_LATITUDE = 'EPSG:4326'


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """Corners of boxes, in pixels.

    Args:
        boxes (ndarray): (N, 4) left, top, right, bottom; (N, 5) centre, width, height and
            angle in radians, clockwise in the displayed image; or (N, 8) corners.

    Returns:
        ndarray: (N, 4, 2) float64, x and y, clockwise in the displayed image.
    """
    boxes = np.asarray(boxes, float)
    if boxes.shape[1] == 8:
        return boxes.reshape(-1, 4, 2)
    if boxes.shape[1] == 4:
        left, top, right, bottom = boxes.T
        return np.stack([left, top, right, top, right, bottom, left, bottom],
                        axis=1).reshape(-1, 4, 2)
    x, y, width, height, angle = boxes.T
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * width[:, None] / 2
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * height[:, None] / 2
    centre = np.stack([x, y], axis=1)
    return np.stack([centre - along - across, centre + along - across,
                     centre + along + across, centre - along + across], axis=1)


def to_longitude_latitude(corners: np.ndarray, place: Georeference) -> np.ndarray:
    """Pixels to degrees on WGS 84.

    Args:
        corners (ndarray): (N, 4, 2), x and y in pixels.
        place (Georeference): Georeference of the raster, with ``crs``.
    """
    affine = from_gcps(place.gcps) if place.gcps else place.transform
    to_ground = np.reshape(affine, (3, 3))
    points = np.pad(corners.reshape(-1, 2), ((0, 0), (0, 1)), constant_values=1) @ to_ground.T
    degrees = change_coordinates(place.crs, _LONGITUDE_LATITUDE, points[:, 0], points[:, 1])
    return np.stack(degrees, axis=1).reshape(corners.shape)


def save_boxes(out: str, boxes: np.ndarray, labels: Sequence[str], scores: Sequence[float],
               place: Georeference) -> None:
    """Write one polygon for each box, with ``label``, ``score`` and ``pixels``, its corners.

    Without a coordinate system the polygons themselves are in pixels, x to the right and y
    down, and the file states it.

    Args:
        out (str): File to write.
        boxes (ndarray): See :func:`box_corners`.
        labels (Sequence[str]): Class of each box.
        scores (Sequence[float]): Score of each box, from 0 to 1.
        place (Georeference): Georeference of the raster.
    """
    pixels = box_corners(boxes)
    collection = dict(type='FeatureCollection')
    if place.crs is None:
        rings = pixels
        collection['coordinates'] = 'pixels, x to the right, y down: no coordinate system known'
    else:
        rings = counterclockwise(to_longitude_latitude(pixels, place))
    # 1e-7 degrees are a centimetre
    rings = np.concatenate([rings, rings[:, :1]], axis=1).round(7)
    collection['features'] = [
        dict(type='Feature',
             geometry=dict(type='Polygon', coordinates=[ring.tolist()]),
             properties=dict(label=label, score=round(float(score), 4),
                             pixels=corners.round(2).tolist()))
        for ring, corners, label, score in zip(rings, pixels, labels, scores)
    ]
    with atomic_write(out) as path, path.open('w', encoding='utf-8') as file:
        json.dump(collection, file)


def counterclockwise(rings: np.ndarray) -> np.ndarray:
    """Reverse those rings (N, 4, 2) that run clockwise, as RFC 7946 requires."""
    x, y = rings[..., 0], rings[..., 1]
    area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(1)
    return np.where((area < 0)[:, None, None], rings[:, ::-1], rings)
