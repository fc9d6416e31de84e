"""The second date: what is built, pulled down, ploughed, felled, flooded or moved."""
import math

import cv2
import numpy as np

from .buildings import halls, houses
from .craft import settle_traffic, traffic
from .geometry import blob, ribbon
from .inks import table
from .layouts.common import single_trees

_CONVERTED = ('soil', 'gravel', 'plough', 'asphalt', 'grass', 'ripe', 'crop')


def _chosen(things, keep):
    return [thing for thing, kept in zip(things, keep.tolist(), strict=True) if kept]


def _demolish(plan):
    share = plan.dice.uniform(0.15, 0.6)
    keep = plan.dice.generator.random(len(plan.buildings)) >= share
    plan.buildings = _chosen(plan.buildings, keep)


def _build(plan):
    """An estate or some halls on cleared ground."""
    dice, reach = plan.dice, plan.reach
    centre = dice.generator.uniform(-0.5, 0.5, 2) * reach
    if dice.chance(0.6):
        plan.patch(blob(dice, centre, reach * dice.uniform(0.15, 0.4)),
                  plan.inks(dice.pick(('soil', 'gravel', 'grass')), 5))
    count = dice.integer(3, 10)
    spread = dice.uniform(0.2, 0.5) * reach
    places = centre + dice.generator.uniform(-spread, spread, (count, 2))
    angle = dice.uniform(0, math.pi)
    scale = max(1.0, plan.gsd / 0.8)
    if dice.chance(0.6):
        houses(plan, places, scale * dice.uniform(11, 18), scale * dice.uniform(8, 11),
               angle)
    else:
        halls(plan, places[:4], scale * dice.uniform(20, 45), scale * dice.uniform(12, 25),
              angle)


def _convert(plan):
    """Some parcels or yards become something else."""
    dice = plan.dice
    for i, ground in enumerate(plan.grounds):
        if ground.role in ('parcel', 'clearing') and dice.chance(0.25):
            ink = plan.inks(dice.pick(_CONVERTED), 6 + dice.integer(0, 2))
            plan.grounds[i] = ground._replace(ink=ink)


def _flood(plan):
    """Rivers and shores move by a few pixels, either way."""
    dice = plan.dice
    level = dice.pick((-1, 1)) * dice.uniform(2, 9)
    for i, ground in enumerate(plan.grounds):
        if ground.role in ('river', 'water', 'shore') and ground.shape == 'fill':
            sign = -level if ground.role == 'shore' else level
            outline = ground.points[0].astype(np.float32)
            step = np.roll(outline, -1, 0) - np.roll(outline, 1, 0)
            normal = np.stack([step[:, 1], -step[:, 0]], 1)
            normal /= np.maximum(np.hypot(*normal.T)[:, None], 1e-6)
            if cv2.contourArea(outline, True) < 0:
                normal = -normal
            moved = np.rint(outline + sign * normal).astype(np.int32)
            plan.grounds[i] = ground._replace(points=[moved])


def _fell(plan):
    """Trees disappear, and a clearing opens with a track to it."""
    dice = plan.dice
    keep = dice.generator.random(len(plan.trees)) >= dice.uniform(0.1, 0.5)
    plan.trees = _chosen(plan.trees, keep)
    if any(ground.role == 'wood' for ground in plan.grounds):
        centre = dice.generator.uniform(-0.6, 0.6, 2) * plan.reach
        clearing = blob(dice, centre, plan.reach * dice.uniform(0.12, 0.4), 0.35)
        plan.patch(clearing, plan.inks(dice.pick(('soil', 'scrub', 'gravel')), 4))
        track = np.stack([centre, dice.generator.uniform(-1, 1, 2) * 2 * plan.reach])
        plan.patch(ribbon(track, max(4.0, 2 * plan.gsd)), plan.inks('track', 4))


def _pave(plan):
    """A new road."""
    dice, reach = plan.dice, plan.reach
    ends = dice.generator.uniform(-1, 1, (3, 2)) * reach * [[1, 1], [0.4, 0.4], [1, 1]]
    plan.patch(ribbon(ends, max(dice.uniform(6, 10), 2 * plan.gsd)),
               plan.inks('asphalt', 7))


def _move(plan):
    """Vehicles leave and others come."""
    dice = plan.dice
    keep = dice.generator.random(len(plan.craft)) >= dice.uniform(0.2, 0.7)
    plan.craft = _chosen(plan.craft, keep)
    places = dice.generator.uniform(-plan.reach, plan.reach, (6, 2))
    traffic(plan, places, dice.uniform(0, math.pi))


def _grow(plan):
    """Young trees."""
    dice = plan.dice
    centre = dice.generator.uniform(-0.6, 0.6, 2) * plan.reach
    spread = plan.reach * 0.2
    single_trees(plan, centre + dice.generator.normal(0, spread, (dice.integer(5, 20), 2)))


#: Edit and how often it is tried.
EDITS = ((_convert, 0.6), (_build, 0.6), (_demolish, 0.5), (_flood, 0.4), (_fell, 0.35),
         (_pave, 0.2), (_move, 0.5), (_grow, 0.2))


def second_date(plan, dice):
    """Plan of the second date.

    Args:
        plan (Plan): first date; left as it is, but for inks that are added to it.
        dice (Dice): random numbers of the changes.

    Returns:
        Plan: with the same textures.
    """
    later = plan.edited(dice)
    for edit, probability in EDITS:
        if dice.chance(probability):
            edit(later)
    settle_traffic(later)
    later.place()
    return later


def change_mask(inks, first, second):
    """Where two label maps show different things.

    Args:
        inks (Inks): of both.
        first, second: (H, W) uint8 label maps.

    Returns:
        numpy.ndarray: (H, W) uint8, 1 where the content changed. Light, shadows and
        noise do not count.
    """
    content = table(inks.columns().content, np.uint8)
    different = cv2.compare(cv2.LUT(first, content), cv2.LUT(second, content), cv2.CMP_NE)
    return cv2.min(different, 1)
