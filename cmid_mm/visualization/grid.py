"""Pictures side by side, as one."""
from collections.abc import Sequence

import numpy as np
from PIL import Image


def save_grid(rows: Sequence, path: str, *args, **kwargs) -> None:
    """Write panels as one picture; all but ``path`` as in ``draw_grid``.

    Args:
        rows (Sequence[Sequence[ndarray]]): Panels.
        path (str): File to write, PNG by its ending.
    """
    Image.fromarray(draw_grid(rows, *args, **kwargs)).save(path)


def draw_grid(rows: Sequence, heads: Sequence[str] = (), title: str = '',
              captions: Sequence | None = None) -> np.ndarray:
    """Panels as one picture.

    Args:
        rows (Sequence[Sequence[ndarray]]): Panels, each (H, W, 3) uint8, RGB; rows of
            equal length.
        heads (Sequence[str]): Titles of the columns. Defaults to ().
        title (str): Line above the picture. Defaults to ''.
        captions (Sequence[Sequence[tuple[str, str]]], optional): Text and colour above
            each panel, in place of ``heads``. Defaults to None.

    Returns:
        ndarray: (height, width, 3) uint8, RGB.
    """
    # the object interface: pyplot would look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    columns = len(rows[0])
    figure = Figure(
        figsize=(2.2 * columns, 2.2 * len(rows) + 0.6), dpi=110, layout='constrained')
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, panels in zip(axes, rows):
        for axis, panel in zip(row, panels):
            axis.imshow(np.asarray(panel), interpolation='nearest')
            axis.set_axis_off()
    for axis, head in zip(axes[0], heads):
        axis.set_title(head, fontsize=10)
    for row, texts in zip(axes, captions or ()):
        for axis, (text, colour) in zip(row, texts):
            axis.set_title(text, fontsize=7, color=colour)
    figure.suptitle(title, fontsize=11)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
