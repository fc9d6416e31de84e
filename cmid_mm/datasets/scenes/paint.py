"""Plan to label map: which ink every pixel shows, and which items made it."""
from typing import NamedTuple

import cv2
import numpy as np

from .inks import table
from .materials import BARE, FIELD, GRASS, WOOD
from .plan import on
from .textures import crop

#: Items of which less than this share, and fewer than so many pixels, lie in the image
#: are left out of it.
_LEAST_VISIBLE, _ENOUGH_PIXELS = 0.4, 250
_OPEN_LAND = on(BARE, GRASS, FIELD, WOOD)


class Painted(NamedTuple):
    """Result of :func:`paint`.

    Args:
        ink: (H, W) uint8 label map.
        mask: (H, W) uint8 positions in ``SEGMENTATION_CLASSES``.
        trees, buildings, craft: what was painted.
        boxes: (N, 4) float32 x0, y0, x1, y1 in pixel edges, of the labelled items.
        labels: (N,) int64 positions in ``OBJECT_CLASSES``.
        quads: (N, 8) float32 oriented rectangles.
    """

    ink: np.ndarray
    mask: np.ndarray
    trees: list
    buildings: list
    craft: list
    boxes: np.ndarray
    labels: np.ndarray
    quads: np.ndarray


def _paint_grounds(ink, grounds, labels):
    height, width = ink.shape
    for shape, points, size, number, _ in grounds:
        if shape == 'fill':
            cv2.fillPoly(ink, points, number)
        elif shape == 'line':
            cv2.polylines(ink, points, False, number, size)
        elif shape == 'patch':
            inside = cv2.fillPoly(np.zeros_like(ink), points, 255)
            open_land = [255 * (_OPEN_LAND >> label & 1) for label in labels]
            cv2.bitwise_and(inside, cv2.LUT(ink, table(open_land, np.uint8)), dst=inside)
            cv2.copyTo(np.full_like(ink, number), inside, ink)
        else:
            offset, scale = points
            relief = crop('relief', offset, height, width, scale)
            inside = cv2.compare(relief, size, cv2.CMP_GT)
            cv2.copyTo(np.full_like(ink, number), inside, ink)


def _paint_trees(ink, trees, labels):
    height, width = ink.shape
    painted = []
    for tree in trees:
        x, y, _ = tree.circles[0]
        if (0 <= x < width and 0 <= y < height
                and not _OPEN_LAND >> labels[ink.item(y, x)] & 1):
            continue
        for x, y, radius in tree.circles:
            cv2.circle(ink, (x, y), radius, tree.ink, -1)
        painted.append(tree)
    return painted


def _paint_cut_item(ink, item):
    """Paint an item that the border cuts, unless too little is left of it.

    It is painted beside the image and copied, since OpenCV rounds polygons that it clips
    a little differently.

    Returns:
        list: tight box of the visible part, None where nothing was painted.
    """
    height, width = ink.shape
    x0, y0, x1, y1 = item.box
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return None
    mostly_outside = not (-x1 < x0 < 2 * width - x1 and -y1 < y0 < 2 * height - y1)
    if mostly_outside and (x1 - x0) * (y1 - y0) < _ENOUGH_PIXELS:
        return None
    shape, colour = np.zeros((2, y1 - y0, x1 - x0), np.uint8)
    for i, (points, number) in enumerate(item.parts):
        points = points - np.int32([x0, y0])
        cv2.fillConvexPoly(colour, points, number)
        if i < item.solid:
            cv2.fillConvexPoly(shape, points, 1)
    left, top = max(0, -x0), max(0, -y0)
    visible = shape[top:height - y0, left:width - x0]
    count = cv2.countNonZero(visible)
    enough = min(_ENOUGH_PIXELS, _LEAST_VISIBLE * cv2.countNonZero(shape))
    if count < max(4, enough):
        return None
    x, y, w, h = cv2.boundingRect(visible)
    rows, columns = np.nonzero(visible)
    ink[rows + (top + y0), columns + (left + x0)] = colour[rows + top, columns + left]
    left, top = left + x0 + x, top + y0 + y
    return [left, top, left + w, top + h]


def _stands_free(ink, item, labels, height, width):
    allowed = item.allowed
    for x, y in item.probes:
        if (0 <= x < width and 0 <= y < height
                and not allowed >> labels[ink.item(y, x)] & 1):
            return False
    return True


def _paint_items(ink, items, labels):
    height, width = ink.shape
    painted, boxes = [], []
    for item in items:
        if not _stands_free(ink, item, labels, height, width):
            continue
        box = item.box
        if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
            box = _paint_cut_item(ink, item)
            if box is None:
                continue
        else:
            for points, number in item.parts:
                cv2.fillConvexPoly(ink, points, number)
        painted.append(item)
        boxes.append(box)
    return painted, boxes


def _oriented(items):
    """(N, 8) rectangles, grown by the half pixel that painting adds on every side."""
    if not items:
        return np.zeros((0, 8), np.float32)
    quads = np.array([item.quad for item in items])
    sides = quads - np.roll(quads, 1, 1)
    sides /= np.maximum(np.hypot(sides[..., 0], sides[..., 1])[..., None], 1e-6)
    grown = quads + 0.5 + 0.5 * (sides - np.roll(sides, -1, 1))
    return grown.reshape(-1, 8).astype(np.float32)


def paint(plan):
    """Paint a plan.

    Ground first, then trees, buildings and at last vehicles; an item whose corners would
    lie on something that it cannot stand on is left out, so nothing labelled is covered
    by anything else.

    Args:
        plan (Plan): what to paint.

    Returns:
        Painted: label map and labelled items.
    """
    ink = np.full((plan.height, plan.width), plan.background, np.uint8)
    labels = plan.inks.label
    _paint_grounds(ink, plan.grounds, labels)
    trees = _paint_trees(ink, plan.trees, labels)
    buildings, building_boxes = _paint_items(ink, plan.buildings, labels)
    craft, craft_boxes = _paint_items(ink, plan.craft, labels)
    pairs = [(item, box) for item, box in zip(
        buildings + craft, building_boxes + craft_boxes, strict=True) if item.label >= 0]
    boxes = np.array([box for _, box in pairs], np.float32).reshape(-1, 4)
    chosen = np.array([item.label for item, _ in pairs], np.int64)
    quads = _oriented([item for item, _ in pairs])
    mask = cv2.LUT(ink, table(labels, np.uint8))
    return Painted(ink, mask, trees, buildings, craft, boxes, chosen, quads)
