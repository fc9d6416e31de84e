"""Pieces that several layouts share."""
import numpy as np

from ..craft import drive
from ..geometry import blob

_WOODS = ('leaf', 'needle', 'young_wood')
_OPEN = ('grass', 'scrub', 'soil', 'stubble', 'sprout', 'lawn')


def scatter(plan, density):
    """Random points over the scene, ``density`` per hectare, (N, 2) metres."""
    reach = plan.reach
    count = int(density * (2 * reach) ** 2 / 1e4 + plan.dice.random())
    return plan.dice.generator.uniform(-reach, reach, (count, 2))


def open_country(plan, materials=_OPEN):
    """Background of low vegetation or bare ground with patches of another."""
    dice = plan.dice
    plan.background = plan.inks(dice.pick(materials), dice.integer(0, 3))
    for _ in range(dice.integer(0, 3)):
        plan.region(plan.inks(dice.pick(materials), dice.integer(0, 3)),
                    dice.uniform(0.4, 1.5), dice.uniform(0.8, 2.0))


def single_trees(plan, centres, radius=(2.0, 5.0), species=None):
    """Trees of one or two species at given places."""
    dice = plan.dice
    count = len(centres)
    kinds = [plan.inks(species or dice.pick(_WOODS), dice.integer(0, 3)) for _ in range(2)]
    second = (dice.generator.random(count) < 0.3).tolist()
    plan.plant(centres, dice.generator.uniform(*radius, count),
               [kinds[chosen] for chosen in second])


def clumps(plan, count, size, radius=(2.0, 4.5)):
    """Groups of trees: ``count`` centres, spread over ``size`` metres."""
    generator = plan.dice.generator
    for _ in range(count):
        centre = generator.uniform(-plan.reach, plan.reach, 2)
        members = plan.dice.integer(4, 14)
        single_trees(plan, centre + generator.normal(0, size, (members, 2)), radius)


def copse(plan, centre, radius, material=None):
    """A wood with an irregular edge and single trees along it."""
    dice = plan.dice
    ink = plan.inks(material or dice.pick(_WOODS), dice.integer(0, 3))
    outline = blob(dice, centre, radius)
    plan.patch(outline, ink, role='wood')
    inner = outline + (np.asarray(centre) - outline) * 0.03
    plan.plant(inner[::2], max(2.0, min(4.5, radius * 0.1)), ink)


def road(plan, line, width, surface='asphalt', shoulder='gravel', markings=True,
         cars=0.0, variant=0):
    """Road with shoulders, a dashed middle line and traffic.

    Args:
        line: (N, 2) metres.
        width (float): metres.
        cars (float): vehicles per 100 m and direction.
    """
    plan.line(line, plan.inks(shoulder), width + 2.5)
    plan.line(line, plan.inks(surface, variant), width, role='road', thinnest=2)
    if markings and width / plan.gsd > 5:
        plan.dashes(line, plan.inks('marking'), 9.0, 4.0)
    if cars:
        drive(plan, line, cars, [(width * 0.25, -1), (-width * 0.25, 1)])


def cut(plan, low, high, smallest, depth=0):
    """Cut a rectangle again and again, as parcels of land are.

    Args:
        low, high: corners (x, y) in metres.
        smallest (float): no side becomes shorter, metres.

    Returns:
        list: (x0, y0, x1, y1) of the parcels that the image shows.
    """
    (x0, y0), (x1, y1) = low, high
    if not plan.shows(x0, y0, x1, y1):
        return []
    dice = plan.dice
    wide, tall = x1 - x0, y1 - y0
    along_x = wide > tall * dice.uniform(0.6, 1.6)
    side = wide if along_x else tall
    if side < 2 * smallest or (depth > 5 and dice.chance(0.35)):
        return [(x0, y0, x1, y1)]
    at = smallest + (side - 2 * smallest) * dice.uniform(0.15, 0.85)
    if along_x:
        return (cut(plan, low, (x0 + at, y1), smallest, depth + 1)
                + cut(plan, (x0 + at, y0), high, smallest, depth + 1))
    return (cut(plan, low, (x1, y0 + at), smallest, depth + 1)
            + cut(plan, (x0, y0 + at), high, smallest, depth + 1))
