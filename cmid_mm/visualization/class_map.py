"""A small picture of a large map of classes."""
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.enums import Resampling

from .panels import colours_for, to_rgb

# unlike grey roads and white change
_NOTHING = (250, 205, 215)


def class_colours(count: int, palette: Sequence | None = None) -> list[tuple[int, int, int]]:
    """A colour (R, G, B) for each class.

    Args:
        count (int): Classes.
        palette (Sequence, optional): Colours that are known; a short one is filled up.
    """
    known = [tuple(int(level) for level in colour) for colour in palette or ()]
    return (known + colours_for(count)[len(known):])[:count]


def save_class_map(images: Sequence, path: str, size: tuple, names: Sequence[str],
                   palette: Sequence, out: str) -> None:
    """Images of all dates beside the map, with a legend.

    Args:
        images (Sequence[ndarray]): (H, W, bands) uint8 of each date.
        path (str): The map, a GeoTIFF of classes with 255 for no data.
        size (tuple[int, int]): (H, W) in which it is drawn.
        names (Sequence[str]): Of the classes.
        palette (Sequence): Their colours.
        out (str): File to write, PNG by its ending.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    with rasterio.open(path, driver='GTiff') as file:
        labels = file.read(1, out_shape=size, resampling=Resampling.nearest)
    table = np.full((256, 3), _NOTHING, np.uint8)
    table[:len(palette)] = palette
    panels = [*map(to_rgb, images), table[labels]]
    height, width = size
    side = 5 * max(0.4, min(1.5, height / width))
    figure = Figure(figsize=(5 * len(panels), side + 0.6), layout='constrained')
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        axis.imshow(panel, interpolation='nearest')
        axis.set_axis_off()
    entries = list(zip(names, palette))
    if (labels == 255).any():
        entries.append(('no data', _NOTHING))
    figure.legend(
        handles=[Patch(facecolor=np.array(colour) / 255, edgecolor='grey', label=name)
                 for name, colour in entries],
        loc='outside lower center', ncols=min(len(entries), 8), frameon=False)
    figure.savefig(out, dpi=110)
