import json
import math

import numpy as np
import pytest
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from cmid_mm.apis.geojson import box_corners, coordinates_of, save_boxes
from cmid_mm.datasets.georeference import Georeference

MERCATOR = Georeference(CRS.from_epsg(3857), from_origin(1000., 2000., 10., 10.), [])


def degrees(x, y):
    """Longitude and latitude of Web Mercator: the formula of its definition."""
    radius = 6378137
    return (math.degrees(x / radius),
            math.degrees(2 * math.atan(math.exp(y / radius)) - math.pi / 2))


def write(tmp_path, place, boxes=((1, 2, 4, 8), )):
    save_boxes(tmp_path / 'boxes.json', np.array(boxes, float), ['ship'] * len(boxes),
               [0.87654] * len(boxes), place, coordinates_of(place, 50, 50))
    return json.loads((tmp_path / 'boxes.json').read_text())


def test_longitude_and_latitude(tmp_path):
    feature, = write(tmp_path, MERCATOR)['features']
    ring, = feature['geometry']['coordinates']
    assert ring[0] == ring[-1] and len(ring) == 5
    expected = {degrees(1000 + 10 * x, 2000 - 10 * y) for x in (1, 4) for y in (2, 8)}
    for corner in expected:
        assert any(np.allclose(corner, point, atol=1e-7) for point in ring)
    assert feature['properties'] == dict(
        label='ship', score=0.8765, pixels=[[1, 2], [4, 2], [4, 8], [1, 8]])


@pytest.mark.parametrize('step', [10., -10.])
def test_rings_run_counterclockwise(tmp_path, step):
    """Whichever way the rows of the raster run."""
    place = MERCATOR._replace(transform=from_origin(1000., 2000., 10., step))
    ring = np.array(write(tmp_path, place)['features'][0]['geometry']['coordinates'][0])
    x, y = ring.T
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0


def test_ground_control_points_give_the_place(tmp_path):
    points = [GroundControlPoint(row, column, 1000 + 10 * column, 2000 - 10 * row)
              for row, column in [(0, 0), (0, 50), (50, 0), (50, 50)]]
    place = Georeference(MERCATOR.crs, Affine.identity(), points)
    rings = [np.array(write(tmp_path, where)['features'][0]['geometry']['coordinates'])
             for where in (place, MERCATOR)]
    np.testing.assert_allclose(*rings, atol=2e-7)


def test_control_points_may_bend(tmp_path):
    """An affine fit to these points is up to 20 m off."""
    def ground(x, y):
        return 1000 + 10 * x + 0.1 * x**2, 2000 - 10 * y

    points = [GroundControlPoint(row, column, *ground(column, row))
              for row in (0, 25, 50) for column in range(0, 51, 5)]
    place = Georeference(MERCATOR.crs, Affine.identity(), points)
    feature, = write(tmp_path, place, [(10, 0, 35, 25)])['features']
    ring, = feature['geometry']['coordinates']
    for corner in ((10, 0), (35, 0), (35, 25), (10, 25)):
        expected = degrees(*ground(*corner))
        assert any(np.allclose(expected, point, atol=1e-7) for point in ring)


def test_without_a_coordinate_system_coordinates_are_pixels(tmp_path):
    content = write(tmp_path, Georeference(None, Affine.identity(), []))
    assert content['features'][0]['geometry']['coordinates'] == [
        [[1, 2], [4, 2], [4, 8], [1, 8], [1, 2]]]
    assert 'pixels' in content['coordinates']
    # a system without a place gives none either
    assert write(tmp_path, Georeference(MERCATOR.crs, Affine.identity(), [])) == content


SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')


@pytest.mark.parametrize('crs, reason', [
    (None, 'it names no system'), (SITE, 'no longitude and latitude there'),
    # a million times around the pole
    (CRS.from_epsg(32633), 'no longitude and latitude there')])
@pytest.mark.parametrize('points', [False, True])
def test_coordinates_of_the_raster_where_there_are_no_others(tmp_path, crs, reason, points):
    step = 1e12 if crs == CRS.from_epsg(32633) else 10
    place = Georeference(crs, from_origin(1000., 2000., step, step), [])
    if points:
        place = Georeference(crs, Affine.identity(), [
            GroundControlPoint(row, column, 1000 + step * column, 2000 - step * row)
            for row in (0, 50) for column in (0, 50)])
    content = write(tmp_path, place)
    assert reason in content['coordinates']
    ring, = content['features'][0]['geometry']['coordinates']
    x, y = 1000 + step * np.array([1, 4]), 2000 - step * np.array([2, 8])
    np.testing.assert_allclose(sorted(map(tuple, ring[:4])),
                               sorted((a, b) for a in x for b in y), rtol=1e-6)


def test_polygons_across_the_antimeridian_are_two(tmp_path):
    place = Georeference(CRS.from_epsg(3832), from_origin(3.3e6, 1e6, 1e4, 1e4), [])
    inside, across = write(tmp_path, place, [(1, 2, 3, 8), (1, 2, 19, 8)])['features']
    assert inside['geometry']['type'] == 'Polygon'
    geometry = across['geometry']
    assert geometry['type'] == 'MultiPolygon'
    (west, ), (east, ) = geometry['coordinates']
    for ring, sign in ((west, 1), (east, -1)):
        x, y = np.array(ring).T
        assert (sign * x >= 0).all() and np.abs(x).max() == 180 and ring[0] == ring[-1]
        assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0
    widths = [np.ptp(np.array(ring)[:, 0]) for ring in (west, east)]
    # 18 of the raster's pixels of 10 km on the equator
    assert sum(widths) == pytest.approx(18e4 / 6378137 * 180 / np.pi, rel=1e-6)


def test_corners_of_rotated_boxes():
    """Width along the angle, which turns clockwise in a displayed image."""
    right = box_corners(np.array([[10, 20, 6, 2, 0.]]))
    np.testing.assert_allclose(right[0], [[7, 19], [13, 19], [13, 21], [7, 21]])
    quarter = box_corners(np.array([[10, 20, 6, 2, math.pi / 2]]))
    np.testing.assert_allclose(quarter[0], [[11, 17], [11, 23], [9, 23], [9, 17]])
    slanted = box_corners(np.array([[0, 0, 2 * math.sqrt(2), 0, math.pi / 4]]))
    np.testing.assert_allclose(slanted[0][1], [1, 1])
    quads = np.arange(8.)[None]
    np.testing.assert_array_equal(box_corners(quads)[0], [[0, 1], [2, 3], [4, 5], [6, 7]])
