"""Industry and housing."""
import math

import numpy as np

from ..buildings import halls, houses, tanks
from ..craft import cars, traffic
from ..geometry import beside, blob, grid, meander
from .common import clumps, copse, cut, drive, open_country, road, scatter, single_trees
from .registry import layout


@layout('industrial', gsd=(0.5, 1.2))
def industrial(plan):
    """Halls with flat roofs, yards, tank farms, goods tracks."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks(dice.pick(('worn_asphalt', 'concrete', 'gravel', 'grass')), 1)
    ribs = plan.add_rows(dice.pick((0, math.pi / 2)), dice.uniform(2, 5), 'ridge', floor=3)
    block = dice.uniform(48, 100)
    street = dice.uniform(10, 15)
    tank_share = dice.pick((0.0, 0.15, 0.4, 0.8))
    for x0, y0, x1, y1 in cut((-reach, -reach), (reach, reach), block, dice):
        x0, y0, x1, y1 = x0 + street / 2, y0 + street / 2, x1 - street / 2, y1 - street / 2
        yard = plan.inks(dice.pick(('concrete', 'asphalt', 'worn_asphalt', 'gravel', 'grass',
                                    'soil')), dice.integer(0, 2))
        plan.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], yard, role='yard')
        kind = dice.random()
        if kind < tank_share:
            _tank_farm(plan, x0, y0, x1, y1)
        elif kind < 0.9:
            _works(plan, x0, y0, x1, y1, ribs)
        else:
            copse(plan, ((x0 + x1) / 2, (y0 + y1) / 2), min(x1 - x0, y1 - y0) * 0.35)
        line = np.array([(x0 - street / 2, y0 - street / 2), (x1, y0 - street / 2)])
        road(plan, line, street * 0.62, variant=1, shoulder='worn_asphalt', cars=1.5)
        line = np.array([(x0 - street / 2, y0 - street / 2), (x0 - street / 2, y1)])
        road(plan, line, street * 0.62, variant=1, shoulder='worn_asphalt', cars=1.5)
    single_trees(plan, scatter(plan, dice.uniform(0, 8)), (1.8, 3.8))


def _works(plan, x0, y0, x1, y1, ribs):
    dice = plan.dice
    wide, tall = x1 - x0, y1 - y0
    pieces = cut((x0 + 3, y0 + 3), (x1 - 3, y1 - 3), min(wide, tall) * 0.42, dice)
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


def _blocks(plan, wide, deep, street, bend):
    """Streets in a grid that is bent a little; gives the plots on both sides."""
    dice, reach = plan.dice, plan.reach
    for y in np.arange(-reach - dice.uniform(0, deep), reach + deep, deep).tolist():
        line = meander(dice, reach * 1.1, bend, reach * 2.2, 18) + (0, y)
        yield line
    for x in np.arange(-reach - dice.uniform(0, wide), reach + wide, wide).tolist():
        line = np.array([(x, -reach * 1.1), (x, reach * 1.1)])
        road(plan, line, street, shoulder='concrete', cars=1.0)


@layout('dense_residential', gsd=(0.32, 0.75))
def dense_residential(plan):
    """Houses side by side along streets, with gardens, parked cars and pools."""
    dice, reach = plan.dice, plan.reach
    open_country(plan, ('lawn', 'grass', 'soil', 'lawn', 'gravel'))
    street = dice.uniform(6.5, 10)
    size = dice.uniform(9, 14)
    terraced = dice.chance(0.3)
    lot = size * (1.02 if terraced else dice.uniform(1.25, 1.6))
    deep = 2 * (size * dice.uniform(1.5, 2.1)) + street
    bend = dice.pick((0.0, 0.0, 2.0, 6.0))
    green = dice.log_uniform(10, 110)
    roofs = tuple(dice.pick(('tile', 'brown_tile', 'slate', 'bitumen', 'gravel_roof', 'sheet'))
                  for _ in range(dice.integer(1, 4)))
    rows = []
    for line in _blocks(plan, lot * dice.integer(5, 11), deep, street, bend):
        road(plan, line, street, shoulder='concrete')
        for side in (1, -1):
            drive(plan, beside(line, side * (street / 2 - 1.3)), dice.uniform(0.5, 4), side,
                  lorry_share=0.04)
            rows.append((beside(line, side * (street / 2 + size * 0.72 + 1)), side))
    for row, side in rows:
        x = np.arange(-reach, reach, lot)
        y = np.interp(x, row[:, 0], row[:, 1])
        keep = dice.generator.random(len(x)) < 0.95
        x, y = x[keep], y[keep]
        places = np.stack([x, y], 1)
        if not terraced:
            places = places + dice.generator.normal(0, 0.5, places.shape)
        wide = size * dice.generator.uniform(0.8, 1.1, len(x))
        depth = size * dice.generator.uniform(0.75, 1.0, len(x))
        if terraced:
            wide[:], depth[:] = lot, size * 0.9
        swap = (dice.generator.random(len(x)) < 0.35) & (not terraced)
        houses(plan, places, np.where(swap, depth, wide), np.where(swap, wide, depth) * 0.9,
               np.where(swap, math.pi / 2, 0.0), dice.uniform(5, 9), roofs, hipped=0.4)
        if not terraced:
            drives = places - np.stack([np.full(len(x), size * 0.55),
                                        np.full(len(x), side * size * 0.45)], 1)
            paved = dice.generator.random(len(x)) < 0.5
            toward = np.stack([np.zeros(len(x)), np.full(len(x), -side * size * 0.9)], 1)
            plan.lines(np.stack([drives, drives + toward], 1)[paved],
                       plan.inks('concrete', 1), 2.8)
            cars(plan, (drives + toward * 0.3)[paved & (dice.generator.random(len(x)) < .6)],
                 math.pi / 2)
        pools = places[dice.generator.random(len(x)) < 0.08] + (0, side * size * 0.95)
        for pool in pools:
            plan.fill(blob(dice, pool, 2.6, 0.1, 10), plan.inks('pool'))
    single_trees(plan, scatter(plan, green), (1.5, 3.6))


@layout('sparse_residential', gsd=(0.32, 0.8))
def sparse_residential(plan):
    """A few houses on large plots among lawns and trees."""
    dice, reach = plan.dice, plan.reach
    open_country(plan, ('lawn', 'grass', 'scrub', 'soil', 'grass'))
    if dice.chance(0.5):
        plan.region(plan.inks(dice.pick(('leaf', 'needle')), 1), dice.uniform(0.5, 1.4), 0.9,
                    'wood')
    line = meander(dice, reach * 1.1, reach * dice.uniform(0.02, 0.2),
                   reach * dice.uniform(1.2, 2.5), 30) + (0, dice.around(reach * 0.3))
    road(plan, line, dice.uniform(4.5, 7), surface=dice.pick(('asphalt', 'worn_asphalt',
                                                               'track')), cars=0.5)
    spacing = dice.uniform(36, 65)
    places = grid(-reach, reach, max(2, int(2 * reach / spacing)),
                  -reach, reach, max(2, int(2 * reach / spacing)))
    places = places[dice.generator.random(len(places)) < dice.uniform(0.4, 0.85)]
    places = places + dice.generator.normal(0, spacing * 0.16, places.shape)
    count = len(places)
    angles = dice.generator.integers(0, 4, count) * (math.pi / 2) + dice.around(0.3)
    wide = dice.generator.uniform(11, 18, count)
    houses(plan, places, wide, wide * dice.generator.uniform(0.6, 0.8, count), angles, 6.0)
    wing = np.stack([np.cos(angles), np.sin(angles)], 1) * (wide * 0.5 + 3.8)[:, None]
    some = dice.generator.random(count) < 0.45
    houses(plan, (places + wing)[some], 7.0, 5.5, angles[some] + math.pi / 2, 4.0)
    near = np.stack([np.interp(places[:, 0], line[:, 0], line[:, 0]),
                     np.interp(places[:, 0], line[:, 0], line[:, 1])], 1)
    drives = np.stack([places + wing * 0.9, near], 1)
    nearby = np.abs(places[:, 1] - near[:, 1]) < spacing
    plan.lines(drives[nearby], plan.inks(dice.pick(('concrete', 'gravel', 'track')), 1), 3.0)
    cars(plan, (drives[:, 0] * 0.7 + drives[:, 1] * 0.3)[nearby],
         np.arctan2(*(drives[:, 1] - drives[:, 0]).T[::-1])[nearby])
    for place in places[dice.generator.random(count) < 0.2]:
        plan.fill(blob(dice, place + dice.generator.normal(0, 11, 2), 4.0, 0.12, 12),
                  plan.inks('pool'))
    clumps(plan, dice.integer(3, 9), 9.0)
    single_trees(plan, scatter(plan, dice.uniform(12, 60)), (1.6, 5.0))
