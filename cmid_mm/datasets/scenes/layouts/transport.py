"""Highways, car parks and airports."""
import math

import numpy as np

from ..geometry import along, blob, meander, rectangle, shift
from ..materials import surface
from ..objects import halls, planes, traffic, vehicles
from .common import clumps, open_country, roads, trees, wood

_LANE = 3.6


def highway(plan):
    """A motorway, alone, with a road across, or with the loops of an interchange."""
    rng, reach = plan.rng, plan.reach
    open_country(plan)
    if plan.chance(0.4):
        wood(plan, rng.uniform(-reach, reach, 2), reach * rng.uniform(0.2, 0.5))
    clumps(plan, rng.integers(2, 7), 10.0)
    material = plan.pick('asphalt', 'worn_asphalt', 'concrete', 'asphalt')
    lanes, cars = rng.integers(2, 5), rng.uniform(0.05, 0.35)
    bend = reach * plan.pick(0.01, 0.04, 0.08)
    line = meander(rng, reach * 1.1, bend, reach * 3) + (0, rng.normal(0, reach * 0.1))
    crossing = meander(rng, reach * 1.1, bend * 0.4, reach * 3)[:, ::-1] + (
        rng.normal(0, reach * 0.15), 0)
    kind = rng.random()
    if kind < 0.4:
        radius = rng.uniform(26, 42)
        middle = crossing[20, 0], line[20, 1]
        away = radius + lanes * _LANE
        for sign in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            if plan.chance(0.8):
                loop = blob(rng, middle + np.multiply(sign, away), radius, 0.0, 40)
                loop = np.concatenate([loop, loop[:1]])
                plan.line(loop, 'gravel', 9.0)
                plan.line(loop, material, 6.5)
                traffic(plan, loop, (0.0, ), cars)
        _motorway(plan, crossing, max(2, lanes - 1), material, cars)
    elif kind < 0.7:
        roads(plan, [crossing], rng.uniform(7, 11), 0.2, 'concrete', material)
    _motorway(plan, line, lanes, material, cars)
    if plan.chance(0.5):
        roads(plan, [shift(line, plan.pick(1, -1) * (lanes * 7 + 16))], 6.5, 0.15)


def _motorway(plan, line, lanes, material, cars):
    """Two carriageways with a green median, lane markings and traffic."""
    wide = lanes * _LANE + 2.5
    centre = wide / 2 + 1.5
    plan.line(line, 'grass', 2 * wide + 9)
    plan.line(line, 'gravel', 2 * wide + 5)
    for side in (centre, -centre):
        carriageway = shift(line, side)
        plan.line(carriageway, material, wide)
        edge = wide / 2 - 0.9
        plan.line([shift(carriageway, edge), shift(carriageway, -edge)], 'marking', 0.25)
        for offset in (np.arange(1, lanes) - lanes / 2) * _LANE:
            plan.dashes(shift(carriageway, offset), 'marking')
        traffic(plan, line, side + (np.arange(lanes) - (lanes - 1) / 2) * _LANE, cars, 0.2)
    plan.line(line, 'scrub', 1.5)


def car_park(plan):
    """Rows of bays with cars, aisles, planted islands, a store."""
    rng, reach = plan.rng, plan.reach
    material = plan.pick('asphalt', 'worn_asphalt', 'concrete', 'asphalt')
    plan.background = plan.surface('grass', 'lawn', 'soil')
    limit = reach * rng.uniform(0.65, 1.1)
    plan.polygon(rectangle(-reach, -limit, limit, limit), material, 'yard')
    bay, depth, aisle = rng.uniform(2.5, 2.9), rng.uniform(4.9, 5.6), rng.uniform(5.5, 7.5)
    full, island = rng.uniform(0.35, 0.95), rng.integers(9, 20)
    edges = np.arange(-reach, limit - bay, bay)
    planted = np.arange(len(edges)) % island == 0 if plan.chance(0.7) else edges > np.inf
    for y in np.arange(rng.uniform(2, 8) - limit, limit - 2 * depth, 2 * depth + aisle):
        middle = y + depth
        bars = np.empty((len(edges) + 1, 2, 2))
        bars[:-1, :, 0], bars[:-1, :, 1] = edges[:, None], (y, y + 2 * depth)
        bars[-1] = (edges[0], middle), (edges[-1], middle)
        plan.line(bars, 'marking', 0.15)
        for row in (middle - depth / 2, middle + depth / 2):
            x = edges[~planted & (rng.random(len(edges)) < full)] + bay / 2
            places = rng.normal(np.stack([x, np.full(len(x), row)], 1), 0.12)
            vehicles(plan, places, math.pi * (0.5 + rng.integers(0, 2, len(x))), 0.0)
        trees(plan, [(x + bay / 2, middle) for x in edges[planted]], 1.6, 2.8)
        for x in edges[planted]:
            plan.polygon(rectangle(x, y, x + bay, y + 2 * depth), 'lawn')
        y = middle + depth + aisle / 2
        traffic(plan, np.array([(-reach, y), (limit, y)]), (1.5, -1.5), 0.1, 0.0)
    if plan.chance(0.4):
        roads(plan, [plan.across(-limit - 8.0)], 8.0, 0.3)
    if plan.chance(0.5):
        plan.polygon(rectangle(-reach, limit, reach, limit + 40), 'concrete', 'yard')
        halls(plan, [(-reach * 0.6, limit + 5, reach * rng.uniform(0.2, 0.7), limit + 34)])


