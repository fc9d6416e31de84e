"""Second date of a scene: new, lost and converted surfaces and objects."""
import copy
import math
from functools import partial

import numpy as np

from .geometry import blob, grid
from .materials import OBJECT_CLASSES
from .objects import houses
from .plan import OPEN_LAND, SCALE

_MOVING = [OBJECT_CLASSES.index(name) for name in ('vehicle', 'ship', 'plane')]


def _random_place(plan, smallest, largest):
    """Irregular area: its centre and outline, with a radius in parts of the reach."""
    centre = plan.rng.uniform(-0.5, 0.5, 2) * plan.reach
    return centre, blob(plan.rng, centre, plan.reach * plan.rng.uniform(smallest, largest))


def _remove(plan, moving, least, most):
    """Remove some vehicles, ships and planes, or else some buildings and tanks."""
    share = plan.rng.uniform(least, most)
    plan.items = [item for item in plan.items
                  if (item.label in _MOVING) != moving or not plan.chance(share)]


def _build(plan):
    """Add houses on cleared ground."""
    centre, outline = _random_place(plan, 0.2, 0.4)
    plan.polygon(outline, plan.surface('soil', 'gravel', 'lawn'), only_on=OPEN_LAND)
    size = max(11, 14 * plan.gsd)
    half = plan.rng.uniform(1, 2.5, 2) * size
    places = grid(*(centre - half), *(centre + half), 1.5 * size)
    houses(plan, places, size, size * 0.72, plan.rng.integers(0, 2) * (math.pi / 2))


def _convert(plan):
    """Change the surface of some fields, clearings and yards."""
    for i, ground in enumerate(plan.grounds):
        if ground.role in ('parcel', 'yard') and plan.chance(0.3):
            number = plan.surface('soil', 'gravel', 'plough', 'grass', 'ripe', 'crop')
            plan.grounds[i] = ground._replace(surface=number)


def _flood(plan):
    """Raise rivers, ponds and the sea, or lower the sea, by some pixels."""
    role, width = plan.pick('water', 'shore'), int(plan.rng.integers(3, 10)) * SCALE
    grounds = []
    for ground in plan.grounds:
        if ground.role == role:
            outlines = np.concatenate([ground.outlines, ground.outlines[:, :1]], 1)
            grounds.append(ground._replace(outlines=outlines, width=width))
        grounds.append(ground)
    plan.grounds = grounds


def _fell(plan):
    """Remove trees, and add a clearing where there are woods."""
    share = plan.rng.uniform(0.1, 0.5)
    plan.trees = [crowns[plan.rng.random(len(crowns)) > share] for crowns in plan.trees]
    if any(ground.role == 'wood' for ground in plan.grounds):
        plan.polygon(_random_place(plan, 0.15, 0.4)[1], plan.surface('soil', 'scrub', 'gravel'),
                     only_on=OPEN_LAND)


def _pave(plan):
    """Add a road on open land."""
    line = plan.rng.uniform(-1, 1, (3, 2)) * plan.reach * ((1, 1), (0.4, 0.4), (1, 1))
    plan.line(line, plan.surface('asphalt'), max(8, 4 * plan.gsd), only_on=OPEN_LAND)


#: Edits and their probabilities.
_EDITS = ((_convert, 0.6), (_fell, 0.35), (_flood, 0.4), (_pave, 0.2),
          (partial(_remove, moving=False, least=0.2, most=0.6), 0.5), (_build, 0.6),
          (partial(_remove, moving=True, least=0.2, most=0.7), 0.5))


def second_date(plan, rng):
    """Plan of the second date: random edits of the first one, which is not changed."""
    later = copy.copy(plan)
    later.rng = rng
    later.grounds, later.items = list(plan.grounds), list(plan.items)
    for edit, probability in _EDITS:
        if later.chance(probability):
            edit(later)
    return later


def change_mask(first, second):
    """(H, W) uint8, 1 where any canvas pixel of two drawings shows another surface.

    Illumination, shadows and noise are ignored.
    """
    different = first.canvas != second.canvas
    height, width = first.mask.shape
    return different.reshape(height, SCALE, width, SCALE).any((1, 3)).astype(np.uint8)
