"""Labelled objects: buildings, storage tanks, vehicles, ships and planes.

Centres are (N, 2) in metres; lengths, widths and headings are numbers or (N,), in metres and
radians.
"""
import math

import numpy as np

from .geometry import along
from .materials import OBJECT_CLASSES, is_any_of, surface
from .plan import OPEN_LAND, frames

_VEHICLE, _SHIP, _PLANE, _TANK, _BUILDING = range(len(OBJECT_CLASSES))
_PAVED = is_any_of('bare', 'road')
_FLAT_ROOFS = ('sheet', 'membrane', 'gravel_roof', 'blue_sheet', 'green_sheet', 'rust')
_PAINTS = ('white', 'white', 'silver', 'grey', 'black', 'red', 'blue')
_CIRCLE = np.array([(math.cos(t), math.sin(t)) for t in np.arange(24) * math.pi / 12])
#: Values of a roof's aspect: 0 is flat, 1 to 16 are directions in the image.
ASPECTS = 16


def _box(front, rear, half=1.0):
    return [(front, half), (front, -half), (rear, -half), (rear, half)]


def houses(plan, centres, lengths, widths, headings, roofs=('tile', 'brown_tile', 'slate')):
    """Houses with gabled or hipped roofs of some materials, the ridge along the length."""
    boxes = frames(centres, lengths, widths, headings)
    boxes = boxes[plan.near(boxes[:, :2])]
    count = len(boxes)
    tiles = plan.surfaces(count, *roofs)
    hipped = plan.rng.random(count) < 0.5
    ridge = np.where(hipped, np.maximum(1 - boxes[:, 3] / boxes[:, 2], 0), 1.0)[:, None]
    peak, back = (np.stack([end, 0 * end], -1) for end in (ridge, -ridge))
    corner = [np.tile(point, (count, 1, 1)) for point in _box(1.0, -1.0)]
    faces = []
    # Faces of the left, right, front and rear; their aspects are headings in the image.
    for turn, points in (
            (-math.pi / 2, (corner[0], peak, back, corner[3])),
            (math.pi / 2, (corner[1], peak, back, corner[2])),
            (0.0, (corner[0], peak, corner[1])), (math.pi, (corner[3], back, corner[2]))):
        aspect = (boxes[:, 4] + plan.angle + turn) * (ASPECTS / (2 * math.pi))
        faces.append((np.concatenate(points, 1),
                      tiles + 256 * (np.rint(aspect).astype(int) % ASPECTS + 1)))
    plan.place(_BUILDING, boxes, faces, OPEN_LAND)


def halls(plan, rectangles):
    """Large buildings (N, 4) x0, y0, x1, y1 with flat roofs, parapets, skylights or ducts."""
    x0, y0, x1, y1 = np.reshape(rectangles, (-1, 4)).T
    boxes = frames(np.array((x0 + x1, y0 + y1)).T / 2, x1 - x0, y1 - y0, 0.0)
    boxes = boxes[plan.near(boxes[:, :2])]
    count, metre = len(boxes), 2 / boxes[:, None, 2:4]
    roofs = plan.surfaces(count, *_FLAT_ROOFS)
    rims = np.where(plan.rng.random(count) < 0.4, surface('parapet'), roofs)
    parts = [(_box(1, -1), rims), (np.array(_box(1, -1)) * (1 - 0.7 * metre), roofs)]
    skylights = plan.rng.random(count) < 0.5
    details = np.where(skylights, surface('skylight'), plan.surfaces(count, 'duct'))
    sizes = np.where(skylights[:, None], (0.5, 4.0), (1.2, 0.9))[:, None]
    for ahead in (-0.7, -0.2, 0.3, 0.7):
        left = np.where(skylights, 0.0, plan.rng.uniform(-0.7, 0.7, count))
        centres = np.array((np.full(count, ahead), left)).T[:, None]
        parts.append((centres + np.array(_box(1, -1)) * np.minimum(sizes * metre, 0.25), details))
    plan.place(_BUILDING, boxes, parts, OPEN_LAND | _PAVED)


def tanks(plan, centres, radius):
    """Round storage tanks."""
    shells = plan.surfaces(len(centres), 'tank')
    roofs = plan.surfaces(len(centres), 'tank', 'tank_roof')
    # their frames are parallel to the image: a circle has no heading
    plan.place(_TANK, frames(centres, 2 * radius, 2 * radius, -plan.angle),
               [(_CIRCLE, shells), (_CIRCLE * 0.86, surface('duct')), (_CIRCLE * 0.8, roofs)],
               OPEN_LAND | _PAVED)


