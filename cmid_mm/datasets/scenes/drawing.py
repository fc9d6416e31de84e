"""Drawing of a plan: label map, masks and boxes."""
from typing import NamedTuple

import cv2
import numpy as np

from .materials import LABELS
from .plan import OPEN_LAND, SCALE, SHIFT

#: A canvas value is surface + 256 * aspect + (item << _ITEM).
_ITEM = 13


class Drawing(NamedTuple):
    """Result of :func:`draw`; the canvas has twice the resolution of the image.

    Args:
        canvas: (2 * H, 2 * W) uint8 surfaces.
        surfaces: (H, W) uint8, the first of the four canvas pixels of each pixel.
        aspects: (H, W) uint8 direction of roof faces, 0 for everything else.
        mask: (H, W) uint8 positions in ``SEGMENTATION_CLASSES``.
        boxes: (N, 4) float32 x0, y0, x1, y1 in pixel edges, tight around the mask.
        labels: (N,) int64 positions in ``OBJECT_CLASSES``.
        quads: (N, 8) float32 corners of oriented rectangles.
    """

    canvas: np.ndarray
    surfaces: np.ndarray
    aspects: np.ndarray
    mask: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    quads: np.ndarray


def draw(plan):
    """Draw ground, trees, buildings, planes, ships and vehicles, in this order.

    Trees and objects whose ground is unsuitable, for example another object, are left out.

    Args:
        plan (Plan): shapes.

    Returns:
        Drawing: label maps and boxes.
    """
    canvas = np.full((plan.height * SCALE, plan.width * SCALE), plan.background, np.int32)
    for ground in plan.grounds:
        _draw_ground(canvas, ground)
    _draw_trees(canvas, plan.trees)
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


def _draw_trees(canvas, trees):
    if not trees:
        return
    crowns = np.concatenate(trees)
    height, width = canvas.shape
    x, y = (crowns[:, 0, :2].T * SCALE).astype(int)
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    x[outside] = y[outside] = 0
    discs = crowns[outside | OPEN_LAND[canvas[y, x] & 255]].reshape(-1, 4)
    # Small crowns are single discs.
    discs = discs[(discs[:, 2] > 1.5) | (np.arange(len(discs)) % 2 == 0)]
    discs[:, :3] *= SCALE << SHIFT
    for x, y, radius, number in np.rint(discs).astype(int).tolist():
        cv2.circle(canvas, (x, y), radius, number, -1, shift=SHIFT)


def _draw_items(canvas, items):
    height, width = canvas.shape
    drawn = []
    if not items:
        return drawn
    # Corners, middles of the sides, centre.
    quads = np.array([item.quad for item in items])
    probes = np.concatenate([quads, (quads + np.roll(quads, 1, 1)) / 2,
                             quads.mean(1, keepdims=True)], 1)
    columns, rows = np.moveaxis((probes * SCALE).astype(int), 2, 0)
    columns = np.minimum(np.maximum(columns, 0), width - 1)
    rows = np.minimum(np.maximum(rows, 0), height - 1)
    for item, row, column in zip(items, rows, columns, strict=True):
        if item.only_on[canvas[row, column] & 255].all():
            drawn.append(item)
            number = len(drawn) << _ITEM
            for points, value in item.parts:
                cv2.fillConvexPoly(canvas, points, value + number, shift=SHIFT)
    return drawn


def _boxes(numbers, count):
    """Tight boxes of the items with the numbers 1 to count in a map (H, W).

    Returns:
        tuple: boxes (N, 4) float32, and which items are visible, (N,) from 0.
    """
    y, x = np.nonzero(numbers)
    item = numbers[y, x] - 1
    boxes = np.empty((4, count), np.float32)
    boxes[:2], boxes[2:] = np.inf, -np.inf
    for place, (side, limit) in enumerate((
            (x, np.minimum), (y, np.minimum), (x + 1, np.maximum), (y + 1, np.maximum))):
        limit.at(boxes[place], item, side.astype(np.float32))
    visible = np.flatnonzero(boxes[2] > 0)
    return np.ascontiguousarray(boxes[:, visible].T), visible
