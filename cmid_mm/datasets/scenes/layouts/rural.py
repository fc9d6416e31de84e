"""Farmland, orchards and forests."""
import math

import numpy as np

from ..buildings import houses
from ..geometry import blob, grid, meander
from .common import copse, cut, road, scatter, single_trees
from .registry import layout

CROPS = ('crop', 'crop', 'sprout', 'ripe', 'stubble', 'plough', 'plough', 'blossom')


_SIDES = np.arange(4) / 4
_LOW, _FULL, _DOWN, _NONE = _SIDES, np.ones(4), 1 - _SIDES, np.zeros(4)
#: Outline of the unit square with four points to a side.
_OUTLINE = np.stack([np.concatenate([_LOW, _FULL, _DOWN, _NONE]),
                     np.concatenate([_NONE, _LOW, _FULL, _DOWN])], 1)


def add_crop_rows(plan):
    """Row channels along and across the parcels, and tramlines."""
    dice = plan.dice
    for turn in (0, math.pi / 2):
        plan.add_rows(turn + dice.around(0.05), dice.uniform(1.5, 6.0), floor=3.0,
                      kind=dice.pick(('wave', 'ridge')))
    plan.add_rows(dice.pick((0, math.pi / 2)), dice.uniform(16, 26), 'line', floor=11)


def crop_ink(plan, wide, crops=CROPS):
    """Ink of a field whose rows run along its longer side."""
    dice = plan.dice
    crop = dice.pick(crops)
    row = 2 if dice.chance(0.25) else int(not wide if dice.chance(0.85) else wide)
    strength = dice.pick((0.03, 0.06, 0.1, 0.16)) * (1.5 if crop == 'sprout' else 1.0)
    return plan.inks(crop, dice.integer(0, 4), row=row,
                     row_strength=0.05 if row == 2 else strength)


def bent(corners, bend, wavelength, phase):
    """Subdivide an outline and bend it, so that parcels follow the land."""
    x0, y0, x1, y1 = corners
    if not bend:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    outline = (x0, y0) + _OUTLINE * (x1 - x0, y1 - y0)
    return outline + bend * np.sin(outline[:, ::-1] * (2 * math.pi / wavelength) + phase)