def airport(plan):
    """An apron with parked planes and a terminal, a runway with taxiways, or both."""
    rng, reach = plan.rng, plan.reach
    open_country(plan, 'grass', 'lawn', 'soil', 'stubble')
    if plan.chance(0.5):
        edge = reach * rng.uniform(-0.1, 0.3)
        _apron(plan, edge)
        if plan.chance(0.6):
            _runway(plan, edge + rng.uniform(60, 100), edge)
    else:
        _runway(plan, rng.normal(0, reach * 0.15), None)


def _apron(plan, edge):
    """Concrete slabs up to y = ``edge``, planes in rows, a terminal."""
    rng, reach = plan.rng, plan.reach
    plan.polygon(rectangle(-reach, -reach, reach, edge), plan.pick('concrete', 'worn_asphalt'),
                 'yard')
    joints = np.arange(-reach, reach, rng.uniform(14, 24))
    plan.line([[(x, -reach), (x, edge)] for x in joints]
              + [plan.across(edge - y - reach) for y in joints], surface('worn_asphalt', 2), 0.2)
    taxiway = plan.across(edge - 16)
    plan.line(taxiway, 'yellow_line', 0.5)
    length = rng.uniform(26, 48)
    for row in range(2):
        stands, _ = along(taxiway, length * rng.uniform(1.05, 1.25), rng.uniform(0, length))
        stands = stands[rng.random(len(stands)) < 0.8] - (0, 18 + length * (0.5 + 1.3 * row))
        plan.line([[(x, y - length * 0.6), (x, y + length * 0.6)] for x, y in stands],
                  'yellow_line', 0.4)
        planes(plan, stands, length * rng.uniform(0.75, 1.0, len(stands)),
               math.pi / 2 * plan.pick(1, -1))
    front = edge - 30 - 2.6 * length
    halls(plan, [(-reach * rng.uniform(0.3, 1), front - 30, reach * rng.uniform(0.3, 1), front)])
    planes(plan, [(rng.normal(0, reach * 0.4), edge - 16)], length * 0.9, 0.0)


def _runway(plan, y, apron):
    """Runway along y with two taxiways, to an apron's edge or to a parallel taxiway."""
    rng, reach = plan.rng, plan.reach
    wide = rng.uniform(30, 45)
    stop = y - wide / 2 - rng.uniform(35, 60) if apron is None else apron
    taxiways = [] if apron is not None else [plan.across(stop)]
    for x in rng.uniform(-0.6, 0.6, 2) * reach:
        taxiways.append([(x, stop - 8), (x + plan.pick(0.0, 35.0, -35.0), y)])
    plan.line(taxiways, surface('concrete', 1), 20.0)
    plan.line(taxiways, 'yellow_line', 0.5)
    line = plan.across(y)
    plan.line(line, surface('worn_asphalt', 2), wide + 12)
    plan.line(line, surface(plan.pick('asphalt', 'worn_asphalt'), 1), wide)
    plan.line([shift(line, wide / 2 - 2), shift(line, 2 - wide / 2)], 'marking', 1.0)
    plan.dashes(line, 'marking', 0.9, 50.0, 30.0)
    x = rng.normal(0, reach * 0.3)
    plan.line([[(x, bar), (x + 30, bar)] for bar in y + wide * np.linspace(-0.4, 0.4, 10)],
              'marking', 1.8)
    planes(plan, [(rng.normal(0, reach * 0.3), plan.pick(y, stop))], rng.uniform(26, 44),
           plan.pick(0.0, math.pi))
