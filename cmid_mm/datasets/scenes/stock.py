"""Upright things: templates placed in oriented frames, turned into pixels all at once.

A scene holds hundreds of small things. Their corners are computed in one array operation
per scene, because calling numpy for each of them would cost more than drawing them.
"""
from typing import NamedTuple

import numpy as np

from .geometry import pairs

#: Corners of a frame as (along, across): front left, front right, rear right, rear left.
CORNERS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], np.float64)


class Item(NamedTuple):
    """A thing in pixels.

    Args:
        label: position in ``OBJECT_CLASSES``.
        parts: list of ((K, 2) int32 convex polygon, ink), painted in order; the first
            ``solid`` of them make the outline, the others lie inside.
        solid: see above.
        quad: (4, 2) float oriented rectangle.
        box: x0, y0, x1, y1 of the outline in pixel edges.
        probes: points (x, y) that must lie on allowed ground.
        allowed: bit mask over segmentation classes.
        height: in pixels.
    """

    label: int
    parts: list
    solid: int
    quad: np.ndarray
    box: list
    probes: list
    allowed: int
    height: float


class _Batch(NamedTuple):
    label: int
    frames: np.ndarray
    template: np.ndarray
    cuts: list
    inks: list
    height: float
    allowed: int
    solid: int
    upright: bool


def boxed(front, rear, half=1.0):
    """Rectangle of a template between two positions along, ``half`` wide to each side."""
    return [(front, half), (front, -half), (rear, -half), (rear, half)]


class Stock:
    """Things waiting to be placed."""

    def __init__(self):
        self._batches = []

    def add(self, label, frames, shapes, inks, height, allowed, solid=1, upright=False):
        """Add things of one template.

        Args:
            label (int): position in ``OBJECT_CLASSES``.
            frames: (N, 5) x, y, length, width in metres, angle in radians.
            shapes (list): convex polygons as (along, across) in [-1, 1], each (K, 2) or
                (N, K, 2).
            inks (list): for each polygon an ink, or a list of N inks.
            height (float): metres.
            allowed (int): bit mask of the classes they may stand on.
            solid (int): number of leading polygons that make the outline.
            upright (bool): whether the frames stand upright in the image whatever the
                scene's turn, as round things do.
        """
        count = len(frames)
        if not count:
            return
        single = [getattr(shape, 'ndim', 2) == 3 for shape in shapes]
        cuts = [0]
        for shape, own in zip(shapes, single, strict=True):
            cuts.append(cuts[-1] + (shape.shape[1] if own else len(shape)))
        if any(single):
            template = np.concatenate(
                [shape if own else np.broadcast_to(shape, (count, len(shape), 2))
                 for shape, own in zip(shapes, single, strict=True)], 1)
        else:
            template = np.array([point for shape in shapes for point in shape])[None]
        self._batches.append(_Batch(
            label, np.asarray(frames, np.float64), template, cuts,
            [ink if isinstance(ink, list) else [ink] * count for ink in inks],
            height, allowed, solid, upright))

    def items(self, plan):
        """All things that touch the image.

        Args:
            plan (Plan): gives the transform from metres to pixels and the size.

        Returns:
            list[Item]: in the order in which they were added.
        """
        if not self._batches:
            return []
        counts = [len(batch.frames) for batch in self._batches]
        frames = np.concatenate([batch.frames for batch in self._batches])
        heights = np.repeat([batch.height / plan.gsd for batch in self._batches], counts)
        turns = np.repeat([0.0 if b.upright else plan.angle for b in self._batches], counts)
        centres = plan.pixels(frames[:, :2])
        half = frames[:, 2:4] * (0.5 / plan.gsd)
        cos, sin = np.cos(frames[:, 4] + turns), np.sin(frames[:, 4] + turns)
        along = pairs(cos, sin) * half[:, :1]
        across = pairs(sin, -cos) * half[:, 1:]
        reach = np.abs(along) + np.abs(across)
        seen = ((centres + reach > -0.5)
                & (centres - reach < (plan.width - 0.5, plan.height - 0.5))).all(1)
        places, templates, owners = [], [], []
        start = 0
        for batch, count in zip(self._batches, counts, strict=True):
            chosen = np.flatnonzero(seen[start:start + count])
            shared = len(batch.template) == 1
            templates.append(np.repeat(batch.template, len(chosen), 0).reshape(-1, 2)
                             if shared else batch.template[chosen].reshape(-1, 2))
            owners.append(len(chosen))
            places.append(chosen.tolist())
            start += count
        seen = np.flatnonzero(seen)
        if not len(seen):
            return []
        centres, along, across = centres[seen], along[seen], across[seen]
        sizes = np.repeat([batch.cuts[-1] for batch in self._batches], owners)
        owner = np.repeat(np.arange(len(seen)), sizes)
        unit = np.concatenate(templates)
        points = np.rint(centres[owner] + along[owner] * unit[:, :1]
                         + across[owner] * unit[:, 1:]).astype(np.int32)
        starts = np.cumsum(sizes) - sizes
        boxes = np.concatenate([np.minimum.reduceat(points, starts),
                                np.maximum.reduceat(points, starts) + 1], 1).tolist()
        quads = (centres[:, None] + along[:, None] * CORNERS[:, :1]
                 + across[:, None] * CORNERS[:, 1:])
        probes = np.rint(np.concatenate([quads, centres[:, None]], 1)).astype(int).tolist()
        return self._assemble(places, points, starts.tolist(), boxes, quads, probes,
                              heights[seen].tolist())

    def _assemble(self, places, points, starts, boxes, quads, probes, heights):
        items = []
        i = 0
        for batch, chosen in zip(self._batches, places, strict=True):
            spans = list(zip(batch.cuts[:-1], batch.cuts[1:], batch.inks, strict=True))
            for place in chosen:
                at = starts[i]
                parts = [(points[at + a:at + b], ink[place]) for a, b, ink in spans]
                items.append(Item(batch.label, parts, batch.solid, quads[i], boxes[i],
                                  probes[i], batch.allowed, heights[i]))
                i += 1
        return items