@layout('farmland', gsd=(0.8, 2.4))
def farmland(plan):
    """Parcels with crops in rows, farm tracks, hedges, copses, a farm."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks(dice.pick(('grass', 'track', 'grass', 'scrub')))
    add_crop_rows(plan)
    smallest = plan.gsd * dice.log_uniform(22, 60)
    bend = dice.pick((0.0, 0.0, 0.02, 0.05)) * reach
    wavelength, phase = reach * dice.uniform(1.2, 2.4), dice.uniform(0, 6)
    margin = dice.uniform(0.8, 2.2) * plan.gsd
    crops = [dice.pick(CROPS) for _ in range(dice.integer(2, 6))]
    pivots = dice.chance(0.12)
    strips = dice.chance(0.2)
    reach *= 1.1
    low, high = (-reach, -reach), (reach, reach)
    farm = None
    for x0, y0, x1, y1 in cut(plan, low, high, smallest):
        pieces = [(x0, y0, x1, y1)]
        if strips and dice.chance(0.7):
            edges = np.linspace(y0, y1, max(2, round((y1 - y0) / (smallest * 0.35))))
            pieces = [(x0, a, x1, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        for a, b, c, d in pieces:
            ink = crop_ink(plan, c - a > d - b, crops)
            corners = (a + margin, b + margin, c - margin, d - margin)
            if pivots and min(c - a, d - b) > smallest:
                plan.fill(bent(corners, bend, wavelength, phase),
                          plan.inks(dice.pick(('soil', 'grass', 'stubble'))))
                middle = ((a + c) / 2, (b + d) / 2)
                plan.fill(blob(dice, middle, min(c - a, d - b) * 0.48, 0.0, 32), ink,
                          role='parcel')
            elif dice.chance(0.06):
                plan.fill(bent(corners, bend, wavelength, phase),
                          plan.inks(dice.pick(('leaf', 'needle', 'grass'))), role='wood')
            else:
                plan.fill(bent(corners, bend, wavelength, phase), ink, role='parcel')
        if dice.chance(0.22):
            hedge = grid(x0, x1, max(2, round((x1 - x0) / 7)), y0, y0, 1)
            keep = dice.generator.random(len(hedge)) < 0.8
            single_trees(plan, (hedge + dice.generator.normal(0, 1, hedge.shape))[keep],
                         (1.8, 3.8))
        farm = (x0, y0) if farm is None or dice.chance(0.3) else farm
    if dice.chance(0.55):
        line = meander(dice, reach, bend or 2.0, wavelength)
        road(plan, line + (0, farm[1] * 0.6), dice.uniform(4, 7), cars=dice.uniform(0, 1),
             surface=dice.pick(('asphalt', 'worn_asphalt', 'track')))
    if dice.chance(0.4):
        _farmstead(plan, np.array(farm) * 0.6)
    for _ in range(dice.integer(0, 3)):
        centre = dice.generator.uniform(-reach, reach, 2)
        copse(plan, centre, dice.uniform(8, 26) * plan.gsd)


def _farmstead(plan, centre):
    dice = plan.dice
    plan.fill(blob(dice, centre, 42), plan.inks(dice.pick(('gravel', 'grass', 'soil'))))
    places = centre + dice.generator.uniform(-32, 32, (6, 2))
    houses(plan, places, dice.generator.uniform(14, 34, 6),
           dice.generator.uniform(9, 14, 6),
           dice.generator.integers(0, 2, 6) * (math.pi / 2), 7.0,
           roofs=('tile', 'rust', 'slate', 'bitumen'), hipped=0.2)
    single_trees(plan, centre + dice.generator.uniform(-45, 45, (10, 2)))


@layout('orchard', gsd=(0.35, 0.9))
def orchard(plan):
    """Blocks of trees planted in a grid, between tracks."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks(dice.pick(('track', 'grass', 'soil')))
    plan.add_rows(0, 4.0, 'wave')
    block = max(reach * dice.uniform(0.7, 1.3), 28 * plan.gsd)
    species = dice.pick(('leaf', 'leaf', 'needle', 'young_wood'))
    floor = 10.5 * plan.gsd
    for x0, y0, x1, y1 in cut(plan, (-reach, -reach), (reach, reach), block):
        corners = bent((x0 + 2, y0 + 2, x1 - 2, y1 - 2), 0.0, 1.0, 0.0)
        ground = dice.pick(('soil', 'grass', 'lawn', 'plough', 'sprout', 'stubble'))
        plan.fill(corners, plan.inks(ground, dice.integer(0, 3), row=0, row_strength=0.04),
                  role='parcel')
        if dice.chance(0.08):
            continue
        along = max(floor, dice.uniform(3.5, 7.5))
        across = max(floor, along * dice.pick((1.0, 1.0, 1.3, 1.6)))
        trees = grid(x0 + 4, x1 - 4, max(2, int((x1 - x0 - 8) / along)),
                     y0 + 4, y1 - 4, max(2, int((y1 - y0 - 8) / across)))
        if dice.chance(0.25):
            trees[:, 0] += (np.rint((trees[:, 1] - y0) / across) % 2) * along / 2
        trees = trees[dice.generator.random(len(trees)) < dice.uniform(0.86, 1.0)]
        trees += dice.generator.normal(0, 0.04 * along, trees.shape)
        size = along * dice.uniform(0.3, 0.48)
        plan.plant(trees, dice.generator.uniform(0.85, 1.12, len(trees)) * size,
                   plan.inks(species, dice.integer(0, 3)), tallness=1.3)
    if dice.chance(0.4):
        road(plan, meander(dice, reach, 3.0, reach * 2, 12), 5.0,
             surface=dice.pick(('track', 'asphalt')), cars=0.7)
    if dice.chance(0.25):
        houses(plan, scatter(plan, 1.5), 16.0, 9.0, 0.0)


@layout('forest', gsd=(0.5, 1.6))
def forest(plan):
    """Closed canopy of mixed species with clearings, rides and ponds."""
    dice, reach = plan.dice, plan.reach
    main, other = dice.pick((('leaf', 'needle'), ('needle', 'leaf'), ('leaf', 'leaf'),
                             ('needle', 'needle'), ('leaf', 'young_wood')))
    plan.background = plan.inks(main, 0)
    plan.canopy_scale = dice.uniform(0.55, 1.35) / plan.gsd ** 0.6
    plan.region(plan.inks(other, 1), dice.uniform(-0.2, 1.2), dice.uniform(0.7, 1.6),
                'wood')
    plan.region(plan.inks('leaf', 2), dice.uniform(1.0, 2.0), dice.uniform(0.4, 1.0),
                'wood')
    for _ in range(dice.integer(0, 3)):
        centre = dice.generator.uniform(-reach, reach, 2)
        plan.fill(blob(dice, centre, reach * dice.uniform(0.08, 0.3), 0.3), plan.inks(
            dice.pick(('grass', 'scrub', 'soil', 'rock'))), role='clearing')
    if dice.chance(0.35):
        plan.region(plan.inks(dice.pick(('grass', 'scrub', 'rock'))),
                    dice.uniform(1.2, 1.9), dice.uniform(0.6, 1.4))
    if dice.chance(0.55):
        line = meander(dice, reach, reach * dice.uniform(0.02, 0.2), reach * 1.5)
        plan.line(line + (0, dice.around(reach * 0.3)), plan.inks(
            dice.pick(('track', 'gravel', 'grass'))), dice.uniform(3, 6), thinnest=2)
    if dice.chance(0.15):
        centre = dice.generator.uniform(-reach * 0.6, reach * 0.6, 2)
        pond = blob(dice, centre, reach * dice.uniform(0.1, 0.22))
        plan.fill(pond, plan.inks('river'), role='water')
    single_trees(plan, scatter(plan, dice.uniform(2, 20) / plan.gsd ** 0.5))
    if dice.chance(0.2):
        houses(plan, scatter(plan, 0.6), 12.0, 8.0, dice.uniform(0, 3))
