"""A picture of the matched cells of two views."""
import colorsys
import math
from collections.abc import Sequence

import cv2
import numpy as np

# pixels of the picture: least side of a view, and the gap between views and scenes
_SIDE = 400
_GAP = 56
_COLUMNS = 2
_LINE_STRENGTH = 0.5


def draw_matched_cells(views: Sequence, matches: Sequence, grid: tuple[int, int]) -> np.ndarray:
    """Draw both views of each scene side by side; matched cells have a number and a line.

    A cell that is matched several times has all its numbers, and the colour of the first.

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
    scale = max(1, math.ceil(_SIDE / len(first)))
    views = [cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
             for view in (first, second)]
    side = len(views[0])
    canvas = np.full((side, 2 * side + _GAP, 3), 255, np.uint8)
    canvas[:, :side], canvas[:, side + _GAP:] = views
    lines, found = canvas.copy(), {}
    for number, pair in enumerate(zip(source.tolist(), target.tolist())):
        boxes = [cell_box(cell, grid, side, left)
                 for cell, left in zip(pair, (0, side + _GAP))]
        cv2.line(lines, *map(centre, boxes), colour_of(number), 2, cv2.LINE_AA)
        for box in boxes:
            found.setdefault(box, []).append(number)
    # lines are transparent, numbers are not
    canvas = cv2.addWeighted(lines, _LINE_STRENGTH, canvas, 1 - _LINE_STRENGTH, 0)
    for box, numbers in found.items():
        cv2.rectangle(canvas, box[:2], box[2:], colour_of(numbers[0]), 2)
        write(canvas, box, ', '.join(str(number + 1) for number in numbers))
    return canvas


def cell_box(index: int, grid: tuple[int, int], side: int, left: int) -> tuple:
    """Outline of a cell of a view of ``side`` px that begins at the column ``left``.

    Returns:
        tuple[int, int, int, int]: left, top, right, bottom, pixels inside the cell.
    """
    row, column = divmod(index, grid[1])
    edges = [round(place * side / count) for place, count in (
        (column, grid[1]), (row, grid[0]), (column + 1, grid[1]), (row + 1, grid[0]))]
    return left + edges[0] + 1, edges[1] + 1, left + edges[2] - 2, edges[3] - 2


def centre(box: tuple) -> tuple:
    """Middle of an outline, (column, row)."""
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


def write(canvas: np.ndarray, box: tuple, text: str) -> None:
    """Write white text on a dark background in the middle of an outline."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    column, row = centre(box)
    left, bottom = column - width // 2, row + height // 2
    cv2.rectangle(canvas, (left - 3, bottom - height - 4), (left + width + 2, bottom + 3),
                  (30, 30, 30), -1)
    cv2.putText(canvas, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, ) * 3, 1,
                cv2.LINE_AA)


def colour_of(number: int) -> tuple:
    """A bright colour, RGB; consecutive numbers have very different colours."""
    # steps of the golden ratio spread any number of hues evenly
    hue = number * 0.618034 % 1
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 1))
