"""Content of a scene as shapes, before it is drawn.

Layouts work in metres: the origin is the middle of the image, and the axes are rotated by
a random angle. A plan stores the shapes in the fixed-point coordinates of the drawing
canvas, which has twice the resolution of the image.
"""
import functools
import math
from typing import NamedTuple

import numpy as np

from .geometry import along, subdivide
from .materials import TINTS, is_any_of, surface
from .textures import TILE, crop_texture

OPEN_LAND = is_any_of('bare', 'grass', 'field', 'wood')
#: Canvas pixels per image pixel, and bits after the binary point of coordinates.
SCALE, SHIFT = 2, 4


class Ground(NamedTuple):
    """A part of the ground."""

    # (N, K, 2) int32 canvas coordinates of N polygons or polylines; for a region a bool
    # array of the canvas.
    outlines: np.ndarray
    surface: int
    width: int = 0  # canvas pixels of a polyline, 0 for polygons
    role: str = ''  # tag for the second date
    only_on: np.ndarray | None = None  # (256,) bool table of surfaces that it may cover


class Item(NamedTuple):
    """A labelled object."""

    label: int  # position in OBJECT_CLASSES
    # (K, 2) int32 convex polygons in canvas coordinates, each with the value to draw; a
    # value is a surface plus 256 times a roof aspect.
    parts: list
    quad: np.ndarray  # (4, 2) pixels: front left, front right, rear right, rear left
    only_on: np.ndarray  # (256,) bool table of surfaces on which it can stand


def _canvas_coordinates(pixels):
    """Pixels (..., 2), counted from the image's corner, to int32 canvas coordinates."""
    return np.rint((pixels * SCALE - 0.5) * (1 << SHIFT)).astype(np.int32, order='C')


@functools.cache
def _surfaces_of(materials):
    return np.array([surface(name, tint) for name in materials for tint in range(TINTS)])


