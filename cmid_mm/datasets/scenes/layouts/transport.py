"""Highways, car parks and airports."""
import math

import numpy as np

from ..buildings import halls, houses
from ..craft import drive, planes, traffic
from ..geometry import beside, meander, normals, pairs
from .common import clumps, copse, open_country, road, scatter, single_trees
from .registry import layout

_LANE = 3.6


def carriageways(plan, line, lanes, surface, flow):
    """Dual carriageway with lane markings and traffic.

    Args:
        line: (N, 2) middle of the median, metres.
        lanes (int): per direction.
        flow (float): vehicles per 100 m and lane.
    """
    wide = lanes * _LANE + 2.5
    marking = plan.inks('marking')
    plan.line(line, plan.inks('grass'), 2 * wide + 9)
    plan.line(line, plan.inks('gravel'), 2 * wide + 5)
    left = normals(line)
    middle = wide / 2 + 1.6
    plan.lines([line + left * middle, line - left * middle], plan.inks(surface, 0), wide,
               role='road', thinnest=3)
    if plan.gsd < 0.85:
        edge = wide / 2 - 0.9
        plan.lines([line + left * side for side in (
            middle + edge, middle - edge, edge - middle, -middle - edge)], marking)
        for lane in range(1, lanes):
            offset = middle + (lane - lanes / 2) * _LANE
            plan.dashes(line + left * offset, marking)
            plan.dashes(line - left * offset, marking)
    drive(plan, line, flow, [
        (side * (middle + (lane - (lanes - 1) / 2) * _LANE), -side)
        for lane in range(lanes) for side in (1, -1)], lorry_share=0.18)
    plan.line(line, plan.inks('worn_asphalt', 1), 0.6)


def ramp(plan, centre, radius, start, stop, surface):
    """Curved slip road: an arc around ``centre`` between two angles."""
    angle = np.linspace(start, stop, 26)
    arc = np.asarray(centre) + radius * pairs(np.cos(angle), np.sin(angle))
    plan.line(arc, plan.inks('gravel'), 8.5)
    plan.line(arc, plan.inks(surface, 0), 6.0, role='road', thinnest=2)
    drive(plan, arc, 0.8, [(0.0, 1)])


@layout('highway', gsd=(0.4, 1.1))
def highway(plan):
    """A motorway, alone, with a bridge across, or with the loops of an interchange."""
    dice, reach = plan.dice, plan.reach
    open_country(plan)
    if dice.chance(0.4):
        plan.region(plan.inks('leaf', 1), dice.uniform(0.2, 1.2), 1.0, 'wood')
    surface = dice.pick(('asphalt', 'worn_asphalt', 'concrete', 'asphalt'))
    lanes, flow = dice.integer(2, 5), dice.log_uniform(0.4, 2.5)
    bend = dice.pick((0.01, 0.05, 0.12)) * reach
    line = meander(dice, reach * 1.1, bend, reach * 3, 30) + (0, dice.around(reach * 0.2))
    kind = dice.random()
    clumps(plan, dice.integer(2, 7), 12.0)
    single_trees(plan, scatter(plan, dice.uniform(2, 14)))
    if kind < 0.4:
        at = dice.around(reach * 0.15)
        radius = dice.uniform(32, 55)
        offset = radius + lanes * _LANE + 6
        for sx in (1, -1):
            for sy in (1, -1):
                if dice.chance(0.75):
                    ramp(plan, (at + sx * offset, line[15, 1] + sy * offset), radius, 0,
                         2 * math.pi, surface)
                if dice.chance(0.5):
                    far = 3.0 * radius
                    corner = (at + sx * (far + 8), line[15, 1] + sy * (far + 8))
                    middle = math.atan2(-sy, -sx)
                    ramp(plan, corner, far, middle - 0.8, middle + 0.8, surface)
        carriageways(plan, line, lanes, surface, flow)
        other = meander(dice, reach * 1.1, bend * 0.3, reach * 3, 24)[:, ::-1] + (at, 0)
        carriageways(plan, other, max(2, lanes - 1), surface, flow * 0.7)
    else:
        carriageways(plan, line, lanes, surface, flow)
        if kind < 0.75:
            across = meander(dice, reach * 1.1, bend * 0.5, reach * 3, 24)[:, ::-1]
            across = across + (dice.around(reach * 0.4), 0)
            road(plan, across, dice.uniform(7, 12), surface, 'concrete', cars=1.5)
        if dice.chance(0.6):
            road(plan, beside(line, dice.pick((1, -1)) * (lanes * 9.5 + 12)), 6.5,
                 cars=1.0)
    if dice.chance(0.3):
        copse(plan, dice.generator.uniform(-reach, reach, 2), reach * 0.25)
    if dice.chance(0.3):
        spots = scatter(plan, 5)
        houses(plan, spots, 16.0, 10.0, dice.uniform(0, 3))


