"""Vehicles, ships and planes."""
import numpy as np

from .geometry import rectangles, within
from .materials import BARE, GRASS, OBJECT_CLASSES, ROAD, WATER
from .plan import on

_VEHICLE = OBJECT_CLASSES.index('vehicle')
_SHIP = OBJECT_CLASSES.index('ship')
_PLANE = OBJECT_CLASSES.index('plane')
_PAINTS = ('white', 'white', 'silver', 'silver', 'grey', 'black', 'black', 'red', 'blue',
           'green')
_ROADWORTHY = on(ROAD, BARE)


def cars(plan, centres, angles, length=4.6, width=1.95):
    """Cars with a windscreen and a rear window.

    Args:
        plan (Plan): receives them.
        centres: (N, 2) metres.
        angles: number or (N,), headings in radians.
        length, width (float): metres; each car varies by a tenth.
    """
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    count = len(centres)
    size = plan.dice.generator.uniform(0.92, 1.1, (2, count))
    rects = rectangles(centres, length * size[0], width * size[1],
                       np.broadcast_to(angles, count))
    inks = [plan.inks(plan.dice.pick(_PAINTS), plan.dice.integer(0, 2))
            for _ in range(count)]
    parts = [(rects, inks)]
    if width / plan.gsd > 2.4:
        glass = plan.inks('glass')
        for front, rear in ((0.42, 0.12), (-0.55, -0.75)):
            parts.append((within(rects, [front, front, rear, rear],
                                 [0.62, -0.62, -0.62, 0.62]), glass))
    plan.add(plan.craft, _VEHICLE, parts, rects, 1.5, _ROADWORTHY)


def lorries(plan, centres, angles):
    """Lorries: a cab and a long box behind it. Arguments as in :func:`cars`."""
    dice = plan.dice
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    count = len(centres)
    lengths = dice.generator.uniform(9, 16, count)
    rects = rectangles(centres, lengths, 2.7, np.broadcast_to(angles, count))
    cab = within(rects, [1, 1, 0.74, 0.74], [1, -1, -1, 1])
    loads = ('white', 'silver', 'white', 'blue', 'green', 'red', 'deck')
    inks = [plan.inks(dice.pick(loads), dice.integer(0, 2)) for _ in range(count)]
    cabs = [plan.inks(dice.pick(_PAINTS), dice.integer(0, 2)) for _ in range(count)]
    gap = within(rects, [0.74, 0.74, 0.68, 0.68], [1, -1, -1, 1])
    plan.add(plan.craft, _VEHICLE, [(rects, inks), (cab, cabs), (gap, plan.inks('glass'))],
             rects, 3.2, _ROADWORTHY)


def traffic(plan, centres, angles, lorry_share=0.15):
    """Cars, and some lorries, on the same places."""
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    angles = np.broadcast_to(angles, len(centres))
    heavy = plan.dice.generator.random(len(centres)) < lorry_share
    lorries(plan, centres[heavy], angles[heavy])
    cars(plan, centres[~heavy], angles[~heavy])


def ships(plan, centres, lengths, widths, angles, cargo=False):
    """Boats, or ships with hatches, with pointed bows.

    Args:
        centres: (N, 2) metres.
        lengths, widths, angles: numbers or (N,), metres and radians.
        cargo (bool): hatches and a bridge instead of a cabin.
    """
    dice = plan.dice
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    count = len(centres)
    if not count:
        return
    quads = rectangles(centres, lengths, widths, angles)
    hull = within(quads, [1, 0.72, 0.4, -0.8, -1, -1, -0.8, 0.4, 0.72],
                  [0, 0.6, 1, 1, 0.8, -0.8, -1, -1, -0.6])
    deck = within(quads, [0.9, 0.35, -0.9, -0.9, 0.35], [0, 0.72, 0.72, -0.72, -0.72])
    paints = ('hull', 'grey', 'blue', 'red') if cargo else ('white', 'white', 'silver', 'blue')
    decks = ('deck', 'hatch', 'green', 'grey') if cargo else ('white', 'deck', 'silver')
    parts = [(hull, [plan.inks(dice.pick(paints), dice.integer(0, 2)) for _ in range(count)]),
             (deck, [plan.inks(dice.pick(decks), dice.integer(2, 4)) for _ in range(count)])]
    if cargo:
        for ahead in np.linspace(-0.45, 0.5, 4).tolist():
            parts.append((within(quads, np.array([.085, .085, -.085, -.085]) + ahead,
                                 [.55, -.55, -.55, .55]),
                          plan.inks(dice.pick(('hatch', 'silver', 'red', 'blue')), 1)))
        parts.append((within(quads, [-.68, -.68, -.9, -.9], [.8, -.8, -.8, .8]),
                      plan.inks('white')))
    else:
        parts.append((within(quads, [.3, .3, -.25, -.25], [.45, -.45, -.45, .45]),
                      plan.inks(dice.pick(('glass', 'white', 'grey')))))
    plan.add(plan.craft, _SHIP, parts, quads, 14.0 if cargo else 2.0, on(WATER))


def planes(plan, centres, lengths, angles):
    """Airliners: swept wings, tail plane, engines.

    Args:
        centres: (N, 2) metres.
        lengths, angles: numbers or (N,); the span is 0.94 of the length.
    """
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    count = len(centres)
    if not count:
        return
    lengths = np.broadcast_to(np.asarray(lengths, np.float64), count)
    quads = rectangles(centres, lengths, lengths * 0.94, angles)
    white = [plan.inks('aluminium', plan.dice.integer(0, 3)) for _ in range(count)]
    body = within(quads, [1, .93, .84, -.75, -1, -1, -.75, .84, .93],
                  [0, .07, .115, .115, .03, -.03, -.115, -.115, -.07])
    wings = within(quads, [.32, -.22, -.36, -.06, -.06, -.36, -.22],
                   [0, 1, 1, .1, -.1, -1, -1])
    tail = within(quads, [-.68, -.92, -1, -.9, -.9, -1, -.92],
                  [0, .38, .38, .05, -.05, -.38, -.38])
    parts = [(wings, white), (tail, white), (body, white)]
    for side in (-1, 1):
        parts.append((within(quads, [.17, .17, .03, .03],
                             np.array([.39, .31, .31, .39]) * side), plan.inks('engine')))
    stripe = plan.inks(plan.dice.pick(('blue', 'red', 'grey', 'aluminium', 'green')), 1)
    parts.append((within(quads, [-.72, -.72, -.98, -.98], [.03, -.03, -.03, .03]), stripe))
    plan.add(plan.craft, _PLANE, parts, quads, 5.0, on(ROAD, GRASS, BARE), solid=3)
