"""Drawing of a plan: label map, masks and boxes."""
from typing import NamedTuple

import cv2
import numpy as np

from .materials import LABELS
from .plan import OPEN_LAND, SCALE, SHIFT

#: A canvas value is surface + 256 * aspect + (item << _ITEM).
_ITEM = 13


class Drawing(NamedTuple):
    """Result of :func:`draw`; labels, boxes and quads are those of ``Scene``."""

    canvas: np.ndarray  # (2 * H, 2 * W) uint8 surfaces
    surfaces: np.ndarray  # (H, W) uint8, the first of the four canvas pixels of each pixel
    aspects: np.ndarray  # (H, W) uint8 direction of roof faces, 0 for everything else
    mask: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    quads: np.ndarray


def draw(plan):
    """Draw ground, trees, buildings, planes, ships and vehicles, in this order.

    Trees and objects whose ground is unsuitable, for example another object, are left out.
    """
    canvas = np.full((plan.height * SCALE, plan.width * SCALE), plan.background, np.int32)
    for ground in plan.grounds:
        _draw_ground(canvas, ground)
    if plan.trees:
        _draw_trees(canvas, np.concatenate(plan.trees))
    items = _draw_items(canvas, sorted(plan.items, key=lambda item: -item.label))
    # The label of a pixel is that of the first of its four canvas pixels.
    pixels = np.ascontiguousarray(canvas[::SCALE, ::SCALE])
    surfaces = pixels.astype(np.uint8)
    boxes, visible = _boxes(pixels >> _ITEM, len(items))
    items = [items[i] for i in visible]
    return Drawing(
        canvas.astype(np.uint8), surfaces, (pixels >> 8 & 31).astype(np.uint8),
        cv2.LUT(surfaces, LABELS), boxes,
        np.array([item.label for item in items], np.int64),
        np.array([item.quad for item in items], np.float32).reshape(-1, 8))


def _draw_ground(canvas, ground):
    target = canvas if ground.only_on is None else canvas.copy()
    if ground.outlines.dtype == bool:
        target[ground.outlines] = ground.surface
    elif ground.width:
        cv2.polylines(target, list(ground.outlines), False, ground.surface, ground.width,
                      shift=SHIFT)
    else:
        cv2.fillPoly(target, list(ground.outlines), ground.surface, shift=SHIFT)
    if target is not canvas:
        np.copyto(canvas, target, where=ground.only_on[canvas])


def _surfaces_at(canvas, points):
    """Surfaces (...) of the canvas at points (..., 2) in pixels, at its border if outside."""
    x, y = np.moveaxis((points * SCALE).astype(int), -1, 0)
    height, width = canvas.shape
    return canvas[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] & 255


def _draw_trees(canvas, crowns):
    height, width = canvas.shape
    x, y = (crowns[:, 0, :2].T * SCALE).astype(int)
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    discs = crowns[outside | OPEN_LAND[_surfaces_at(canvas, crowns[:, 0, :2])]].reshape(-1, 4)
    # Small crowns are single discs.
    discs = discs[(discs[:, 2] > 1.5) | (np.arange(len(discs)) % 2 == 0)]
    discs[:, :3] *= SCALE << SHIFT
    for x, y, radius, number in np.rint(discs).astype(int).tolist():
        cv2.circle(canvas, (x, y), radius, number, -1, shift=SHIFT)


def _draw_items(canvas, items):
    """Draw items one after the other and return those whose ground is suitable."""
    drawn = []
    for item in items:
        # Corners, middles of the sides, centre.
        middles = (item.quad + np.roll(item.quad, 1, 0)) / 2
        probes = np.concatenate([item.quad, middles, item.quad.mean(0, keepdims=True)])
        if item.only_on[_surfaces_at(canvas, probes)].all():
            drawn.append(item)
            for points, value in item.parts:
                cv2.fillConvexPoly(canvas, points, value + (len(drawn) << _ITEM), shift=SHIFT)
    return drawn


def _boxes(numbers, count):
    """Tight boxes (N, 4) of the items 1 to count in a map (H, W), and the visible items from 0."""
    y, x = np.nonzero(numbers)
    low, high = np.full((count + 1, 2), np.inf), np.zeros((count + 1, 2))
    corners = np.column_stack([x, y])
    np.minimum.at(low, numbers[y, x], corners)
    np.maximum.at(high, numbers[y, x], corners + 1)
    visible = np.flatnonzero(high[1:, 0])
    return np.hstack([low, high])[1:][visible].astype(np.float32), visible
