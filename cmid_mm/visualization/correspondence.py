"""Matched cells of two images: by their features, or as the training matches two views."""
from collections.abc import Sequence

import cv2
import numpy as np

from .panels import dot, enlarge, hues, to_rgb

_GAP = 12
# height of the images in pixels; smaller ones are enlarged, so that dots cover little
_SIDE = 360


def mutual_matches(first: np.ndarray, second: np.ndarray, number: int) -> tuple:
    """Cells that are each other's nearest neighbours, by the cosine of their features.

    The mean over all cells of both maps, which all cells share, is subtracted first.

    Args:
        first (ndarray): (C, h, w) features of an image.
        second (ndarray): (C, p, q) of another.
        number (int): Largest number of pairs; those of the largest cosine are returned.

    Returns:
        tuple[ndarray, ndarray, ndarray]: (K, 2) int rows and columns in the first map, in
        the second, and (K,) cosines, the largest first.
    """
    flat = [features.reshape(len(features), -1).T.astype(np.float64)
            for features in (first, second)]
    middle = np.concatenate(flat).mean(0)
    units = []
    for cells in flat:
        cells = cells - middle
        lengths = np.linalg.norm(cells, axis=1, keepdims=True)
        units.append(cells / np.maximum(lengths, 1e-12))
    cosine = units[0] @ units[1].T
    there, back = cosine.argmax(1), cosine.argmax(0)
    mutual = np.flatnonzero(back[there] == np.arange(len(there)))
    strength = cosine[mutual, there[mutual]]
    order = np.argsort(-strength, kind='stable')[:number]
    mutual = mutual[order]
    places = [np.stack(np.unravel_index(cells, features.shape[1:]), 1)
              for cells, features in ((mutual, first), (there[mutual], second))]
    return (*places, strength[order])


def displacements(first: np.ndarray, second: np.ndarray, grids: tuple) -> np.ndarray:
    """(K,) distances of matched cells, as shares of the image's side.

    Args:
        first (ndarray): (K, 2) rows and columns.
        second (ndarray): (K, 2).
        grids (tuple): Rows and columns of both maps.
    """
    places = [(cells + 0.5) / grid for cells, grid in zip((first, second), grids)]
    return np.linalg.norm(places[0] - places[1], axis=1)


def draw_matches(images: Sequence, cells: Sequence, grids: tuple,
                 numbered: bool = False) -> np.ndarray:
    """Draw two images side by side, with lines between matched cells.

    Args:
        images (Sequence[ndarray]): Two (H, W, bands) uint8 of one height.
        cells (Sequence[ndarray]): (K, 2) rows and columns in the map of each.
        grids (tuple): Rows and columns of the maps.
        numbered (bool): Whether the pairs are numbered from 1 on. Defaults to False.

    Returns:
        ndarray: (h, 2 w + gap, 3) uint8, h and w a whole multiple of H and W. A pair has one
        colour, which goes from the top left to the bottom right of the first image.
    """
    first, second = (enlarge(to_rgb(image), _SIDE) for image in images)
    height, width = first.shape[:2]
    picture = np.hstack([first, np.full((height, _GAP, 3), 255, np.uint8), second])
    centres = [(places + 0.5) * (np.array([height, width]) / grid)
               for places, grid in zip(cells, grids)]
    colours = hues((centres[0] / (height, width)).mean(1)).tolist()
    centres[1] = centres[1] + [0, width + _GAP]
    pairs = np.rint(np.stack(centres, 1)).astype(int).tolist()
    lines = picture.copy()
    for (one, other), colour in zip(pairs, colours):
        cv2.line(lines, one[::-1], other[::-1], colour, 1, cv2.LINE_AA)
    # lines are transparent, dots and numbers are not
    picture = cv2.addWeighted(lines, 0.6, picture, 0.4, 0)
    for number, (pair, colour) in enumerate(zip(pairs, colours), 1):
        for row, column in pair:
            dot(picture, (row, column), colour)
            # white on a dark outline
            for ink, thickness in ((0, 4), (255, 1)) if numbered else ():
                cv2.putText(picture, str(number), (column + 5, row + 5),
                            cv2.FONT_HERSHEY_SIMPLEX, 0.45, (ink, ) * 3, thickness, cv2.LINE_AA)
    return picture


def draw_matched_cells(views: Sequence, matches: Sequence, grid: tuple[int, int]) -> np.ndarray:
    """Draw both views of several scenes, one scene below the other; see ``draw_matches``.

    Args:
        views (Sequence[tuple[ndarray, ndarray]]): Of each scene, both (S, S, 3) uint8, RGB.
        matches (Sequence[tuple[ndarray, ndarray]]): Of each scene, two (M, ) arrays: flat
            indices of cells of the first view and of the cells they are matched with in
            the second, see ``match_cells``.
        grid (tuple[int, int]): Rows and columns of the cells of a view.

    Returns:
        ndarray: (height, width, 3) uint8, RGB.
    """
    scenes = [draw_matches(pair, [np.stack(np.unravel_index(cells, grid), 1) for cells in match],
                           (grid, grid), numbered=True)
              for pair, match in zip(views, matches)]
    return np.concatenate([np.pad(scene, ((0, _GAP), (0, 0), (0, 0)), constant_values=255)
                           for scene in scenes])
