"""Rivers, coasts and harbours."""
import math

import numpy as np

from ..geometry import along, blob, grid, meander, rectangle, ribbon, shift
from ..materials import surface
from ..objects import halls, houses, ships, vehicles
from .common import open_country, roads, trees
from .rural import fields


def river(plan):
    """A meandering river with sand bars and bushes, fields or woods, sometimes a bridge."""
    rng, reach = plan.rng, plan.reach
    open_country(plan)
    if plan.chance(0.4):
        fields(plan, reach * 0.35, plan.gsd)
    elif plan.chance(0.6):
        plan.region(plan.surface('leaf', 'needle'), rng.uniform(-0.4, 0.8), 0.7, 'wood')
    wide = plan.gsd * rng.uniform(16, 42)
    wavelength = reach * rng.uniform(0.9, 2.0)
    line = meander(rng, reach * 1.1, wavelength * rng.uniform(0.06, 0.15), wavelength, 70)
    line[:, 1] += rng.normal(0, reach * 0.08)
    width = wide * (1 + 0.15 * np.sin(line[:, 0] / (wide * 2) + rng.uniform(0, 6)))
    plan.polygon(ribbon(line, width * 1.2 + 4 * plan.gsd), plan.surface('scrub', 'grass', 'leaf'))
    # Sand bars are on the inner sides of the bends.
    bend = np.gradient(np.gradient(line[:, 1]))
    bars = shift(line, bend / (np.abs(bend).max() + 1e-9) * wide * 0.22)
    plan.polygon(ribbon(bars, width), plan.surface('sand', 'gravel', 'soil'))
    water = plan.pick('river', 'silt', 'river')
    plan.polygon(ribbon(line, width * 0.92), water, 'water')
    plan.polygon(ribbon(line, width * 0.5), surface(water, 1))
    for side in (0.62, -0.62):
        points, _ = along(shift(line, side * width), 6.0 * max(plan.gsd, 0.8))
        kept = rng.random(len(points)) < rng.uniform(0.2, 0.8)
        trees(plan, rng.normal(points[kept], 2.0 * plan.gsd), 1.8, 4.5)
    if plan.chance(0.35):
        across = meander(rng, reach, 3.0, reach * 2)[:, ::-1] + (rng.normal(0, reach * 0.2), 0)
        roads(plan, [across], rng.uniform(7, 11), 0.2, 'concrete')
    if plan.chance(0.35):
        points, headings = along(line, 80.0, rng.uniform(10, 70))
        ships(plan, points, rng.uniform(16, 40), rng.uniform(4, 7), headings)


