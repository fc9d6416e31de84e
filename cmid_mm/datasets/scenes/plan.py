"""A scene before it is painted: grounds, trees, buildings and vehicles as shapes.

Layouts fill a plan in metres; :meth:`Plan.place` turns it into pixels; the second date is
an edited copy of it; painting turns it into labels. Nothing here knows about light.
"""
import copy
import math
from typing import NamedTuple

import numpy as np

from .geometry import along, numbers, pairs
from .inks import Inks
from .stock import Stock
from .textures import TILE


class Ground(NamedTuple):
    """Flat thing, painted in order.

    ``shape`` is 'fill' (polygons), 'patch' (the same, but neither on water nor on roads),
    'line' (polylines of ``size`` pixels), 'dash' (a line until it is placed; ``size`` holds
    spacing and length in metres) or 'region' (where the relief texture exceeds ``size``;
    ``points`` holds its offset and scale). ``role`` lets the second date find what may
    change.
    """

    shape: str
    points: object
    size: object
    ink: int
    role: str


class Tree(NamedTuple):
    """Crown: circles (x, y, radius) in pixels, ink, height in pixels."""

    circles: tuple
    ink: int
    height: float


def on(*labels):
    """Bit mask of segmentation classes."""
    return sum(1 << label for label in labels)


class Plan:
    """Shapes of one scene.

    Args:
        dice (Dice): random numbers of the layout.
        height, width (int): size in pixels.
        gsd (float): metres per pixel.
        angle (float): turn of the layout's axes in the image, radians.
    """

    def __init__(self, dice, height, width, gsd, angle):
        self.dice, self.height, self.width = dice, height, width
        self.gsd, self.angle = gsd, angle
        self._cos, self._sin = cos, sin = math.cos(angle), math.sin(angle)
        self._turn = np.array([[cos, sin], [-sin, cos]]) / gsd
        self._middle = np.array([(width - 1) * 0.5, (height - 1) * 0.5])
        #: Half of the diagonal in metres: the layout's square [-reach, reach]^2 covers
        #: the image however it is turned.
        self.reach = 0.5 * math.hypot(height, width) * gsd
        self.inks = Inks(dice.generator)
        self.background = None
        #: (angle in pixels, period in pixels, kind) of the row channels.
        self.rows = []
        offsets = dice.generator.integers(0, TILE, (5, 2)).tolist()
        #: Offsets of the textures; the same on both dates.
        self.offsets = dict(zip(
            ('grain', 'mottle', 'canopy', 'wave', 'dry'), offsets, strict=True))
        self.canopy_scale = self.wave_scale = 1.0
        #: Placed things, in pixels.
        self.grounds, self.trees, self.buildings, self.craft = [], [], [], []
        self._wait()

    def _wait(self):
        self._grounds, self._trees = [], []
        self.new_buildings, self.new_craft = Stock(), Stock()
        #: Places (N, 2) and headings (N,) of vehicles, and roads that carry some.
        self.parked, self.routes = [], []

    def edited(self, dice):
        """Copy whose lists can be changed without touching this plan."""
        other = copy.copy(self)
        other.dice = dice
        for name in ('grounds', 'trees', 'buildings', 'craft'):
            setattr(other, name, list(getattr(self, name)))
        other._wait()
        return other

    def pixels(self, points):
        """Metres (..., 2) to pixels, float."""
        return np.asarray(points) @ self._turn + self._middle

    def near(self, points, margin):
        """(N,) whether points lie in the image or within a margin (metres, (N,)) of it."""
        where = np.abs(self.pixels(points) - self._middle) * self.gsd
        return ((where[:, 0] - margin < self.width * self.gsd / 2)
                & (where[:, 1] - margin < self.height * self.gsd / 2))

    def shows(self, x0, y0, x1, y1):
        """Whether some of a rectangle in metres may lie in the image."""
        x, y = (x0 + x1) * 0.5, (y0 + y1) * 0.5
        margin = 0.5 * math.hypot(x1 - x0, y1 - y0)
        cos, sin = self._cos, self._sin
        return (abs(x * cos - y * sin) - margin < self.width * self.gsd * 0.5
                and abs(x * sin + y * cos) - margin < self.height * self.gsd * 0.5)

    def add_rows(self, angle, period, kind='wave', floor=2.6):
        """New row channel.

        Args:
            angle (float): direction of the rows in the layout's axes, radians.
            period (float): metres; never finer than ``floor`` pixels.
            kind (str): 'wave', 'ridge' or 'line'.

        Returns:
            int: number of the channel.
        """
        self.rows.append((angle + self.angle, max(period / self.gsd, floor), kind))
        return len(self.rows) - 1

    def patch(self, polygon, ink, role=''):
        """Polygon, (K, 2) in metres, painted on open land and woods alone."""
        self._grounds.append(Ground('patch', [polygon], 0, ink, role))

    def fill(self, polygon, ink, role=''):
        """Polygon, (K, 2) in metres."""
        self._grounds.append(Ground('fill', [polygon], 0, ink, role))

    def line(self, points, ink, width, role='', thinnest=1):
        """Polyline of a width in metres, at least ``thinnest`` pixels."""
        self.lines([points], ink, width, role, thinnest)

    def lines(self, lines, ink, width=0.0, role='', thinnest=1):
        """Many polylines, each (K, 2) in metres."""
        if len(lines):
            size = max(thinnest, round(width / self.gsd))
            self._grounds.append(Ground('line', lines, size, ink, role))

    def dashes(self, line, ink, spacing=12.0, length=5.0):
        """Thin dashed line, metres."""
        self._grounds.append(Ground('dash', line, (spacing, length), ink, ''))

    def region(self, ink, threshold, scale=2.0, role=''):
        """Wherever the relief texture (deviation 1) exceeds a threshold."""
        offset = (self.dice.integer(0, TILE), self.dice.integer(0, TILE))
        self._grounds.append(Ground('region', (offset, scale), threshold, ink, role))

    def plant(self, centres, radii, ink, tallness=1.6):
        """Trees.

        Args:
            centres: (N, 2) metres.
            radii: number or (N,), metres.
            ink (int or list): one ink, or one per tree.
            tallness (float): height over radius.
        """
        count = len(centres)
        if count:
            inks = ink if isinstance(ink, list) else [ink] * count
            self._trees.append((np.asarray(centres, np.float64).reshape(-1, 2),
                                numbers(radii, count), inks, tallness))

    def place(self):
        """Turn what waits into pixels and add it to the placed things."""
        self._place_grounds()
        self._place_trees()
        self.buildings += self.new_buildings.items(self)
        self.craft += self.new_craft.items(self)
        self._wait()

    def _place_grounds(self):
        waiting = self._grounds
        self._cut_dashes(waiting)
        shapes = []
        for ground in waiting:
            if isinstance(ground.points, np.ndarray):
                shapes.append(ground.points.reshape(-1, 2))
            elif ground.shape != 'region':
                shapes += [np.asarray(points) for points in ground.points]
        if shapes:
            cuts = np.cumsum([0] + [len(shape) for shape in shapes]).tolist()
            whole = np.rint(self.pixels(np.concatenate(shapes))).astype(np.int32)
            placed = iter([whole[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)])
            for i, ground in enumerate(waiting):
                if isinstance(ground.points, np.ndarray):
                    points = list(next(placed).reshape(ground.points.shape))
                elif ground.shape != 'region':
                    points = [next(placed) for _ in ground.points]
                else:
                    continue
                waiting[i] = ground._replace(points=points)
        self.grounds += waiting

    def _cut_dashes(self, grounds):
        """Replace dashed lines by their dashes, all of one spacing at once."""
        for spacing, length in {g.size for g in grounds if g.shape == 'dash'}:
            chosen = [i for i, g in enumerate(grounds) if g.size == (spacing, length)]
            lines = [grounds[i].points for i in chosen]
            points, angles, segment = along(
                np.concatenate([line[:-1] for line in lines]),
                np.concatenate([line[1:] for line in lines]), spacing)
            step = pairs(np.cos(angles), np.sin(angles)) * (length / 2)
            dashes = np.stack([points - step, points + step], 1)
            near = self.near(points, length)
            stop = np.cumsum([len(line) - 1 for line in lines])
            cuts = np.searchsorted(segment, stop)
            cuts = [0, *cuts.tolist()]
            for i, a, b in zip(chosen, cuts[:-1], cuts[1:], strict=True):
                grounds[i] = Ground('line', dashes[a:b][near[a:b]], 1, grounds[i].ink, '')

    def _place_trees(self):
        if not self._trees:
            return
        where = self.pixels(np.concatenate([trees[0] for trees in self._trees]))
        radii = np.concatenate([trees[1] for trees in self._trees]) / self.gsd
        inks = [ink for trees in self._trees for ink in trees[2]]
        tallness = np.repeat([trees[3] for trees in self._trees],
                             [len(trees[0]) for trees in self._trees])
        margin = 3 * radii[:, None]
        seen = np.flatnonzero(((where > -margin)
                               & (where < (self.width, self.height) + margin)).all(1))
        where, radii = where[seen], radii[seen]
        wobble = self.dice.generator.uniform(-0.6, 0.6, (1, len(seen), 2))
        spots = np.concatenate([where[None], where + wobble * radii[:, None]])
        sizes = np.stack([radii, radii * 0.7])
        circles = np.concatenate([spots, np.maximum(sizes, 1)[..., None]], 2)
        circles = np.rint(circles).astype(int).transpose(1, 0, 2).tolist()
        for crown, i, radius, height in zip(
                circles, seen.tolist(), radii.tolist(), (radii * tallness[seen]).tolist(),
                strict=True):
            # a small crown is a single disc
            self.trees.append(Tree(crown if radius > 3.6 else crown[:1], inks[i], height))
