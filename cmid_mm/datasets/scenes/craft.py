"""Vehicles, ships and planes."""
import numpy as np

from .buildings import frames
from .geometry import along, numbers, pairs
from .materials import BARE, GRASS, OBJECT_CLASSES, ROAD, WATER
from .plan import on
from .stock import boxed

_VEHICLE = OBJECT_CLASSES.index('vehicle')
_SHIP = OBJECT_CLASSES.index('ship')
_PLANE = OBJECT_CLASSES.index('plane')
_PAINTS = ('white', 'white', 'silver', 'silver', 'grey', 'grey', 'black', 'black', 'red',
           'blue', 'green', 'white')
_LOADS = ('white', 'silver', 'white', 'blue', 'green', 'red', 'deck')
_ROADWORTHY = on(ROAD, BARE)
_HEADWAY = 14.0


def traffic(plan, centres, angles, lorry_share=0.15):
    """Cars and lorries at given places.

    Args:
        plan (Plan): they wait in it for :func:`settle_traffic`.
        centres: (N, 2) metres.
        angles: number or (N,), headings in radians.
        lorry_share (float): share of lorries.
    """
    if len(centres):
        plan.parked.append((np.asarray(centres), numbers(angles, len(centres)),
                            lorry_share))


def drive(plan, line, per_100_m, lanes, lorry_share=0.12):
    """Traffic along a road.

    Args:
        line: (N, 2) metres.
        per_100_m (float): vehicles per 100 m and lane, at most about 7.
        lanes (list): (metres to the left of the line, 1 along it or -1 against it).
        lorry_share (float): share of lorries.
    """
    plan.routes.append((np.asarray(line, np.float64), per_100_m, lanes, lorry_share))


def settle_traffic(plan):
    """Turn the waiting traffic of a plan into cars and lorries."""
    random = plan.dice.generator
    groups = list(plan.parked)
    if plan.routes:
        starts, ends, density, aside, ahead, share = [], [], [], [], [], []
        for line, per_100_m, lanes, lorry_share in plan.routes:
            for offset, direction in lanes:
                starts.append(line[:-1])
                ends.append(line[1:])
                density += [per_100_m] * (len(line) - 1)
                aside += [offset] * (len(line) - 1)
                ahead += [direction] * (len(line) - 1)
                share += [lorry_share] * (len(line) - 1)
        points, angles, segment = along(np.concatenate(starts), np.concatenate(ends),
                                        _HEADWAY, plan.dice.uniform(0, _HEADWAY))
        chosen = random.random(len(points)) < np.array(density)[segment] * (_HEADWAY / 100)
        points, angles, segment = points[chosen], angles[chosen], segment[chosen]
        jitter = random.uniform(-3, 3, len(points))
        offset = np.array(aside)[segment]
        cos, sin = np.cos(angles), np.sin(angles)
        points = points + pairs(cos * jitter - sin * offset,
                                    sin * jitter + cos * offset)
        angles = angles + np.where(np.array(ahead)[segment] > 0, 0.0, np.pi)
        groups.append((points, angles, np.array(share)[segment]))
    plan.parked, plan.routes = [], []
    if not groups:
        return
    centres = np.concatenate([group[0] for group in groups])
    angles = np.concatenate([group[1] for group in groups])
    share = np.concatenate([numbers(group[2], len(group[0])) for group in groups])
    near = plan.near(centres, 10.0)
    centres, angles, share = centres[near], angles[near], share[near]
    heavy = random.random(len(centres)) < share
    _lorries(plan, centres[heavy], angles[heavy])
    _cars(plan, centres[~heavy], angles[~heavy])


