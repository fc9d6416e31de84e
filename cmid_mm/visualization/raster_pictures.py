"""Small pictures of large rasters with the classes or boxes found in them."""
from collections.abc import Sequence

import numpy as np

from .panels import colours_for, to_rgb

# a colour that differs from grey roads and white change
_NO_DATA = (250, 205, 215)


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
    from matplotlib.figure import Figure
    table = np.full((256, 3), _NO_DATA, np.uint8)
    table[:len(palette)] = palette
    panels = [*map(to_rgb, images), table[labels]]
    height, width = labels.shape
    side = 5 * max(0.4, min(1.5, height / width))
    figure = Figure(figsize=(5 * len(panels), side + 0.6), layout='constrained')
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        axis.imshow(panel, interpolation='nearest')
        axis.set_axis_off()
    entries = list(zip(names, palette))
    if (labels == 255).any():
        entries.append(('no data', _NO_DATA))
    _legend(figure, entries)
    figure.savefig(out, dpi=110)


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
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    colours = class_colours(len(names), palette)
    panel = to_rgb(image)
    height, width = panel.shape[:2]
    figure = Figure(figsize=(9, 9 * max(0.3, min(1.5, height / width)) + 0.5),
                    layout='constrained')
    axis = figure.subplots()
    axis.imshow(panel)
    axis.set_axis_off()
    if len(corners):
        axis.add_collection(PolyCollection(
            corners, facecolors='none', linewidths=1.2,
            edgecolors=[np.array(colours[label]) / 255 for label in labels]))
        found, counts = np.unique(labels, return_counts=True)
        _legend(figure, [(f'{names[label]} ({count})', colours[label])
                         for label, count in zip(found, counts)])
    figure.savefig(out, dpi=110)


def _legend(figure, entries: list) -> None:
    """Add (name, colour) below a figure."""
    from matplotlib.patches import Patch
    figure.legend(
        handles=[Patch(facecolor=np.array(colour) / 255, edgecolor='grey', label=name)
                 for name, colour in entries],
        loc='outside lower center', ncols=min(len(entries), 8), frameon=False)