@layout('car_park', gsd=(0.2, 0.42))
def car_park(plan):
    """Rows of bays with cars, aisles, planted islands, a store."""
    dice, reach = plan.dice, plan.reach
    surface = dice.pick(('asphalt', 'worn_asphalt', 'concrete', 'asphalt'))
    plan.background = plan.inks(dice.pick(('grass', 'lawn', 'soil', surface)), 1)
    limit = reach * dice.uniform(0.62, 1.1)
    plan.fill([(-reach, -limit), (limit, -limit), (limit, limit), (-reach, limit)],
              plan.inks(surface, 0), role='yard')
    bay, depth, aisle = dice.uniform(2.5, 2.9), dice.uniform(4.9, 5.6), dice.uniform(6, 8)
    slant = dice.pick((0.0, 0.0, 0.0, 0.35))
    full = dice.uniform(0.2, 0.95)
    start = -limit + dice.uniform(2, 8)
    islands = dice.chance(0.6)
    span = int(2 * limit / bay)
    for y in np.arange(start, limit - depth, 2 * depth + aisle).tolist():
        edges = -limit + bay * np.arange(span)
        blocked = dice.integer(9, 24)
        for row in (0, 1):
            top = y + row * depth
            lean = slant * depth * (1 if row else -1)
            bars = np.stack([pairs(edges, top),
                             pairs(edges + lean, top + depth)], 1)
            plan.lines(bars, plan.inks('marking'), 0.12)
            centres = pairs(edges + bay / 2 + lean / 2,
                                top + depth / 2)
            taken = dice.generator.random(span) < full
            taken[::blocked] = False
            centres = centres[taken] + dice.generator.normal(0, 0.12, (taken.sum(), 2))
            turn = math.pi / 2 - math.atan2(lean, depth)
            backward = dice.generator.random(len(centres)) < 0.3
            traffic(plan, centres, turn + backward * math.pi, lorry_share=0.0)
        plan.lines([[(-limit, y + depth), (-limit + bay * span, y + depth)]],
                   plan.inks('marking'), 0.12)
        if islands:
            middles = pairs(edges[::blocked] + bay / 2,
                                y + depth)
            for middle in middles:
                plan.fill(middle + [(-bay / 2, -depth), (bay / 2, -depth),
                                    (bay / 2, depth), (-bay / 2, depth)],
                          plan.inks(dice.pick(('lawn', 'scrub'))))
            single_trees(plan, middles, (1.6, 2.9))
        lane = np.array([(-limit, y + 2 * depth + aisle / 2),
                         (limit, y + 2 * depth + aisle / 2)])
        drive(plan, lane, 0.8, [(1.5, -1), (-1.5, 1)], lorry_share=0.0)
    if dice.chance(0.5):
        width = dice.uniform(22, 36)
        plan.fill([(-reach, limit), (reach, limit), (reach, limit + width + 9),
                   (-reach, limit + width + 9)], plan.inks('concrete', 1))
        halls(plan, [(dice.around(reach * 0.2), limit + width / 2 + 4)],
              reach * dice.uniform(0.8, 1.6), width, 0.0, 9.0)
    if dice.chance(0.4):
        line = np.array([(-reach, -limit - 7.0), (reach, -limit - 7.0)])
        road(plan, line, 8.0, cars=3.0, shoulder='concrete')
    single_trees(plan, scatter(plan, dice.uniform(4, 22)), (1.8, 3.5))


@layout('airport', gsd=(0.7, 1.7))
def airport(plan):
    """Apron with parked planes and a terminal, or a runway with taxiways."""
    dice, reach = plan.dice, plan.reach
    open_country(plan, ('grass', 'lawn', 'soil', 'stubble'))
    surface = dice.pick(('concrete', 'worn_asphalt', 'asphalt'))
    kind = dice.random()
    edge = dice.uniform(-0.2, 0.35) * reach
    if kind < 0.75:
        plan.fill([(-reach, -reach), (reach, -reach), (reach, edge), (-reach, edge)],
                  plan.inks(surface, 0), role='yard')
        _slabs(plan, edge)
        _apron(plan, edge)
    if kind > 0.45:
        _runway(plan, dice.uniform(0.55, 0.75) * reach if kind < 0.75
                else dice.around(reach * 0.3), edge if kind < 0.75 else None)


