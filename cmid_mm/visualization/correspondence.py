"""Cells of two images with matching features."""
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


def draw_matches(images: list, cells: tuple, grids: tuple) -> np.ndarray:
    """Draw two images side by side, with lines between matched cells.

    Args:
        images (list[ndarray]): Two (H, W, bands) uint8 of one height.
        cells (tuple[ndarray, ndarray]): (K, 2) rows and columns in the map of each.
        grids (tuple): Rows and columns of the maps.

    Returns:
        ndarray: (h, 2 w + gap, 3) uint8, h and w a whole multiple of H and W. A pair has one
        colour, which goes from the top left to the bottom right of the first image.
    """
    images = [enlarge(to_rgb(image), _SIDE) for image in images]
    height, width = images[0].shape[:2]
    picture = np.full((height, 2 * width + _GAP, 3), 255, np.uint8)
    picture[:, :width], picture[:, width + _GAP:] = images
    centres = [(places + 0.5) * (np.array([height, width]) / grid)
               for places, grid in zip(cells, grids)]
    centres[1] = centres[1] + [0, width + _GAP]
    place = centres[0] / (height, width)
    colours = hues(place.mean(1))
    lines = picture.copy()
    for one, other, colour in zip(*centres, colours.tolist()):
        ends = [tuple(int(v) for v in np.rint(end[::-1])) for end in (one, other)]
        cv2.line(lines, *ends, colour, 1, cv2.LINE_AA)
    # lines are transparent, dots are not
    picture = cv2.addWeighted(lines, 0.6, picture, 0.4, 0)
    for one, other, colour in zip(*centres, colours):
        dot(picture, one, colour)
        dot(picture, other, colour)
    return picture


def save_matches(picture: np.ndarray, path: str, title: str = '') -> None:
    """Write a picture of ``draw_matches``, PNG by the ending of the path."""
    # the object interface, because pyplot searches for a display
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8.4, 4.5), layout='constrained')
    axis = figure.subplots()
    axis.imshow(picture)
    axis.set_axis_off()
    axis.set_title(title, fontsize=10)
    figure.savefig(path, dpi=110)
