"""A picture of which cell of one view is compared with which cell of the other."""
import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

# pixels of the picture: least side of a view, and the white between views and scenes
_SIDE = 320
_GAP = 48
_COLUMNS = 2
_DARK = (30, 30, 30)


def draw_matched_cells(views: Sequence, matches: Sequence, grid: tuple[int, int]) -> np.ndarray:
    """Both views of each scene side by side; matched cells have one colour and one line.

    Args:
        views (Sequence[tuple[ndarray, ndarray]]): Of each scene, both (S, S, 3) uint8,
            RGB.
        matches (Sequence[tuple[ndarray, ndarray]]): Of each scene, two (M, ) arrays: flat
            indices of cells of the first view and of the cells they are matched with in
            the second, see ``match_cells``.
        grid (tuple[int, int]): Rows and columns of the cells of a view.

    Returns:
        ndarray: (height, width, 3) uint8, RGB, two scenes a row.
    """
    scenes = [draw_scene(*pair, *match, grid) for pair, match in zip(views, matches)]
    columns = min(_COLUMNS, len(scenes))
    while len(scenes) % columns:
        scenes.append(np.full_like(scenes[0], 255))
    height, width = scenes[0].shape[:2]
    rows = len(scenes) // columns
    picture = np.full((rows * (height + _GAP) - _GAP, columns * (width + 2 * _GAP) - 2 * _GAP, 3),
                      255, np.uint8)
    for number, scene in enumerate(scenes):
        row, column = divmod(number, columns)
        top, left = row * (height + _GAP), column * (width + 2 * _GAP)
        picture[top:top + height, left:left + width] = scene
    return picture


def draw_scene(first: np.ndarray, second: np.ndarray, source: np.ndarray, target: np.ndarray,
               grid: tuple[int, int]) -> np.ndarray:
    """One scene; see ``draw_matched_cells``."""
    scale = max(1, round(_SIDE / len(first)))
    views = [cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
             for view in (first, second)]
    side = len(views[0])
    canvas = np.full((side, 2 * side + _GAP, 3), 255, np.uint8)
    canvas[:, :side], canvas[:, side + _GAP:] = views
    cell = side / grid[0], side / grid[1]
    pairs = [(cell_box(a, grid, cell, 0), cell_box(b, grid, cell, side + _GAP))
             for a, b in zip(source.tolist(), target.tolist())]
    for number, boxes in enumerate(pairs):
        colour = colour_of(number)
        for left, top, right, bottom in boxes:
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2)
    # above the outlines; a dark rim keeps them apart from the ground
    for number, boxes in enumerate(pairs):
        ends = [((left + right) // 2, (top + bottom) // 2) for left, top, right, bottom in boxes]
        for ink, width, radius in ((_DARK, 3, 6), (colour_of(number), 1, 4)):
            cv2.line(canvas, *ends, ink, width, cv2.LINE_AA)
            for end in ends:
                cv2.circle(canvas, end, radius, ink, -1, cv2.LINE_AA)
    return canvas


def cell_box(index: int, grid: tuple[int, int], cell: tuple[float, float], left: int) -> tuple:
    """Outline of a cell: left, top, right, bottom in pixels, within the cell."""
    row, column = divmod(index, grid[1])
    return (left + round(column * cell[1]) + 1, round(row * cell[0]) + 1,
            left + round((column + 1) * cell[1]) - 2, round((row + 1) * cell[0]) - 2)


def colour_of(number: int) -> tuple:
    """A bright colour, RGB; neighbours in number differ much."""
    # steps of the golden section visit the circle of hues evenly, whatever their number
    hue = number * 0.618034 % 1
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 1))
