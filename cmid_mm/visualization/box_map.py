"""A small picture of a large image with the boxes found in it."""
from collections.abc import Sequence

import numpy as np

from .class_map import class_colours
from .panels import to_rgb


def save_box_map(image: np.ndarray, corners: np.ndarray, labels: Sequence[str],
                 classes: Sequence[str], out: str, palette: Sequence | None = None) -> None:
    """An image with polygons, a colour a class, and a legend of the classes found.

    Args:
        image (ndarray): (H, W, bands) uint8.
        corners (ndarray): (N, 4, 2), x and y in pixels of ``image``.
        labels (Sequence[str]): Class of each polygon.
        classes (Sequence[str]): All of them; a class has its colour whatever was found.
        out (str): File to write, PNG by its ending.
        palette (Sequence, optional): Colours (R, G, B) of ``classes``.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    colours = dict(zip(classes, np.array(class_colours(len(classes), palette)) / 255))
    panel = to_rgb(image)
    height, width = panel.shape[:2]
    figure = Figure(figsize=(9, 9 * max(0.3, min(1.5, height / width)) + 0.5),
                    layout='constrained')
    axis = figure.subplots()
    axis.imshow(panel)
    axis.set_axis_off()
    if len(corners):
        axis.add_collection(PolyCollection(
            corners, facecolors='none', edgecolors=[colours[label] for label in labels],
            linewidths=1.2))
        figure.legend(
            handles=[Patch(color=colours[name], label=f'{name} ({labels.count(name)})')
                     for name in classes if name in labels],
            loc='outside lower center', ncols=6, frameon=False)
    figure.savefig(out, dpi=110)
