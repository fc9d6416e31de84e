"""Rivers, coasts and harbours."""
import math

import numpy as np

from ..buildings import halls, houses
from ..craft import ships, traffic
from ..geometry import along_line, beside, blob, meander, pairs, ribbon
from .common import copse, cut, open_country, road, scatter, single_trees
from .registry import layout
from .rural import add_crop_rows, crop_ink


@layout('river', gsd=(0.8, 2.4))
def river(plan):
    """A meandering river with bars, bushes and fields, sometimes a bridge."""
    dice, reach = plan.dice, plan.reach
    open_country(plan)
    if dice.chance(0.5):
        add_crop_rows(plan)
        for x0, y0, x1, y1 in cut(plan, (-reach, -reach), (reach, reach), reach * 0.4):
            plan.fill([(x0, y0), (x1 - 2, y0), (x1 - 2, y1 - 2), (x0, y1 - 2)],
                      crop_ink(plan, x1 - x0 > y1 - y0), role='parcel')
    elif dice.chance(0.6):
        plan.region(plan.inks(dice.pick(('leaf', 'needle')), 1), dice.uniform(-0.4, 0.8),
                    dice.uniform(0.7, 1.5), 'wood')
    wide = plan.gsd * dice.log_uniform(14, 62)
    wavelength = reach * dice.uniform(0.8, 2.0)
    line = meander(dice, reach * 1.1, wavelength * dice.uniform(0.06, 0.17), wavelength, 70)
    line[:, 1] += dice.around(reach * 0.15)
    turn = np.gradient(np.gradient(line[:, 1]))
    turn /= np.abs(turn).max() + 1e-9
    width = wide * (1 + 0.15 * np.sin(line[:, 0] / (wide * 2) + dice.uniform(0, 6)))
    plan.fill(ribbon(line, width * 1.25 + 4 * plan.gsd), plan.inks(
        dice.pick(('reed', 'scrub', 'grass', 'leaf'))))
    # inner banks carry the bars of sand
    bars = beside(line, turn * wide * 0.22)
    plan.fill(ribbon(bars, width * 1.02), plan.inks(dice.pick(('sand', 'mud', 'gravel'))))
    water = dice.pick(('river', 'silt', 'river'))
    plan.fill(ribbon(line, width * 0.94), plan.inks(water, 0), role='river')
    plan.fill(ribbon(beside(line, -turn * wide * 0.1), width * 0.5), plan.inks(water, 1))
    for _ in range(dice.integer(0, 3)):
        at = line[dice.integer(10, 60)]
        plan.fill(blob(dice, at, wide * dice.uniform(0.12, 0.24), 0.3),
                  plan.inks(dice.pick(('sand', 'scrub', 'gravel'))))
    for side in (0.62, -0.62):
        points, _ = along_line(beside(line, side * width), 6.0 * max(plan.gsd, 0.8))
        keep = dice.generator.random(len(points)) < dice.uniform(0.1, 0.8)
        bushes = points[keep] + dice.generator.normal(0, 2.5 * plan.gsd, (keep.sum(), 2))
        single_trees(plan, bushes, (1.8, 4.5))
    if dice.chance(0.35):
        across = meander(dice, reach, 3.0, reach * 2, 12)[:, ::-1]
        road(plan, across + (dice.around(reach * 0.3), 0), dice.uniform(6, 11),
             shoulder='concrete', cars=dice.uniform(0, 2))
    if dice.chance(0.3):
        copse(plan, dice.generator.uniform(-reach, reach, 2), reach * 0.25)
    if dice.chance(0.3):
        points, angles = along_line(line, 90.0, dice.uniform(10, 80))
        ships(plan, points, dice.uniform(14, 40), dice.uniform(4, 7), angles)


