"""Industry and housing."""
import math

import numpy as np

from ..buildings import halls, houses, tanks
from ..craft import drive, traffic
from ..geometry import blob, grid, meander, pairs
from .common import clumps, copse, cut, open_country, road, scatter, single_trees
from .registry import layout

_YARDS = ('concrete', 'asphalt', 'worn_asphalt', 'gravel', 'grass', 'soil')


@layout('industrial', gsd=(0.45, 1.0))
def industrial(plan):
    """Halls with flat roofs, yards, tank farms, goods tracks."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks(
        dice.pick(('worn_asphalt', 'concrete', 'gravel', 'grass')), 1)
    ribs = plan.add_rows(dice.pick((0, math.pi / 2)), dice.uniform(2, 5), 'ridge', floor=3)
    block = dice.uniform(48, 100)
    street = dice.uniform(10, 15)
    streets = []
    tank_share = dice.pick((0.0, 0.15, 0.4, 0.8))
    for x0, y0, x1, y1 in cut(plan, (-reach, -reach), (reach, reach), block):
        corner = (x0, y0)
        x0, y0, x1, y1 = x0 + street / 2, y0 + street / 2, x1 - street / 2, y1 - street / 2
        yard = plan.inks(dice.pick(_YARDS), dice.integer(0, 2))
        plan.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], yard, role='yard')
        kind = dice.random()
        if kind < tank_share:
            _tank_farm(plan, x0, y0, x1, y1)
        elif kind < 0.9:
            _works(plan, x0, y0, x1, y1, ribs)
        else:
            copse(plan, ((x0 + x1) / 2, (y0 + y1) / 2), min(x1 - x0, y1 - y0) * 0.35)
        streets += [np.array([corner, (x1, corner[1])]),
                    np.array([corner, (corner[0], y1)])]
    plan.lines(streets, plan.inks('worn_asphalt'), street * 0.62 + 2.5)
    plan.lines(streets, plan.inks('asphalt', 1), street * 0.62, role='road', thinnest=2)
    for line in streets:
        plan.dashes(line, plan.inks('marking'), 9.0, 4.0)
        drive(plan, line, 1.5, [(street * 0.16, -1), (-street * 0.16, 1)], 0.3)
    single_trees(plan, scatter(plan, dice.uniform(0, 8)), (1.8, 3.8))


def _works(plan, x0, y0, x1, y1, ribs):
    dice = plan.dice
    wide, tall = x1 - x0, y1 - y0
    pieces = cut(plan, (x0 + 3, y0 + 3), (x1 - 3, y1 - 3), min(wide, tall) * 0.42)
    for a, b, c, d in pieces:
        if dice.chance(0.78):
            fill_x, fill_y = dice.uniform(0.6, 0.92), dice.uniform(0.6, 0.92)
            halls(plan, [((a + c) / 2, (b + d) / 2)], (c - a) * fill_x, (d - b) * fill_y,
                  0.0, dice.uniform(6, 14), ribs=ribs)
        else:
            _vehicles_in_rows(plan, a, b, c, d)


def _vehicles_in_rows(plan, x0, y0, x1, y1):
    dice = plan.dice
    gap = dice.pick((3.0, 4.5))
    columns = max(1, int((x1 - x0) / gap) - 2)
    places = grid(x0 + gap, x1 - gap, columns, y0 + 8, y1 - 8, max(1, int((y1 - y0) / 18)))
    keep = dice.generator.random(len(places)) < dice.uniform(0.2, 0.8)
    traffic(plan, places[keep], math.pi / 2, 0.5 if gap > 4 else 0.0)


def _tank_farm(plan, x0, y0, x1, y1):
    dice = plan.dice
    radius = dice.uniform(6, min(20.0, 0.3 * min(x1 - x0, y1 - y0)) + 1)
    step = radius * dice.uniform(2.5, 3.1)
    plan.fill([(x0 + 2, y0 + 2), (x1 - 2, y0 + 2), (x1 - 2, y1 - 2), (x0 + 2, y1 - 2)],
              plan.inks(dice.pick(('gravel', 'soil', 'concrete', 'grass')), 2))
    nx, ny = max(1, int((x1 - x0 - 4) / step)), max(1, int((y1 - y0 - 4) / step))
    places = grid(x0 + step / 2 + 2, x0 + step * (nx - 0.5) + 2, nx,
                  y0 + step / 2 + 2, y0 + step * (ny - 0.5) + 2, ny)
    walls = [[(x0 + 2 + i * step, y0 + 2), (x0 + 2 + i * step, y0 + 2 + ny * step)]
             for i in range(nx + 1)]
    plan.lines(walls, plan.inks('concrete', 2), 0.8)
    tanks(plan, places[dice.generator.random(len(places)) < 0.9], radius,
          radius * dice.uniform(0.7, 1.2))


def _streets(plan, deep, block, street, curve):
    """Parallel streets that follow a curve, and straight ones across them.

    Returns:
        numpy.ndarray: (R,) positions y of the parallel streets.
    """
    dice, reach = plan.dice, plan.reach
    ys = np.arange(-reach - dice.uniform(0, deep), reach + deep, deep)
    xs = np.arange(-reach - dice.uniform(0, block), reach + block, block)
    lines = [curve + (0, y) for y in ys.tolist()]
    lines += [np.array([(x, -reach * 1.1), (x, reach * 1.1)]) for x in xs.tolist()]
    plan.lines(lines, plan.inks('concrete'), street + 3.0)
    plan.lines(lines, plan.inks(dice.pick(('asphalt', 'worn_asphalt', 'asphalt'))), street,
               role='road', thinnest=2)
    parked = dice.uniform(0.5, 5.0)
    for line in lines:
        if street > 7:
            plan.dashes(line, plan.inks('marking'), 9.0, 3.0)
        drive(plan, line, parked, [(street / 2 - 1.3, -1), (1.3 - street / 2, 1)], 0.04)
    return ys


def _plots(plan, ys, curve, lot, aside):
    """Middles of the houses on both sides of the streets.

    Returns:
        tuple: points (N, 2), side of the street (N,) as 1 or -1, angles (N,).
    """
    dice, reach = plan.dice, plan.reach
    x = np.arange(-reach + dice.uniform(0, lot), reach, lot)
    before, bend, after = (np.interp(x + step, *curve.T) for step in (-1.0, 0.0, 1.0))
    side = np.array([1.0, -1.0])
    points = np.empty((len(ys), 2, len(x), 2))
    points[..., 0] = x
    points[..., 1] = bend + ys[:, None, None] + (side * aside)[None, :, None]
    sides = np.broadcast_to(side[None, :, None], points.shape[:-1])
    angles = np.broadcast_to(np.arctan((after - before) / 2), points.shape[:-1])
    keep = dice.generator.random(sides.size) < dice.uniform(0.85, 1.0)
    return points.reshape(-1, 2)[keep], sides.ravel()[keep], angles.ravel()[keep]


@layout('dense_residential', gsd=(0.3, 0.65))
def dense_residential(plan):
    """Houses side by side along streets, with gardens, parked cars and pools."""
    dice, random = plan.dice, plan.dice.generator
    open_country(plan, ('lawn', 'grass', 'soil', 'lawn', 'gravel'))
    street, size = dice.uniform(6, 9), max(dice.uniform(8.5, 13), 15 * plan.gsd)
    terraced = dice.chance(0.3)
    lot = size * (1.0 if terraced else dice.uniform(1.15, 1.45))
    deep = 2 * size * dice.uniform(1.4, 1.8) + street + 5
    curve = meander(dice, plan.reach * 1.2, dice.pick((0.0, 0.0, 3.0, 8.0)),
                    plan.reach * 2.2, 18)
    ys = _streets(plan, deep, lot * dice.integer(6, 13), street, curve)
    places, side, angles = _plots(plan, ys, curve, lot, street / 2 + size * 0.6 + 3.5)
    count = len(places)
    wide = size * random.uniform(0.85, 1.1, count)
    depth = size * random.uniform(0.7, 0.95, count)
    if terraced:
        wide[:], depth[:] = lot * 0.985, size * 0.85
    else:
        places = places + random.normal(0, 0.4, places.shape)
    swap = (random.random(count) < 0.3) & (not terraced)
    roofs = [dice.pick(('tile', 'brown_tile', 'slate', 'bitumen', 'gravel_roof', 'sheet'))
             for _ in range(dice.integer(1, 4))]
    if not terraced:
        _driveways(plan, places, side, size, lot)
    houses(plan, places, np.where(swap, depth, wide), np.where(swap, wide, depth) * 0.92,
           angles + swap * (math.pi / 2), dice.uniform(5, 9), roofs)
    back = places + pairs(0.0, side * size * 0.95)
    for pool in back[random.random(count) < 0.06]:
        plan.fill(blob(dice, pool, 2.6, 0.1, 10), plan.inks('pool'))
    sheds = back[random.random(count) < 0.25] + dice.around(2)
    houses(plan, sheds, 4.0, 3.2, 0.0, 2.5, roofs)
    single_trees(plan, scatter(plan, dice.log_uniform(10, 90)), (1.5, 3.4))


def _driveways(plan, places, side, size, lot):
    dice = plan.dice
    start = places - pairs(lot * 0.3, side * size * 0.52)
    toward = pairs(0.0, -side * (size * 0.1 + 4.0))
    paved = dice.generator.random(len(places)) < 0.5
    plan.lines(np.stack([start, start + toward], 1)[paved],
               plan.inks(dice.pick(('concrete', 'gravel', 'worn_asphalt')), 1), 2.8)
    parked = paved & (dice.generator.random(len(places)) < 0.6)
    traffic(plan, (start + toward * 0.5)[parked], math.pi / 2, 0.0)


@layout('sparse_residential', gsd=(0.32, 0.8))
def sparse_residential(plan):
    """A few houses on large plots among lawns and trees."""
    dice, reach = plan.dice, plan.reach
    open_country(plan, ('lawn', 'grass', 'scrub', 'soil', 'grass'))
    if dice.chance(0.5):
        plan.region(plan.inks(dice.pick(('leaf', 'needle')), 1), dice.uniform(0.5, 1.4),
                    0.9, 'wood')
    line = meander(dice, reach * 1.1, reach * dice.uniform(0.02, 0.2),
                   reach * dice.uniform(1.2, 2.5), 30) + (0, dice.around(reach * 0.3))
    road(plan, line, dice.uniform(4.5, 7), surface=dice.pick(('asphalt', 'worn_asphalt',
                                                               'track')), cars=0.5)
    spacing = dice.uniform(26, 46)
    side = int(2 * reach / spacing) + 1
    places = grid(-reach, reach, side, -reach, reach, side)
    places = places[dice.generator.random(len(places)) < dice.uniform(0.5, 0.9)]
    places = places + dice.generator.normal(0, spacing * 0.14, places.shape)
    count = len(places)
    angles = dice.generator.integers(0, 4, count) * (math.pi / 2) + dice.around(0.3)
    wide = dice.generator.uniform(10, 17, count)
    ahead = pairs(np.cos(angles), np.sin(angles))
    _paths(plan, places, line, spacing)
    houses(plan, places, wide, wide * dice.generator.uniform(0.6, 0.8, count), angles, 6.0)
    some = dice.generator.random(count) < 0.45
    wings = places + ahead * (wide * 0.5 + 3.4)[:, None]
    houses(plan, wings[some], 7.0, 5.5, angles[some] + math.pi / 2, 4.0)
    for place in places[dice.generator.random(count) < 0.2]:
        aside = 17 * np.array([math.cos(place[0]), math.sin(place[0])])
        plan.fill(blob(dice, place + aside, 4.0, 0.12, 12), plan.inks('pool'))
    clumps(plan, dice.integer(2, 6), 8.0)
    single_trees(plan, scatter(plan, dice.uniform(10, 45)), (1.6, 4.5))


def _paths(plan, places, line, spacing):
    """Drives from houses near a road to it, some with a car."""
    dice = plan.dice
    foot = pairs(places[:, 0], np.interp(places[:, 0], line[:, 0], line[:, 1]))
    away = foot[:, 1] - places[:, 1]
    near = (np.abs(away) < spacing) & (np.abs(away) > 14)
    doors = places + pairs(2.0, np.sign(away) * 9)
    doors, foot = doors[near], foot[near]
    plan.lines(np.stack([doors, foot], 1),
               plan.inks(dice.pick(('concrete', 'gravel', 'track')), 1), 3.0)
    parked = dice.generator.random(len(doors)) < 0.7
    traffic(plan, (doors * 0.7 + foot * 0.3)[parked], math.pi / 2, 0.0)