def _painted(plan, paints, count):
    """Inks of ``count`` things, two variants of each paint."""
    drawn = plan.dice.generator.integers(0, 2 * len(paints), count).tolist()
    known = {number: plan.inks(paints[number // 2], number % 2) for number in set(drawn)}
    return [known[number] for number in drawn]


def _cars(plan, centres, angles, length=4.6, width=1.95):
    """Cars; the windows are drawn where they can be seen."""
    size = plan.dice.generator.uniform(0.9, 1.1, (2, len(centres)))
    shapes, inks = [boxed(1, -1)], [_painted(plan, _PAINTS, len(centres))]
    if plan.gsd < 0.34:
        glass = plan.inks('glass')
        shapes += [boxed(0.46, 0.2, 0.66), boxed(-0.6, -0.78, 0.62)]
        inks += [glass, glass]
    elif plan.gsd < 0.5:
        shapes.append(boxed(0.42, 0.18, 0.5))
        inks.append(plan.inks('glass'))
    plan.new_craft.add(_VEHICLE, frames(centres, length * size[0], width * size[1], angles),
                       shapes, inks, 1.5, _ROADWORTHY)


def _lorries(plan, centres, angles):
    """Lorries: a cab and a long box behind it."""
    count = len(centres)
    lengths = plan.dice.generator.uniform(8, 16, count)
    plan.new_craft.add(
        _VEHICLE, frames(centres, lengths, 2.7, angles),
        [boxed(1, -1), boxed(1, 0.74), boxed(0.74, 0.68)],
        [_painted(plan, _LOADS, count), _painted(plan, _PAINTS, count), plan.inks('glass')],
        3.2, _ROADWORTHY)


def ships(plan, centres, lengths, widths, angles, cargo=False):
    """Boats, or ships with hatches, with pointed bows.

    Args:
        centres: (N, 2) metres.
        lengths, widths, angles: numbers or (N,), metres and radians.
        cargo (bool): hatches and a bridge instead of a cabin.
    """
    rects = frames(centres, lengths, widths, angles)
    rects = rects[plan.near(rects[:, :2], rects[:, 2] + rects[:, 3])]
    dice, count = plan.dice, len(rects)
    hull = [(1, 0), (.72, .6), (.4, 1), (-.8, 1), (-1, .8), (-1, -.8), (-.8, -1), (.4, -1),
            (.72, -.6)]
    deck = [(.9, 0), (.35, .72), (-.9, .72), (-.9, -.72), (.35, -.72)]
    if cargo:
        paints, decks = ('hull', 'grey', 'blue', 'red'), ('deck', 'hatch', 'green', 'grey')
    else:
        paints, decks = ('white', 'white', 'silver', 'blue'), ('white', 'deck', 'silver')
    shapes = [hull, deck]
    inks = [_painted(plan, paints, count),
            [plan.inks(dice.pick(decks), dice.integer(2, 4)) for _ in range(count)]]
    if cargo:
        for ahead in (-.45, -.13, .18, .5):
            shapes.append(boxed(ahead + .085, ahead - .085, .55))
            inks.append(plan.inks(dice.pick(('hatch', 'silver', 'red', 'blue')), 1))
        shapes.append(boxed(-.68, -.9, .8))
        inks.append(plan.inks('white'))
    else:
        shapes.append(boxed(.3, -.25, .45))
        inks.append([plan.inks(dice.pick(('glass', 'white', 'grey')))
                     for _ in range(count)])
    plan.new_craft.add(_SHIP, rects, shapes, inks, 12.0 if cargo else 2.0, on(WATER))


def planes(plan, centres, lengths, angles):
    """Airliners: swept wings, tail plane, engines.

    Args:
        centres: (N, 2) metres.
        lengths, angles: numbers or (N,); the span is 0.94 of the length.
    """
    lengths = np.asarray(lengths, np.float64)
    white = [plan.inks('aluminium', plan.dice.integer(0, 3)) for _ in range(len(centres))]
    body = [(1, 0), (.93, .07), (.84, .115), (-.75, .115), (-1, .03), (-1, -.03),
            (-.75, -.115), (.84, -.115), (.93, -.07)]
    shapes = [body]
    for side in (1, -1):
        shapes += [[(.34, 0), (-.24, side), (-.38, side), (-.08, 0)],
                   [(-.68, 0), (-.92, side * .38), (-1, side * .38), (-.9, 0)]]
    engines = [boxed(.17, .02, .04) for _ in range(2)]
    for engine, side in zip(engines, (.34, -.34), strict=True):
        shapes.append([(a, b + side) for a, b in engine])
    shapes.append(boxed(-.72, -.98, .03))
    stripe = plan.inks(plan.dice.pick(('blue', 'red', 'grey', 'aluminium', 'green')), 1)
    inks = [white] * 5 + [plan.inks('engine')] * 2 + [stripe]
    plan.new_craft.add(_PLANE, frames(centres, lengths, lengths * 0.94, angles), shapes,
                       inks, 5.0, on(ROAD, GRASS, BARE), solid=5)
