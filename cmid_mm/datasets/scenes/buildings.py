"""Buildings and storage tanks: footprints with roofs."""
import math

import numpy as np

from .materials import BARE, FIELD, GRASS, OBJECT_CLASSES, ROAD, WOOD
from .plan import on
from .stock import CORNERS, boxed

_BUILDING = OBJECT_CLASSES.index('building')
_TANK = OBJECT_CLASSES.index('storage_tank')
_LAND = on(BARE, GRASS, FIELD, WOOD)
PITCHED_ROOFS = ('tile', 'brown_tile', 'slate', 'bitumen', 'rust', 'gravel_roof')
FLAT_ROOFS = ('sheet', 'membrane', 'bitumen', 'gravel_roof', 'blue_sheet', 'green_sheet')
_CIRCLE = np.linspace(0, 2 * math.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], 1)


def frames(centres, lengths, widths, angles):
    """(N, 5) frames from points (N, 2) and numbers or (N,)."""
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    result = np.empty((len(centres), 5))
    result[:, :2] = centres
    result[:, 2], result[:, 3], result[:, 4] = lengths, widths, angles
    return result


def houses(plan, centres, lengths, widths, angles, heights=6.0, roofs=PITCHED_ROOFS,
           hipped=0.4):
    """Houses with pitched roofs, the ridge along the length.

    Args:
        plan (Plan): receives them.
        centres: (N, 2) metres.
        lengths, widths, angles: numbers or (N,), metres and radians.
        heights (float): metres.
        roofs (sequence[str]): materials to draw from.
        hipped (float): share of roofs that fall to all four sides.
    """
    dice = plan.dice
    rects = frames(centres, lengths, widths, angles)
    rects = rects[plan.near(rects[:, :2], rects[:, 2] + rects[:, 3])]
    count = len(rects)
    # the left face falls to angle - 90 degrees, as ``across`` points there
    turns = (-math.pi / 2, math.pi / 2, 0.0, math.pi)
    known, inks = {}, []
    for angle in (rects[:, 4] + plan.angle).tolist():
        key = dice.pick(roofs), dice.integer(0, 3), round(angle, 1)
        if key not in known:
            known[key] = [plan.inks(key[0], key[1], angle + turn) for turn in turns]
        inks.append(known[key])
    left, right, front, rear = [[faces[i] for faces in inks] for i in range(4)]
    ridge = np.where(dice.generator.random(count) < hipped,
                     np.maximum(1 - rects[:, 3] / rects[:, 2], 0.02), 1.0)
    faces = np.zeros((4, count, 4, 2))
    faces[0] = [(1, 1), (0, 0), (0, 0), (-1, 1)]
    faces[1] = [(1, -1), (0, 0), (0, 0), (-1, -1)]
    faces[2] = [(1, 1), (0, 0), (0, 0), (1, -1)]
    faces[3] = [(-1, 1), (0, 0), (0, 0), (-1, -1)]
    faces[:2, :, 1, 0], faces[:2, :, 2, 0] = ridge, -ridge
    faces[2, :, 1:3, 0], faces[3, :, 1:3, 0] = ridge[:, None], -ridge[:, None]
    plan.new_buildings.add(
        _BUILDING, rects, [CORNERS, faces[2], faces[3], faces[0], faces[1]],
        [left, front, rear, left, right], heights, _LAND)


def halls(plan, centres, lengths, widths, angles, heights=9.0, roofs=FLAT_ROOFS,
          ribs=None):
    """Large buildings with flat roofs, parapets, skylights and ducts.

    Args:
        ribs (int, optional): row channel for the ribs of sheet roofs.

    The other arguments are those of :func:`houses`.
    """
    dice = plan.dice
    rects = frames(centres, lengths, widths, angles)
    for frame in rects[plan.near(rects[:, :2], rects[:, 2] + rects[:, 3])]:
        _, _, length, width, _ = frame.tolist()
        ribbed = ribs is not None and dice.chance(0.6)
        ink = plan.inks(dice.pick(roofs), dice.integer(0, 3), row=ribs if ribbed else -1,
                        row_strength=0.09 if ribbed else 0.0)
        shapes, inks = [boxed(1, -1)], [ink]
        large = min(length, width) / plan.gsd > 9
        if large and dice.chance(0.6):
            rim = 1 - 1.2 / length
            shapes.append(boxed(rim, -rim, 1 - 1.2 / width))
            inks = [plan.inks('parapet'), ink]
        if large:
            for shape, detail in _details(plan, length, width):
                shapes.append(shape)
                inks.append(detail)
        plan.new_buildings.add(_BUILDING, frame[None], shapes, inks, heights,
                               _LAND | on(ROAD))


def _details(plan, length, width):
    """Skylights in a row, or ducts here and there."""
    dice = plan.dice
    if dice.chance(0.45):
        count = max(2, int(length / 9))
        reach = 0.06 if count > 4 else 0.15 / count
        ink = plan.inks('skylight')
        return [(boxed(-0.85 + 1.7 * i / (count - 1) + reach,
                       -0.85 + 1.7 * i / (count - 1) - reach, 0.7), ink)
                for i in range(count)]
    parts = []
    for _ in range(dice.integer(1, 7)):
        u, v = dice.uniform(-0.8, 0.8), dice.uniform(-0.8, 0.8)
        a, b = dice.uniform(1, 3) / length, dice.uniform(1, 3) / width
        parts.append(([(u + a, v + b), (u + a, v - b), (u - a, v - b), (u - a, v + b)],
                      plan.inks('duct' if dice.chance(0.7) else 'tank_rim')))
    return parts


def tanks(plan, centres, radii, heights=10.0):
    """Storage tanks: round, with a rim and a floating or domed roof.

    Args:
        centres: (N, 2) metres.
        radii (float): metres.
        heights (float): metres.
    """
    dice = plan.dice
    rounds = frames(centres, 2 * radii, 2 * radii, 0.0)
    rounds = rounds[plan.near(rounds[:, :2], radii)]
    shells, lids, rims = [], [], []
    for _ in range(len(rounds)):
        paint = 'tank' if dice.chance(0.7) else 'dull_tank'
        shells.append(plan.inks(paint, dice.integer(0, 2)))
        floating = dice.chance(0.5)
        lids.append(plan.inks('dull_tank', 3) if floating else plan.inks(paint, 2))
        rims.append(plan.inks('tank_rim') if floating else shells[-1])
    plan.new_buildings.add(_TANK, rounds, [_CIRCLE, _CIRCLE * 0.9, _CIRCLE * 0.82],
                           [shells, rims, lids], heights, _LAND | on(ROAD), upright=True)