def traffic(plan, line, lanes, share, lorry_share=0.1):
    """Add vehicles on a road, on a share of the places that are 14 m apart.

    ``lanes`` are metres to the right of the line; vehicles in lanes to its left (negative)
    drive against its direction.
    """
    points, headings = along(line, 14.0, plan.rng.uniform(0, 14))
    headings, lanes = headings[:, None], np.asarray(lanes)
    shape = len(points), len(lanes)
    ahead = plan.rng.uniform(-7, 7, len(lanes)) + plan.rng.uniform(-1.2, 1.2, shape)
    taken = plan.rng.random(shape) < share
    cos, sin = np.cos(headings), np.sin(headings)
    points = points[:, None] + np.stack([ahead * cos - lanes * sin, ahead * sin + lanes * cos], -1)
    vehicles(plan, points[taken], (headings + math.pi * (lanes < 0))[taken], lorry_share)


def vehicles(plan, centres, headings, lorry_share=0.1):
    """Add cars and lorries; headings are a number or (N,) radians."""
    centres = np.reshape(centres, (-1, 2))
    near = plan.near(centres)
    headings = np.broadcast_to(headings, len(centres))[near]
    plan.vehicles.append((centres[near], headings, plan.rng.random(len(headings)) < lorry_share))


def place_vehicles(plan):
    """Place all vehicles of a plan at once, which is faster than group by group."""
    if not plan.vehicles:
        return
    centres, headings, heavy = map(np.concatenate, zip(*plan.vehicles, strict=True))
    for chosen, length, width, windows in (
            (~heavy, 4.6, 1.95, ((0.46, 0.18), (-0.6, -0.8))), (heavy, 11.0, 2.6, ((0.7, 0.62),))):
        count = chosen.sum()
        boxes = frames(centres[chosen], length * plan.rng.uniform(0.9, 1.1, count), width,
                       headings[chosen])
        parts = [(_box(1, -1), plan.surfaces(count, *_PAINTS))]
        if plan.gsd < 0.6:
            parts += [(_box(*window, 0.7), surface('glass')) for window in windows]
        plan.place(_VEHICLE, boxes, parts, _PAVED)


def ships(plan, centres, lengths, widths, headings, cargo=False):
    """Ships with pointed bows: boats, or cargo ships with containers."""
    centres = np.reshape(centres, (-1, 2))
    count = len(centres)
    outline = [(1, 0), (.72, .6), (.4, 1), (-.8, 1), (-1, .8), (-1, -.8), (-.8, -1), (.4, -1),
               (.72, -.6)]
    deck = [(.88, 0), (.35, .72), (-.9, .72), (-.9, -.72), (.35, -.72)]
    if cargo:
        parts = [(outline, plan.surfaces(count, 'hull', 'grey', 'blue', 'red')),
                 (deck, plan.surfaces(count, 'deck'))]
        parts += [(_box(ahead + .09, ahead - .09, .6),
                   plan.surfaces(count, 'red', 'blue', 'silver', 'green', 'deck', 'white'))
                  for ahead in (-.45, -.22, .01, .24, .47)]
        parts.append((_box(-.68, -.9, .8), plan.surfaces(count, 'white')))
    else:
        parts = [(outline, plan.surfaces(count, 'white', 'white', 'silver', 'blue')),
                 (deck, plan.surfaces(count, 'white', 'white', 'silver')),
                 (_box(.3, -.25, .45), plan.surfaces(count, 'glass', 'white', 'grey'))]
    plan.place(_SHIP, frames(centres, lengths, widths, headings), parts, is_any_of('water'))


def planes(plan, centres, lengths, headings):
    """Airliners; the wing span is 0.94 of the length."""
    boxes = frames(centres, lengths, np.multiply(lengths, 0.94), headings)
    white = plan.surfaces(len(boxes), 'aluminium')
    parts = [([(1, 0), (.93, .07), (.84, .115), (-.75, .115), (-1, .03), (-1, -.03),
               (-.75, -.115), (.84, -.115), (.93, -.07)], white)]
    for side in (1, -1):
        parts += [([(.34, 0), (-.24, side), (-.38, side), (-.08, 0)], white),
                  ([(-.68, 0), (-.92, side * .38), (-1, side * .38), (-.9, 0)], white),
                  (np.array(_box(.17, .02, .04)) + (0, side * .34), surface('engine'))]
    parts.append((_box(-.72, -.98, .03), plan.surface('blue', 'red', 'grey')))
    plan.place(_PLANE, boxes, parts, is_any_of('bare', 'grass', 'road'))
