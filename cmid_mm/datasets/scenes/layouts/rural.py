"""Farmland, orchards and forests."""
import math

import numpy as np

from ..geometry import blob, grid, meander, rectangle
from ..materials import surface
from ..objects import houses
from .common import roads, trees

_CROPS = ('crop', 'crop', 'sprout', 'ripe', 'stubble', 'plough', 'plough', 'blossom')


def fields(plan, smallest, margin):
    """Parcels (x0, y0, x1, y1) with crops in rows along the longer side."""
    rng, reach = plan.rng, plan.reach
    crops = [plan.pick(*_CROPS) for _ in range(rng.integers(2, 6))]
    parcels = plan.subdivide(-reach, -reach, reach, reach, smallest)
    for x0, y0, x1, y1 in parcels:
        # even tints have rows along x, odd ones along y
        tint = 2 * rng.integers(0, 2) + (x1 - x0 < y1 - y0)
        plan.polygon(rectangle(x0 + margin, y0 + margin, x1 - margin, y1 - margin),
                     surface(plan.pick(*crops), tint), 'parcel')
    return parcels


def farmland(plan):
    """Parcels with crops, farm tracks between them, hedges, a farm."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('grass', 'track', 'scrub')
    parcels = fields(plan, plan.gsd * rng.uniform(22, 42), plan.gsd * rng.uniform(0.6, 1.6))
    hedges = []
    for x0, y0, x1, y1 in parcels:
        if plan.chance(0.06):
            plan.polygon(rectangle(x0, y0, x1, y1), plan.surface('leaf', 'needle'), 'wood')
        elif plan.chance(0.2):
            hedges += [(x, y0) for x in np.arange(x0, x1, 6)]
    trees(plan, rng.normal(np.reshape(hedges, (-1, 2)), 1.0), 1.8, 3.6)
    corner = np.array(plan.pick(*parcels)[:2])
    if plan.chance(0.5):
        roads(plan, [meander(rng, reach, 2.0, reach) + (0, corner[1])], rng.uniform(4, 7), 0.1,
              material=plan.pick('asphalt', 'worn_asphalt', 'track'))
    if plan.chance(0.5):
        plan.polygon(blob(rng, corner, 36), plan.surface('gravel', 'grass', 'soil'))
        houses(plan, corner + rng.uniform(-28, 28, (5, 2)), rng.uniform(14, 30, 5),
               rng.uniform(9, 13, 5), rng.integers(0, 2, 5) * (math.pi / 2))
        trees(plan, corner + rng.uniform(-42, 42, (10, 2)))


def orchard(plan):
    """Blocks of trees planted in rows, with tracks between the blocks."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('track', 'grass', 'soil')
    species = plan.pick('leaf', 'needle', 'young_wood')
    step, places = max(rng.uniform(4.0, 7.0), 10 * plan.gsd), [np.zeros((0, 2))]
    for x0, y0, x1, y1 in plan.subdivide(-reach, -reach, reach, reach, 60 * plan.gsd + 20):
        plan.polygon(rectangle(x0 + 2, y0 + 2, x1 - 2, y1 - 2),
                     plan.surface('soil', 'grass', 'lawn', 'plough', 'sprout', 'stubble'), 'parcel')
        if plan.chance(0.06):
            continue
        places.append(grid(x0 + 4, y0 + 4, x1 - 4, y1 - 4, (step, step * plan.pick(1, 1.2, 1.5))))
    places = np.concatenate(places)
    places = rng.normal(places[rng.random(len(places)) < 0.94], 0.04 * step)
    radii = step * rng.uniform(0.3, 0.44) * rng.uniform(0.88, 1.12, len(places))
    plan.plant(places, radii, species)
    if plan.chance(0.3):
        roads(plan, [meander(rng, reach, 2.0, reach * 2)], 5.0, 0.1,
              material=plan.pick('track', 'asphalt'))


def forest(plan):
    """Closed canopy of a few species with clearings, a track, a pond."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('leaf', 'needle', 'leaf')
    plan.canopy_scale *= rng.uniform(0.7, 1.4)
    for _ in range(2):
        plan.region(plan.surface('leaf', 'needle', 'young_wood'), rng.uniform(0.0, 1.4),
                    rng.uniform(0.3, 0.8), 'wood')
    for _ in range(rng.integers(0, 3)):
        plan.polygon(blob(rng, rng.uniform(-reach, reach, 2), reach * rng.uniform(0.08, 0.24), 0.3),
                     plan.surface('grass', 'scrub', 'soil', 'rock'), 'parcel')
    if plan.chance(0.5):
        line = meander(rng, reach, reach * rng.uniform(0.02, 0.15), reach * 1.5)
        plan.line(line + (0, rng.normal(0, reach * 0.25)), plan.surface('track', 'gravel'),
                  rng.uniform(3, 5))
    if plan.chance(0.15):
        plan.polygon(blob(rng, rng.uniform(-0.6, 0.6, 2) * reach, reach * rng.uniform(0.1, 0.2)),
                     'river', 'water')
    trees(plan, plan.scatter(rng.uniform(4, 20)))
