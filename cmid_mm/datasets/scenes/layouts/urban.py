"""Industry and housing."""
import math

import numpy as np

from ..geometry import along, blob, grid, meander, rectangle
from ..objects import halls, houses, tanks, vehicles
from .common import clumps, open_country, roads, trees

_YARDS = ('concrete', 'asphalt', 'worn_asphalt', 'gravel', 'grass')


def industrial(plan):
    """Blocks between streets: halls with flat roofs, yards with lorries, tank farms."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('worn_asphalt', 'concrete', 'gravel')
    street, tank_share = rng.uniform(9, 13), plan.pick(0.0, 0.2, 0.6)
    plan.row_period = max(rng.uniform(2, 4) / plan.gsd, 3.0)
    xs, ys = (np.cumsum([-reach - rng.uniform(0, 60), *rng.uniform(50, 90, int(reach / 30) + 2)])
              for _ in range(2))
    roads(plan, [plan.across(x)[:, ::-1] for x in xs] + [plan.across(y) for y in ys], street, 0.2)
    street, roofs = street / 2 + 2, []
    for x0, x1 in zip(xs[:-1] + street, xs[1:] - street, strict=True):
        for y0, y1 in zip(ys[:-1] + street, ys[1:] - street, strict=True):
            if not plan.near([((x0 + x1) / 2, (y0 + y1) / 2)], 60)[0]:
                continue
            plan.polygon(rectangle(x0, y0, x1, y1), plan.surface(*_YARDS), 'yard')
            if plan.chance(tank_share):
                radius = rng.uniform(6, 12)
                tanks(plan, grid(x0 + radius, y0 + radius, x1 - radius, y1 - radius,
                                 2.7 * radius), radius)
                continue
            for a, b, c, d in plan.subdivide(x0, y0, x1, y1, rng.uniform(20, 34)):
                if plan.chance(0.8):
                    roofs.append((a + 2, b + 2, c - rng.uniform(2, 7), d - rng.uniform(2, 7)))
                else:
                    places = grid(a + 2, b + 5, c - 2, d - 5, (4, 14))
                    vehicles(plan, places[rng.random(len(places)) < rng.uniform(0.3, 0.9)],
                             math.pi / 2, 0.5)
    halls(plan, roofs)
    trees(plan, plan.scatter(rng.uniform(0, 8)), 1.8, 3.6)


def dense_residential(plan):
    """Houses side by side along streets, with gardens, driveways and parked cars."""
    rng, reach = plan.rng, plan.reach
    open_country(plan, 'lawn', 'grass', 'soil', 'lawn')
    street, size = rng.uniform(6, 8), max(rng.uniform(9, 12), 16 * plan.gsd)
    lot, deep = size * rng.uniform(1.35, 1.55), size * rng.uniform(2.9, 3.5) + street + 5
    curve = meander(rng, reach * 1.1, plan.pick(0.0, 0.0, 3.0, 6.0), reach * 2)
    rows = np.arange(-reach - rng.uniform(0, deep), reach + deep, deep)
    across = np.arange(-reach - rng.uniform(0, 10 * lot), reach, lot * rng.integers(6, 12))
    roads(plan, [plan.across(x)[:, ::-1] for x in across]
          + [curve + (0, y) for y in rows], street, rng.uniform(0.05, 0.4), 'concrete')
    # Kerbs of all lots: one for each row, side of the street and place along the curve.
    points, headings = along(curve, lot, rng.uniform(0, lot))
    row, side, place = (grid.ravel() for grid in np.meshgrid(rows, (1, -1), np.arange(len(points))))
    headings = headings[place]
    away = np.array((-np.sin(headings) * side, np.cos(headings) * side)).T
    kerbs = points[place] + away * (street / 2) + np.array((0 * row, row)).T
    kept = plan.near(kerbs, 2 * size) & (rng.random(len(kerbs)) < 0.93)
    kerbs, headings, away = kerbs[kept], headings[kept], away[kept]
    paved = rng.random(len(kerbs)) < 0.6
    doors = kerbs[paved] + np.array((np.cos(headings), np.sin(headings))).T[paved] * (lot / 2)
    plan.line(np.stack((doors, doors + away[paved] * (size * 0.7)), 1),
              plan.surface('concrete', 'gravel', 'worn_asphalt'), 2.4)
    vehicles(plan, (doors + away[paved] * 3.6)[::2], headings[paved][::2] + math.pi / 2, 0.0)
    houses(plan, kerbs + away * (size * 0.6 + 3.5), size * rng.uniform(0.85, 1.08, len(kerbs)),
           size * rng.uniform(0.66, 0.84), headings,
           [plan.pick('tile', 'brown_tile', 'slate', 'bitumen', 'grey_sheet') for _ in range(2)])
    gardens = kerbs + away * (size * 1.5 + 3.5)
    for pool in gardens[rng.random(len(gardens)) < 0.08]:
        plan.polygon(blob(rng, pool, 2.4, 0.1, 10), 'pool')
    trees(plan, rng.normal(gardens, 2.0)[rng.random(len(gardens)) < 0.6], 1.5, 3.2)


def sparse_residential(plan):
    """A few houses with drives to a winding road, lawns and many trees."""
    rng, reach = plan.rng, plan.reach
    open_country(plan, 'lawn', 'grass', 'scrub', 'lawn')
    if plan.chance(0.6):
        plan.region(plan.surface('leaf', 'needle'), rng.uniform(0.6, 1.3), 0.6, 'wood')
    line = meander(rng, reach * 1.1, reach * rng.uniform(0.03, 0.12), reach * 2)
    line[:, 1] += rng.normal(0, reach * 0.2)
    spacing = rng.uniform(26, 40)
    places = grid(-reach, -reach, reach, reach, spacing)
    places = rng.normal(places[rng.random(len(places)) < rng.uniform(0.55, 0.9)], spacing * 0.12)
    count = len(places)
    foot = np.interp(places[:, 0], line[:, 0], line[:, 1])
    away = np.abs(places[:, 1] - foot)
    near = (away < 1.3 * spacing) & (away > 14)
    drives = np.stack([places, np.stack([places[:, 0], foot], 1)], 1)[near]
    plan.line(drives, plan.surface('concrete', 'gravel', 'track'), 3.2)
    roads(plan, [line], rng.uniform(4.5, 6.5), 0.1,
          material=plan.pick('asphalt', 'worn_asphalt', 'track'))
    parked = drives[rng.random(len(drives)) < 0.6]
    vehicles(plan, parked[:, 0] * 0.5 + parked[:, 1] * 0.5, math.pi / 2, 0.0)
    wide = rng.uniform(11, 17, count)
    headings = rng.integers(0, 2, count) * (math.pi / 2) + rng.normal(0, 0.15, count)
    houses(plan, places, wide, wide * 0.68, headings, ('tile', 'brown_tile', 'slate', 'bitumen'))
    for pool in places[rng.random(count) < 0.2] + (12, 9):
        plan.polygon(blob(rng, pool, 3.6, 0.12, 12), 'pool')
    clumps(plan, rng.integers(3, 8), 7.0)
    trees(plan, plan.scatter(rng.uniform(15, 50)))
