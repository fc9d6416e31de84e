"""Buildings and storage tanks: footprints with roofs."""
import math

import numpy as np

from .geometry import rectangles, within
from .materials import BARE, FIELD, GRASS, OBJECT_CLASSES, ROAD, WOOD
from .plan import on

_BUILDING = OBJECT_CLASSES.index('building')
_TANK = OBJECT_CLASSES.index('storage_tank')
_LAND = on(BARE, GRASS, FIELD, WOOD)
PITCHED_ROOFS = ('tile', 'brown_tile', 'slate', 'bitumen', 'rust', 'gravel_roof')
FLAT_ROOFS = ('sheet', 'membrane', 'bitumen', 'gravel_roof', 'blue_sheet', 'green_sheet')


def _arrays(count, *values):
    return [np.broadcast_to(np.asarray(v, np.float64), count) for v in values]


def houses(plan, centres, lengths, widths, angles, heights=6.0, roofs=PITCHED_ROOFS,
           hipped=0.4, layer=None):
    """Houses with pitched roofs, the ridge along the length.

    Args:
        plan (Plan): receives them.
        centres: (N, 2) metres.
        lengths, widths, angles, heights: numbers or (N,), metres and radians.
        roofs (sequence[str]): materials to draw from.
        hipped (float): share of roofs that fall to all four sides.
        layer (list, optional): where they go, default the plan's buildings.
    """
    dice = plan.dice
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    count = len(centres)
    if not count:
        return
    lengths, widths, angles, heights = _arrays(count, lengths, widths, angles, heights)
    rects = rectangles(centres, lengths, widths, angles)
    inks = []
    for angle in angles.tolist():
        roof, variant = dice.pick(roofs), dice.integer(0, 3)
        aspect = angle + plan.angle
        inks.append([plan.inks(roof, variant, aspect + turn * math.pi / 2)
                     for turn in (1, 3, 0, 2)])
    left, right, front, rear = ([row[i] for row in inks] for i in range(4))
    # ridge ends as a share of the half length; 1 is a gable, less a hip
    ridge = np.where(plan.dice.generator.random(count) < hipped,
                     np.maximum(1 - widths / lengths, 0.02), 1.0)
    middle = rects.mean(1)
    ahead = (rects[:, 0] + rects[:, 1]) * 0.5 - middle
    tip, tail = middle + ahead * ridge[:, None], middle - ahead * ridge[:, None]
    face = [np.stack(points, 1) for points in (
        (rects[:, 0], tip, tail, rects[:, 3]), (rects[:, 1], tip, tail, rects[:, 2]),
        (rects[:, 0], tip, rects[:, 1]), (rects[:, 3], tail, rects[:, 2]))]
    # corner 0 lies at across = +, whose outward direction is angle - 90 degrees
    parts = [(rects, left), (face[2], front), (face[3], rear), (face[0], right),
             (face[1], left)]
    plan.add(plan.buildings if layer is None else layer, _BUILDING, parts, rects,
             heights, _LAND)


def halls(plan, centres, lengths, widths, angles, heights=9.0, roofs=FLAT_ROOFS,
          ribs=None, allowed=_LAND | on(ROAD), details=True, layer=None):
    """Large buildings with flat roofs, parapets, skylights and ducts.

    Args:
        ribs (int, optional): row channel for the ribs of sheet roofs.
        allowed (int): bit mask of the ground they may stand on.
        details (bool): whether skylights and ducts are drawn.

    The other arguments are those of :func:`houses`.
    """
    dice = plan.dice
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    lengths, widths, angles, heights = _arrays(
        len(centres), lengths, widths, angles, heights)
    for centre, length, width, angle, height in zip(
            centres, lengths.tolist(), widths.tolist(), angles.tolist(),
            heights.tolist(), strict=True):
        rect = rectangles(centre, length, width, angle)
        roof = dice.pick(roofs)
        ribbed = ribs is not None and dice.chance(0.6)
        ink = plan.inks(roof, dice.integer(0, 3), row=ribs if ribbed else -1,
                        row_strength=0.09 if ribbed else 0.0)
        parts = [(rect, ink)]
        rim = 1 - 1.2 / max(length, 4), 1 - 1.2 / max(width, 4)
        if dice.chance(0.6) and min(length, width) / plan.gsd > 9:
            parts = [(rect, plan.inks('parapet')), (within(
                rect, np.array([1, 1, -1, -1]) * rim[0],
                np.array([1, -1, -1, 1]) * rim[1]), ink)]
        if details and min(length, width) / plan.gsd > 9:
            parts += _details(plan, rect, length, width)
        plan.add(plan.buildings if layer is None else layer, _BUILDING, parts, rect,
                 height, allowed)


def _details(plan, rect, length, width):
    """Skylights in a row, or ducts here and there."""
    dice = plan.dice
    parts = []
    if dice.chance(0.45):
        count = max(2, int(length / 9))
        spots = np.linspace(-0.85, 0.85, count)
        reach = 0.12 if count > 4 else 0.3 / count
        for u in spots.tolist():
            parts.append((within(rect, np.array([1, 1, -1, -1]) * reach / 2 + u,
                                 np.array([.7, -.7, -.7, .7])), plan.inks('skylight')))
    else:
        for _ in range(dice.integer(1, 7)):
            u, v = dice.uniform(-0.8, 0.8), dice.uniform(-0.8, 0.8)
            a, b = dice.uniform(1, 3) / length, dice.uniform(1, 3) / width
            ink = plan.inks('duct' if dice.chance(0.7) else 'tank_rim')
            parts.append((within(rect, np.array([a, a, -a, -a]) + u,
                                 np.array([b, -b, -b, b]) + v), ink))
    return parts


def tanks(plan, centres, radii, heights=10.0, layer=None):
    """Storage tanks: round, with a rim and a floating or domed roof.

    Args:
        centres: (N, 2) metres.
        radii, heights: numbers or (N,), metres.
    """
    dice = plan.dice
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    radii, heights = _arrays(len(centres), radii, heights)
    angle = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    shell = ring[None] * radii[:, None, None]
    inks, lids, quarters = [], [], []
    for _ in range(len(centres)):
        paint = 'tank' if dice.chance(0.7) else 'dull_tank'
        inks.append(plan.inks(paint, dice.integer(0, 2)))
        floating = dice.chance(0.5)
        lids.append(plan.inks('dull_tank', 3) if floating else plan.inks(paint, 2))
        quarters.append(plan.inks('tank_rim') if floating else inks[-1])
    middle = centres[:, None]
    square = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], np.float64)
    # the quadrilateral of a round thing stands upright in the image, so that it is the box
    upright = square * radii[:, None, None] / plan.gsd
    quads = plan.metres(plan.pixels(middle) + upright)
    parts = [(middle + shell, inks), (middle + shell * 0.9, quarters),
             (middle + shell * 0.82, lids)]
    plan.add(plan.buildings if layer is None else layer, _TANK, parts, quads, heights,
             _LAND | on(ROAD))