class Plan:
    """Shapes of one scene.

    Args:
        rng (numpy.random.Generator): random numbers of the layout.
        height, width (int): pixels.
        gsd (float): metres per pixel.
    """

    def __init__(self, rng, height, width, gsd):
        self.rng, self.height, self.width, self.gsd = rng, height, width, gsd
        self.angle = rng.uniform(0, 2 * math.pi)
        #: Half of the diagonal in metres: [-reach, reach]^2 covers the image.
        self.reach = 0.5 * math.hypot(height, width) * gsd
        self.background = 0
        self.grounds, self.items = [], []
        #: Groups of vehicles that :func:`place_vehicles` turns into items.
        self.vehicles = []
        #: Arrays (N, 2, 4) of x, y, radius in pixels and surface: two discs for a crown.
        self.trees = []
        # Common properties of both dates: brightness, warmth and greenness of every
        # surface, offsets of the textures, period and contrast of the rows.
        self.tints = rng.standard_normal((256, 3)).astype(np.float32)
        self.offsets = rng.integers(0, TILE, (8, 2))
        self.row_period = max(rng.uniform(1.5, 6) / gsd, 2.8)
        self.row_contrast = rng.random(256).astype(np.float32)
        self.canopy_scale = min(max(0.8 / gsd, 0.6), 2.0)

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, *options):
        return options[int(self.rng.random() * len(options))]

    def surface(self, *materials):
        """One of the materials in a random tint."""
        return surface(self.pick(*materials), self.rng.random() * TINTS)

    def surfaces(self, count, *materials):
        """(count,) random surfaces."""
        choice = _surfaces_of(materials)
        return choice[self.rng.integers(0, len(choice), count)]

    def scatter(self, per_hectare):
        """Random points (N, 2) of the scene in metres."""
        count = self.rng.poisson(per_hectare * (2 * self.reach) ** 2 / 1e4)
        return self.rng.uniform(-self.reach, self.reach, (count, 2))

    def across(self, y):
        """Straight line (2, 2) through the whole scene along the x axis."""
        return np.array([(-self.reach, y), (self.reach, y)])

    def pixels(self, points):
        """Metres (..., 2) to pixels, counted from the image's upper left corner."""
        x, y = np.moveaxis(np.asarray(points, float), -1, 0)
        cos, sin = math.cos(self.angle) / self.gsd, math.sin(self.angle) / self.gsd
        return np.stack([x * cos - y * sin + self.width / 2,
                         x * sin + y * cos + self.height / 2], -1)

    def near(self, points, margin=0.0):
        """(N,) whether points lie in the image or at most ``margin`` metres beside it."""
        x, y = self.pixels(points).T
        margin = margin / self.gsd
        return ((x >= -margin) & (y >= -margin)
                & (x < self.width + margin) & (y < self.height + margin))

    def subdivide(self, x0, y0, x1, y1, smallest):
        """Parcels of a rectangle, see :func:`subdivide`, those that the image shows."""
        parcels = np.array(subdivide(self.rng, x0, y0, x1, y1, smallest))
        low, high = parcels[:, :2], parcels[:, 2:]
        return parcels[self.near((low + high) / 2, np.hypot(*(high - low).T) / 2)].tolist()

    def polygon(self, points, what, role='', only_on=None):
        """Add a polygon, (K, 2) in metres; ``what`` is a surface or a material's name."""
        self.line(points, what, 0, role, only_on)

    def line(self, points, what, width, role='', only_on=None):
        """Add polylines (K, 2) or (N, K, 2) of a width, all in metres."""
        if not len(points):
            return
        outlines = _canvas_coordinates(self.pixels(points))
        self.grounds.append(Ground(
            outlines.reshape(-1, *outlines.shape[-2:]),
            surface(what) if isinstance(what, str) else what,
            max(1, round(width * SCALE / self.gsd)) if width else 0, role, only_on))

    def dashes(self, line, what, width=0.25, period=12.0, length=5.0):
        """Add a dashed line."""
        points, headings = along(line, period)
        half = np.array((np.cos(headings), np.sin(headings))).T * (length / 2)
        self.line(np.stack((points - half, points + half), 1), what, width)

    def region(self, number, threshold, scale=2.0, role=''):
        """Add irregular patches: wherever a noise of deviation 1 exceeds a threshold."""
        offset = self.rng.integers(0, TILE, 2)
        relief = crop_texture('relief', offset, self.height * SCALE, self.width * SCALE,
                              scale * SCALE)
        self.grounds.append(Ground(relief > threshold, number, 0, role))

    def plant(self, centres, radii, *materials):
        """Add trees at centres (N, 2) with radii, a number or (N,), all in metres."""
        centres = np.reshape(centres, (-1, 2))
        near = self.near(centres, 6.0)
        centres, radii = centres[near], np.broadcast_to(radii, len(centres))[near]
        count = len(centres)
        crowns = np.empty((count, 2, 4))
        crowns[..., :2] = self.pixels(centres)[:, None]
        crowns[..., 2] = radii[:, None] / self.gsd
        crowns[..., 3] = self.surfaces(count, *materials)[:, None]
        crowns[:, 1, :2] += self.rng.uniform(-0.6, 0.6, (count, 2)) * crowns[:, 1, 2:3]
        crowns[:, 1, 2] *= 0.8
        self.trees.append(crowns)

    def place(self, label, frames, parts, only_on):
        """Add objects of one shape; those with a centre outside the image are left out.

        Args:
            label (int): position in ``OBJECT_CLASSES``.
            frames: (N, 5), see :func:`frames`.
            parts (list): convex polygons, each with its values. Polygons are (K, 2) or
                (N, K, 2) of (ahead, left) in units of half the length and width, values a
                number or (N,), see :class:`Item`.
            only_on: (256,) bool table of surfaces.
        """
        count, inside = len(frames), self.near(frames[:, :2])
        frames = frames[inside]
        centres = self.pixels(frames[:, :2])[:, None]
        cos, sin = np.cos(frames[:, 4] + self.angle), np.sin(frames[:, 4] + self.angle)
        half = frames[:, 2:4] / (2 * self.gsd)
        ahead = np.array((cos, sin)).T[:, None] * half[:, None, :1]
        left = np.array((sin, -cos)).T[:, None] * half[:, None, 1:]

        def corners(polygon):
            polygon = np.asarray(polygon, float)
            polygon = np.broadcast_to(polygon, (count, *polygon.shape[-2:]))[inside]
            return centres + polygon[..., :1] * ahead + polygon[..., 1:] * left

        placed = [zip(_canvas_coordinates(corners(polygon)),
                      np.broadcast_to(values, count)[inside].tolist()) for polygon, values in parts]
        self.items += [Item(label, list(each), quad, only_on) for quad, *each in zip(
            corners([(1, 1), (1, -1), (-1, -1), (-1, 1)]), *placed, strict=True)]


def frames(centres, lengths, widths, headings):
    """(N, 5) x, y, length, width in metres and heading in radians, each a number or (N,)."""
    centres = np.reshape(centres, (-1, 2))
    return np.column_stack([centres, *(np.broadcast_to(values, len(centres)) for values in (
        lengths, widths, headings))])
