"""Small pictures of large rasters with the classes or boxes found in them."""
from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from .panels import colours_for, enlarge, save_grid, to_rgb

# a colour that differs from grey roads and white change
_NO_DATA = (250, 205, 215)
# least height and width of an image with boxes in pixels
_SIDE = 600


def class_colours(count: int, palette: Sequence | None = None) -> list[tuple[int, int, int]]:
    """A colour (R, G, B) for each class.

    Args:
        count (int): Classes.
        palette (Sequence, optional): Given colours; missing ones are added.
    """
    known = [tuple(int(level) for level in colour) for colour in palette or ()]
    return (known + colours_for(count)[len(known):])[:count]


def save_class_map(images: Sequence, labels: np.ndarray, names: Sequence[str],
                   palette: Sequence, out: str) -> None:
    """Write images of all dates beside the map, with a legend.

    Args:
        images (Sequence[ndarray]): (H, W, bands) uint8 of each date.
        labels (ndarray): (H, W) uint8 classes, 255 for no data.
        names (Sequence[str]): Names of the classes.
        palette (Sequence): Colours of the classes.
        out (str): File to write, PNG by its ending.
    """
    table = np.full((256, 3), _NO_DATA, np.uint8)
    table[:len(palette)] = palette
    legend = [*zip(names, palette), *[('no data', _NO_DATA)] * bool((labels == 255).any())]
    save_grid([[*map(to_rgb, images), table[labels]]], out, width=5, legend=legend)


def save_box_map(image: np.ndarray, corners: np.ndarray, labels: Sequence[int],
                 names: Sequence[str], out: str, palette: Sequence | None = None) -> None:
    """Write an image with polygons, a colour for each class, and a legend with their numbers.

    Args:
        image (ndarray): (H, W, bands) uint8.
        corners (ndarray): (N, 4, 2), x and y in pixels of ``image``.
        labels (Sequence[int]): Class of each polygon.
        names (Sequence[str]): Names of all classes.
        out (str): File to write, PNG by its ending.
        palette (Sequence, optional): Colours (R, G, B) of the classes.
    """
    colours = class_colours(len(names), palette)
    panel = enlarge(to_rgb(image), _SIDE)
    for label, polygon in zip(labels, corners * (len(panel) / len(image))):
        cv2.polylines(panel, [np.rint(polygon).astype(np.int32)], True, colours[label], 2,
                      cv2.LINE_AA)
    legend = [(f'{names[label]} ({count})', colours[label])
              for label, count in sorted(Counter(labels).items())]
    save_grid([[panel]], out, width=9, legend=legend)