def coast(plan):
    """Sea with breaking waves, a beach or rocks, vegetation, sometimes houses and boats."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('sea')
    shore = meander(rng, reach * 1.1, reach * rng.uniform(0.03, 0.12), reach * 1.5, 60)
    shore[:, 1] += rng.normal(0, reach * 0.12)
    strip = reach * rng.uniform(0.04, 0.09)
    far = [(reach * 1.1, -reach * 1.5), (-reach * 1.1, -reach * 1.5)]

    def land(seaward, roughness, number, role=''):
        edge = shore + np.stack([np.zeros(60), seaward + rng.normal(0, roughness, 60)], 1)
        plan.polygon(np.concatenate([edge, far]), number, role)

    # The sea floor becomes visible towards the shore.
    for depth in range(3):
        bars = meander(rng, reach, strip * 0.5, reach * 0.8, 60)[:, 1]
        land(strip * (4.5 - 1.5 * depth) + bars, 0, surface('shoal', depth))
    for row in range(rng.integers(2, 5)):
        wave = shore + np.stack([np.zeros(60), strip * (0.3 + 0.8 * row) + meander(
            rng, reach, strip * 0.2, reach * 0.5, 60)[:, 1]], 1)
        for start in range(0, 54, 9):
            if plan.chance(0.7):
                part = wave[start:start + rng.integers(4, 12)]
                swell = np.sin(np.linspace(0.1, math.pi - 0.1, len(part)))
                plan.polygon(ribbon(part, strip * rng.uniform(0.08, 0.3) * swell), 'foam')
    if plan.chance(0.3):
        land(0, strip * 0.35, 'rock', 'shore')
        for x, y in shore[2:-2:3]:
            plan.polygon(blob(rng, (x, y + strip * rng.uniform(-0.2, 0.9)),
                              strip * rng.uniform(0.1, 0.35), 0.4), surface('rock', 1))
    else:
        land(0, strip * 0.03, 'wet_sand', 'shore')
        land(-strip * 0.6, strip * 0.04, 'sand', 'shore')
    back = strip * rng.uniform(1.6, 3.5)
    land(-back, strip * 0.2, plan.surface('scrub', 'grass', 'leaf', 'needle'), 'wood')
    if plan.chance(0.5):
        land(-back - 2.5 * strip, strip * 0.1, plan.surface('leaf', 'needle', 'grass'), 'wood')
    if plan.chance(0.45):
        promenade = shore - (0, back + 8)
        roads(plan, [promenade], 7.0, 0.2)
        points, headings = along(promenade - (0, 20), 24.0)
        houses(plan, points, 14.0, 10.0, headings)
    trees(plan, rng.normal(shore[4:-4:2] - (0, back * 1.3), strip * 0.4))
    if plan.chance(0.4):
        boats = plan.scatter(rng.uniform(0.4, 1.5))
        ships(plan, boats, rng.uniform(10, 24, len(boats)), 3.5 + plan.gsd,
              rng.uniform(0, 6, len(boats)))


def harbour(plan):
    """A marina with boats at jetties, or a quay with cargo ships; sheds on the land."""
    rng, reach = plan.rng, plan.reach
    plan.background = plan.surface('sea', 'river', 'silt', 'sea')
    quay = rng.uniform(-0.3, 0.1) * reach
    plan.polygon(rectangle(-reach, -reach, reach, quay),
                 plan.surface('concrete', 'worn_asphalt', 'asphalt'), 'yard')
    plan.line(plan.across(quay), surface('concrete', 1), 3.0)
    (_marina if plan.chance(0.55) else _cargo_quay)(plan, quay)
    roads(plan, [plan.across(quay - 16.0)], 7.0, 0.3)
    sheds = []
    for x0, y0, x1, y1 in plan.subdivide(-reach, -reach, reach, quay - 24, 30.0):
        if plan.chance(0.7):
            sheds.append((x0 + 4, y0 + 4, x1 - 4, y1 - 6))
        else:
            places = grid(x0 + 3, y0 + 6, x1 - 3, y1 - 6, (4, 14))
            vehicles(plan, places[rng.random(len(places)) < 0.5], math.pi / 2, 0.4)
    halls(plan, sheds)


def _marina(plan, quay):
    rng, reach = plan.rng, plan.reach
    length = max(rng.uniform(9, 14), 15 * plan.gsd)
    end = reach * rng.uniform(0.5, 1.0)
    wood = plan.surface('track', 'concrete')
    gap = 2 * length + rng.uniform(9, 14)
    for x in np.arange(-reach + rng.uniform(0, gap), reach, gap):
        plan.line([[(x, quay), (x, end)]], wood, 2.4)
        for side in (1, -1):
            berths = np.arange(quay + 5, end - 2, length * 0.42)
            berths = berths[rng.random(len(berths)) < rng.uniform(0.5, 0.95)]
            sizes = length * rng.uniform(0.72, 1.05, len(berths))
            centres = np.stack([x + side * (sizes / 2 + 1.6 + plan.gsd), berths], 1)
            ships(plan, centres, sizes, sizes * 0.3, math.pi * rng.integers(0, 2, len(berths)))


def _cargo_quay(plan, quay):
    rng, reach = plan.rng, plan.reach
    spacing = rng.uniform(60, 100)
    x = np.arange(-reach + rng.uniform(0, spacing), reach, spacing)
    lengths = spacing * rng.uniform(0.65, 0.88, len(x))
    ships(plan, np.stack([x, quay + lengths * 0.09 + 3 + plan.gsd], 1), lengths, lengths * 0.18,
          math.pi * rng.integers(0, 2, len(x)), cargo=True)
    if plan.chance(0.6):
        pier, half = rng.normal(0, reach * 0.2), rng.uniform(9, 16)
        plan.polygon(rectangle(pier - half, quay, pier + half, reach), surface('concrete', 2))
        for side in (1, -1):
            y = np.arange(quay + 48, reach, spacing)
            ships(plan, np.stack([np.full(len(y), pier + side * (half + 9)), y], 1),
                  spacing * 0.75, 13.0, math.pi / 2, cargo=True)