def _slabs(plan, edge):
    """Joints between the slabs of an apron."""
    dice, reach = plan.dice, plan.reach
    step = max(dice.uniform(15, 30), 9 * plan.gsd)
    xs, ys = np.arange(-reach, reach, step), np.arange(-reach, edge, step)
    joints = [[(x, -reach), (x, edge)] for x in xs]
    joints += [[(-reach, y), (reach, y)] for y in ys]
    plan.lines(joints, plan.inks('worn_asphalt', 2))


def _apron(plan, edge):
    dice, reach = plan.dice, plan.reach
    length = dice.log_uniform(26, 58)
    plan.line([(-reach, edge - 14), (reach, edge - 14)], plan.inks('yellow_line'), 0.4)
    depth = dice.uniform(0.25, 0.5) * reach
    terminal = edge - 30 - 2.2 * length
    if terminal > -reach and dice.chance(0.8):
        halls(plan, [(dice.around(reach * 0.3), terminal - depth / 2)],
              reach * dice.uniform(1.0, 1.8), depth, 0.0, 16.0)
        places = dice.generator.uniform((-reach, terminal + 2), (reach, terminal + 12),
                                        (int(reach / 8), 2))
        traffic(plan, places, dice.pick((0.0, math.pi / 2)), 0.3)
    spacing = length * dice.uniform(1.06, 1.3)
    stands = np.arange(-reach + dice.uniform(0, spacing), reach, spacing)
    rows = [terminal + 16 + length / 2]
    if dice.chance(0.5):
        rows.append(terminal - depth - 14 - length / 2)
    turn = math.pi / 2 + dice.pick((0.0, 0.0, 0.5))
    for y in rows:
        taken = stands[dice.generator.random(len(stands)) < dice.uniform(0.5, 1.0)]
        centres = pairs(taken, y)
        plan.lines(np.stack([centres - (0, length * .7), centres + (0, length * .7)], 1),
                   plan.inks('yellow_line'), 0.3)
        sizes = length * dice.generator.uniform(0.75, 1.0, len(taken))
        planes(plan, centres, sizes, -turn if y > terminal else turn)
    if dice.chance(0.5):
        planes(plan, [(dice.around(reach * 0.5), edge - 14)], length * 0.9,
               dice.pick((0.0, math.pi)))


def _runway(plan, y, apron):
    dice, reach = plan.dice, plan.reach
    wide = dice.uniform(32, 55)
    line = np.array([(-reach * 1.1, y), (reach * 1.1, y)])
    surface = dice.pick(('asphalt', 'concrete', 'worn_asphalt'))
    plan.line(line, plan.inks('worn_asphalt', 2), wide + 12)
    plan.line(line, plan.inks(surface, 1), wide, role='road')
    plan.line(line, plan.inks('rubber'), wide * 0.2)
    for side in (1, -1):
        plan.line(beside(line, side * (wide / 2 - 2)), plan.inks('marking'), 0.9)
    plan.dashes(line, plan.inks('marking'), 50.0, 30.0)
    if dice.chance(0.5):
        x = dice.around(reach * 0.5)
        bars = np.linspace(-0.42, 0.42, 12) * wide + y
        plan.lines(np.stack([pairs(x, bars),
                             pairs(x + 30.0, bars)], 1),
                   plan.inks('marking'), 1.6)
    taxi = y - wide / 2 - dice.uniform(40, 80)
    stop = taxi if apron is None else apron
    if apron is None:
        strip = np.array([(-reach * 1.1, taxi), (reach * 1.1, taxi)])
        plan.line(strip, plan.inks('concrete', 1), 20.0)
        plan.line(strip, plan.inks('yellow_line'), 0.3)
        planes(plan, [(dice.around(reach * 0.6), taxi)], dice.uniform(28, 45), 0.0)
    for x in (dice.around(reach * 0.6), dice.around(reach * 0.6)):
        lean = dice.pick((0.0, 40.0, -40.0))
        ends = [(x - 10, stop), (x + 10, stop), (x + lean + 10, y - wide / 2),
                (x + lean - 10, y - wide / 2)]
        plan.fill(ends, plan.inks('concrete', 1))
        plan.line([(x, stop), (x + lean, y)], plan.inks('yellow_line'), 0.3)
    if dice.chance(0.4):
        planes(plan, [(dice.around(reach * 0.6), y)], dice.uniform(28, 50), 0.0)
