"""Elements that several layouts share."""
from ..geometry import blob
from ..objects import traffic
from ..plan import OPEN_LAND

GROUND = ('grass', 'lawn', 'scrub', 'soil', 'grass', 'stubble')
TREES = ('leaf', 'needle', 'young_wood')


def open_country(plan, *materials):
    """Background with irregular patches of other materials."""
    materials = materials or GROUND
    plan.background = plan.surface(*materials)
    for _ in range(plan.rng.integers(0, 3)):
        plan.region(plan.surface(*materials), plan.rng.uniform(0.4, 1.4),
                    plan.rng.uniform(0.5, 1.2))


def wood(plan, centre, radius):
    """Wood with an irregular edge of single trees; never on water or roads."""
    species = plan.pick(*TREES)
    outline = blob(plan.rng, centre, radius)
    plan.polygon(outline, plan.surface(species), 'wood', OPEN_LAND)
    plan.plant(outline[::2], min(4.5, max(2.0, radius * 0.1)), species)


def trees(plan, centres, smallest=2.0, largest=4.5):
    """Single trees of a few species at centres (N, 2), radii in metres."""
    radii = plan.rng.uniform(smallest, largest, len(centres))
    plan.plant(centres, radii, *TREES, 'leaf')


def clumps(plan, count, spread):
    """Groups of trees, each spread over some metres."""
    for centre in plan.rng.uniform(-plan.reach, plan.reach, (count, 2)):
        trees(plan, plan.rng.normal(centre, spread, (plan.rng.integers(5, 15), 2)))


def roads(plan, lines, width, cars=0.0, shoulder='gravel', material='asphalt'):
    """Roads of two lanes with dashed middle lines, which cross without steps.

    ``cars`` is the share of the places with vehicles; lines are (N, 2).
    """
    for number, size in ((shoulder, width + 2.5), (material, width)):
        for line in lines:
            plan.line(line, number, size)
    for line in lines:
        if material != 'track' and width > 5:
            plan.dashes(line, 'marking')
        traffic(plan, line, (width / 4, -width / 4), cars)
