"""Pictures side by side, in one file."""
from collections.abc import Sequence

import numpy as np


def save_grid(rows: Sequence, path: str, heads: Sequence[str] = (), title: str = '',
              captions: Sequence | None = None) -> None:
    """Write panels as one picture.

    Args:
        rows (Sequence[Sequence[ndarray]]): Panels, each (H, W, 3) uint8, RGB; rows of
            equal length.
        path (str): File to write, PNG by its ending.
        heads (Sequence[str]): Titles of the columns. Defaults to ().
        title (str): Line above the picture. Defaults to ''.
        captions (Sequence[Sequence[tuple[str, str]]], optional): Text and colour above
            each panel, in place of ``heads``. Defaults to None.
    """
    # the object interface: pyplot would look for a display
    from matplotlib.figure import Figure
    columns = len(rows[0])
    figure = Figure(figsize=(2.2 * columns, 2.2 * len(rows) + 0.6), layout='constrained')
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
    figure.savefig(path, dpi=110)
