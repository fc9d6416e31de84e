"""Boxes of a raster as GeoJSON (RFC 7946)."""
import json
from collections.abc import Sequence

import numpy as np

from ..checkpoints.files import atomic_write
from ..datasets.file_limits import ImageError
from ..datasets.georeference import Georeference, change_system, to_ground
from ..datasets.raster_file import RasterFile
from ..datasets.raster_paths import Window

# the only coordinates of GeoJSON: longitude and latitude on WGS 84
_LONGITUDE_LATITUDE = 'EPSG:4326'
_PIXELS = 'pixels, x to the right, y down: no coordinate system known'
_OWN = 'coordinates of the raster itself'


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


def coordinates_of(place: Georeference, height: int, width: int) -> str | None:
    """What the coordinates of a GeoJSON file are where they are not longitude and latitude.

    Args:
        place (Georeference): Georeference of a raster.
        height (int): Of the raster in pixels; ``width`` likewise.

    Returns:
        str | None: None where every corner of the raster has a longitude and a latitude.
    """
    if not place.gcps and place.transform.is_identity:
        return _PIXELS
    if place.crs is None:
        return f'{_OWN}: it names no system'
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], float)
    degrees = change_system(to_ground(corners, place), place.crs, _LONGITUDE_LATITUDE)
    if np.isfinite(degrees).all():
        return None
    return f'{_OWN}: its system has no longitude and latitude there ({place.crs.to_string()})'


def save_boxes(out: str, boxes: np.ndarray, labels: Sequence[str], scores: Sequence[float],
               place: Georeference, coordinates: str | None = None) -> None:
    """Write one polygon for each box, with ``label``, ``score`` and ``pixels``, its corners.

    A polygon across the antimeridian becomes two, as RFC 7946 requires.

    Args:
        out (str): File to write.
        boxes (ndarray): See :func:`box_corners`.
        labels (Sequence[str]): Class of each box.
        scores (Sequence[float]): Score of each box, from 0 to 1.
        place (Georeference): Georeference of the raster.
        coordinates (str, optional): Result of :func:`coordinates_of`; the file states it.
    """
    pixels = box_corners(boxes)
    collection = dict(type='FeatureCollection')
    rings = pixels
    if coordinates is not None:
        collection['coordinates'] = coordinates
    if coordinates != _PIXELS:
        points = to_ground(pixels.reshape(-1, 2), place)
        if coordinates is None:
            points = change_system(points, place.crs, _LONGITUDE_LATITUDE)
        rings = counterclockwise(points.reshape(pixels.shape))
    geometries = [_polygon(ring, split=coordinates is None) for ring in rings]
    collection['features'] = [
        dict(type='Feature', geometry=geometry,
             properties=dict(label=label, score=round(float(score), 4),
                             pixels=corners.round(2).tolist()))
        for geometry, corners, label, score in zip(geometries, pixels, labels, scores)
    ]
    with atomic_write(out) as path, path.open('w', encoding='utf-8') as file:
        json.dump(collection, file)


def footprints(windows: Sequence[Window], raster: RasterFile) -> list[dict]:
    """GeoJSON geometries of windows, in longitude and latitude.

    Raises:
        ImageError: The raster has no longitude and latitude.
    """
    place = raster.georeference
    if coordinates_of(place, raster.height, raster.width) is not None:
        raise ImageError(f'{raster.path} has no longitude and latitude, so its windows have no '
                         'footprints: give it a georeference (gdal_edit.py -a_srs ... -a_ullr ...)')
    boxes = np.array([(left, top, left + width, top + height)
                      for left, top, width, height in windows], float).reshape(-1, 4)
    pixels = box_corners(boxes)
    points = change_system(to_ground(pixels.reshape(-1, 2), place), place.crs,
                           _LONGITUDE_LATITUDE)
    return [_polygon(ring, split=True) for ring in counterclockwise(points.reshape(pixels.shape))]


def _polygon(ring: np.ndarray, split: bool) -> dict:
    """Geometry of a ring (4, 2), in degrees where it may have to be split."""
    parts = [ring]
    if split and np.ptp(ring[:, 0]) > 180:
        east = np.where(ring[:, :1] < 0, ring + (360, 0), ring)
        parts = [_cut(east, -1), _cut(east, 1) - (360, 0)]
        # the shift changes the sense in which the ring runs
        parts = [_counterclockwise(part) for part in parts]
    # 1e-7 degrees are a centimetre
    rings = [[np.concatenate([part, part[:1]]).round(7).tolist()] for part in parts]
    return (dict(type='Polygon', coordinates=rings[0]) if len(rings) == 1
            else dict(type='MultiPolygon', coordinates=rings))


def _cut(ring: np.ndarray, side: int) -> np.ndarray:
    """The part of a convex ring (N, 2) west (-1) or east (1) of the meridian 180."""
    kept = []
    for before, here in zip(np.roll(ring, 1, axis=0), ring):
        inside = side * (np.array([before[0], here[0]]) - 180)
        if inside[0] * inside[1] < 0:
            kept.append(before + (here - before) * inside[0] / (inside[0] - inside[1]))
        if inside[1] >= 0:
            kept.append(here)
    return np.array(kept)


def _counterclockwise(ring: np.ndarray) -> np.ndarray:
    return counterclockwise(ring[None])[0]


def counterclockwise(rings: np.ndarray) -> np.ndarray:
    """Reverse those rings (N, 4, 2) that run clockwise, as RFC 7946 requires."""
    x, y = rings[..., 0], rings[..., 1]
    area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(1)
    return np.where((area < 0)[:, None, None], rings[:, ::-1], rings)