@layout('coast', gsd=(0.6, 2.0))
def coast(plan):
    """Sea, surf, beach or rocks, and the land behind."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks('sea', dice.integer(0, 3))
    plan.wave_scale = dice.uniform(0.8, 2.2)
    shore = meander(dice, reach * 1.1, reach * dice.uniform(0.03, 0.16),
                    reach * dice.uniform(0.9, 2.0), 60)
    shore[:, 1] += dice.around(reach * 0.22)
    far = np.array([[reach * 1.1, -reach * 1.5], [-reach * 1.1, -reach * 1.5]])

    def inland(distance, roughness=0.0):
        edge = shore + (0, -distance)
        edge[:, 1] += roughness * dice.generator.standard_normal(len(edge))
        return np.concatenate([edge, far])

    strip = reach * dice.uniform(0.03, 0.09)
    rocky = dice.chance(0.3)
    for depth in range(3):
        shift = meander(dice, reach, strip * 0.8, reach * 0.7, 60)[:, 1]
        edge = shore + pairs(0.0, strip * (5 - 1.6 * depth) + shift)
        plan.fill(np.concatenate([edge, far]), plan.inks('shoal', depth))
    for row in range(dice.integer(1, 5)):
        wiggle = meander(dice, reach, strip * 0.15, reach * 0.5, 60)[:, 1]
        surf = shore + pairs(0.0, strip * (0.3 + 0.8 * row) + wiggle)
        for start in range(0, 56, 9):
            if dice.chance(0.7):
                end = start + dice.integer(4, 12)
                half = strip * dice.uniform(0.02, 0.16) * np.sin(
                    np.linspace(0.1, math.pi - 0.1, len(surf[start:end])))
                plan.fill(ribbon(surf[start:end], 2 * half), plan.inks('foam'))
    if rocky:
        plan.fill(inland(0, strip * 0.4), plan.inks('rock', 0), role='shore')
        for point in shore[2:-2:3]:
            plan.fill(blob(dice, point + (0, strip * dice.uniform(-.2, .9)),
                           strip * dice.uniform(.08, .4), .4), plan.inks('rock', 1))
    else:
        plan.fill(inland(0, strip * 0.03), plan.inks('wet_sand'), role='shore')
        plan.fill(inland(strip * 0.7, strip * 0.05), plan.inks('sand', 0), role='shore')
    back = strip * dice.uniform(1.6, 4)
    cover = dice.pick(('scrub', 'grass', 'leaf', 'needle', 'soil'))
    plan.fill(inland(back, strip * 0.2), plan.inks(cover), role='wood')
    if dice.chance(0.55):
        plan.fill(inland(back + strip * 2.5, strip * 0.1), plan.inks(
            dice.pick(('leaf', 'needle', 'grass'))), role='wood')
    if dice.chance(0.45):
        promenade = shore + (0, -back - 8)
        road(plan, promenade, 7.0, cars=2.0)
        points, angles = along_line(promenade + (0, -22), 26.0)
        houses(plan, points, 14.0, 11.0, angles, 8.0)
    edge = shore[4:-4:2] + (0, -back * 1.3)
    single_trees(plan, edge + dice.generator.normal(0, strip * 0.5, edge.shape))
    if dice.chance(0.4):
        boats = scatter(plan, dice.uniform(0.3, 1.5))
        ships(plan, boats, dice.generator.uniform(8, 26, len(boats)), 3.5 + plan.gsd,
              dice.generator.uniform(0, 6, len(boats)))


@layout('harbour', gsd=(0.4, 1.0))
def harbour(plan):
    """A marina with boats along jetties, or quays with cargo ships and sheds."""
    dice, reach = plan.dice, plan.reach
    plan.background = plan.inks(dice.pick(('sea', 'river', 'silt', 'sea')), 0)
    plan.wave_scale = dice.uniform(0.5, 1.0)
    quay = dice.uniform(-0.35, 0.15) * reach
    plan.fill([(-reach, -reach), (reach, -reach), (reach, quay), (-reach, quay)],
              plan.inks(dice.pick(('concrete', 'worn_asphalt', 'asphalt')), 0))
    plan.line([(-reach, quay), (reach, quay)], plan.inks('concrete', 1), 3.0)
    if dice.chance(0.55):
        _marina(plan, quay)
    else:
        _cargo(plan, quay)
    line = np.array([(-reach, quay - 16.0), (reach, quay - 16.0)])
    road(plan, line, 7.0, shoulder='concrete', cars=2.5)
    depth = quay + reach - 30
    if depth > 24:
        sheds = cut(plan, (-reach, -reach), (reach, quay - 24), min(34.0, depth * 0.5))
        for x0, y0, x1, y1 in sheds:
            if dice.chance(0.68):
                halls(plan, [((x0 + x1) / 2, (y0 + y1) / 2)], (x1 - x0) * 0.72,
                      (y1 - y0) * 0.62, 0.0, dice.uniform(6, 12))
            else:
                places = dice.generator.uniform((x0, y0), (x1, y1), (8, 2))
                traffic(plan, places, dice.pick((0.0, math.pi / 2)), 0.5)


def _marina(plan, quay):
    dice, reach = plan.dice, plan.reach
    # boats of less than a dozen pixels are specks
    length = max(dice.uniform(8, 15), 16 * plan.gsd)
    gap = 2 * length + dice.uniform(9, 16)
    wood = plan.inks(dice.pick(('track', 'concrete', 'worn_asphalt')), 2)
    end = reach * dice.uniform(0.5, 1.1)
    for x in np.arange(-reach + dice.uniform(0, gap), reach, gap).tolist():
        plan.fill([(x - 1.2, quay), (x + 1.2, quay), (x + 1.2, end), (x - 1.2, end)], wood)
        berths = np.arange(quay + 4, end - 2, length * 0.45 + 0.4)
        for side in (1, -1):
            taken = berths[dice.generator.random(len(berths)) < dice.uniform(0.35, 0.95)]
            sizes = length * dice.generator.uniform(0.7, 1.05, len(taken))
            centres = pairs(x + side * (sizes / 2 + 1.6 + plan.gsd), taken)
            out = dice.generator.random(len(taken)) < 0.5
            ships(plan, centres, sizes, sizes * 0.3, np.where(out, 0.0, math.pi))
    if dice.chance(0.5):
        y = end + 14
        plan.fill([(-reach, y), (reach * 0.4, y), (reach * 0.4, y + 9), (-reach, y + 9)],
                  plan.inks('rock'))


def _cargo(plan, quay):
    dice, reach = plan.dice, plan.reach
    spacing = dice.uniform(60, 110)
    places = np.arange(-reach + dice.uniform(0, spacing), reach, spacing)
    lengths = dice.generator.uniform(0.6, 0.88, len(places)) * spacing
    widths = lengths * dice.uniform(0.16, 0.2)
    centres = pairs(places, quay + widths / 2 + 2.5 + plan.gsd)
    flip = dice.generator.random(len(places)) < 0.5
    ships(plan, centres, lengths, widths, np.where(flip, 0.0, math.pi), cargo=True)
    if dice.chance(0.6):
        x, half = dice.around(reach * 0.4), dice.uniform(9, 18)
        plan.fill([(x - half, quay), (x + half, quay), (x + half, reach),
                   (x - half, reach)], plan.inks('concrete', 2))
        sides = np.arange(quay + 45, reach, spacing)
        for side in (1, -1):
            beside_pier = pairs(x + side * (half + 10), sides)
            ships(plan, beside_pier, spacing * 0.75, 13.0, math.pi / 2, cargo=True)
    tugs = dice.generator.uniform((-reach, quay + 40), (reach, quay + 40 + reach), (6, 2))
    ships(plan, tugs, 16.0, 5.0, dice.generator.uniform(0, 6, 6))
