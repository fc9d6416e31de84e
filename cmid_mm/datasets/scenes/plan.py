"""A scene before it is painted: grounds, trees, buildings and vehicles as shapes.

Layouts fill a plan in metres; the second date is an edited copy of it; painting turns it
into labels. Nothing here knows about light.
"""
import copy
import math
from typing import NamedTuple

import numpy as np

from .inks import Inks
from .stock import Stock
from .textures import TILE


class Ground(NamedTuple):
    """Flat thing, painted in order.

    ``shape`` is 'fill' (polygons), 'line' (polylines of ``size`` pixels), or 'region'
    (where the relief texture exceeds ``size``; ``points`` holds its offset and scale).
    ``role`` lets the second date find what may change.
    """

    shape: str
    points: object
    size: float
    ink: int
    role: str


class Tree(NamedTuple):
    """Crown: circles ((x, y), radius) in pixels, ink, height in pixels."""

    circles: list
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
        cos, sin = math.cos(angle) / gsd, math.sin(angle) / gsd
        self._turn = np.array([[cos, sin], [-sin, cos]])
        self._middle = np.array([(width - 1) * 0.5, (height - 1) * 0.5])
        #: Half of the diagonal in metres: the layout's square [-reach, reach]^2 covers
        #: the image however it is turned.
        self.reach = 0.5 * math.hypot(height, width) * gsd
        self.inks = Inks(dice.generator)
        self.background = None
        self.grounds, self.trees = [], []
        self._buildings, self._craft = Stock(), Stock()
        self._traffic = []
        #: Placed things, filled by :meth:`place`.
        self.buildings, self.craft = [], []
        #: (angle in pixels, period in pixels, kind) of the row channels.
        self.rows = []
        offsets = dice.generator.integers(0, TILE, (8, 2)).tolist()
        #: Offsets of the textures; the same on both dates.
        self.offsets = dict(zip(
            ('grain', 'mottle', 'canopy', 'wave', 'dry', 'relief'), offsets, strict=False))
        self.canopy_scale = 1.0
        self.wave_scale = 1.0

    def edited(self, dice):
        """Copy whose lists can be changed without touching this plan."""
        other = copy.copy(self)
        other.dice = dice
        for name in ('grounds', 'trees', 'buildings', 'craft'):
            setattr(other, name, list(getattr(self, name)))
        return other

    def pixels(self, points):
        """Metres (..., 2) to pixels, float."""
        return np.asarray(points) @ self._turn + self._middle

    def whole_pixels(self, points):
        return np.rint(self.pixels(points)).astype(np.int32)

    def metres(self, points):
        """Pixels (..., 2) to metres."""
        return (np.asarray(points) - self._middle) @ np.linalg.inv(self._turn)

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

    # ground ------------------------------------------------------------------------
    def fill(self, polygon, ink, role=''):
        self.grounds.append(Ground('fill', [self.whole_pixels(polygon)], 0, ink, role))

    def line(self, points, ink, width, role='', thinnest=1):
        """Polyline of a width in metres."""
        size = max(thinnest, round(width / self.gsd))
        self.grounds.append(Ground('line', [self.whole_pixels(points)], size, ink, role))

    def lines(self, segments, ink, width=0.0, role='', thinnest=1):
        """Many straight lines, (N, 2, 2) in metres."""
        size = max(thinnest, round(width / self.gsd))
        self.grounds.append(
            Ground('line', list(self.whole_pixels(segments)), size, ink, role))

    def region(self, ink, threshold, scale=2.0, role=''):
        """Wherever the relief texture (deviation 1) exceeds a threshold."""
        offset = (self.dice.integer(0, TILE), self.dice.integer(0, TILE))
        self.grounds.append(Ground('region', (offset, scale), threshold, ink, role))

    # upright things ------------------------------------------------------------------
    def plant(self, centres, radii, ink, tallness=1.6):
        """Trees.

        Args:
            centres: (N, 2) metres.
            radii: number or (N,), metres.
            ink (int or list): one ink, or one per tree.
            tallness (float): height over radius.
        """
        centres = np.asarray(centres, np.float64).reshape(-1, 2)
        where = self.pixels(centres)
        radii = np.broadcast_to(np.asarray(radii) / self.gsd, len(where))
        margin = radii * 3
        seen = ((where[:, 0] > -margin) & (where[:, 0] < self.width + margin)
                & (where[:, 1] > -margin) & (where[:, 1] < self.height + margin))
        inks = ink if isinstance(ink, list) else [ink] * len(where)
        wobble = self.dice.generator.uniform(-0.6, 0.6, (len(where), 4)).tolist()
        for (x, y), radius, shown, number, (a, b, c, d) in zip(
                where.tolist(), radii.tolist(), seen.tolist(), inks, wobble, strict=True):
            if not shown:
                continue
            circles = [((round(x), round(y)), max(1, round(radius)))]
            if radius > 2.5:
                small = round(radius * 0.66)
                circles += [((round(x + a * radius), round(y + b * radius)), small),
                            ((round(x + c * radius), round(y + d * radius)), small)]
            self.trees.append(Tree(circles, number, radius * tallness))
