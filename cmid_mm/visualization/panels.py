"""Parts of pictures: colours, outlines, enlarged images, and grids of panels."""
from collections.abc import Sequence

import cv2
import numpy as np

_DPI = 110
#: Colours of views and classes, in this order.
COLOURS = ((255, 196, 0), (66, 133, 255), (230, 60, 60), (60, 190, 90), (171, 71, 188),
           (255, 112, 67), (38, 198, 218), (158, 157, 36), (236, 64, 122), (121, 85, 72),
           (120, 144, 156), (126, 87, 255))


def to_rgb(image: np.ndarray) -> np.ndarray:
    """(H, W, bands) uint8 to (H, W, 3): the first three bands, or the first as grey."""
    return np.ascontiguousarray(
        image[..., :3] if image.shape[2] >= 3 else image[..., [0, 0, 0]])


def colours_for(number: int) -> list:
    """Distinct colours for classes; up to twelve are the first of ``COLOURS``."""
    if number <= len(COLOURS):
        return list(COLOURS[:number])
    # around the circle of hues, neighbours of different brightness
    wheel = [(180 * i / number, 230, (255, 150, 205)[i % 3]) for i in range(number)]
    rgb = cv2.cvtColor(np.uint8([wheel]), cv2.COLOR_HSV2RGB)[0]
    return [tuple(colour) for colour in rgb.tolist()]


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    """Repeat pixels until the shorter side has at least ``side`` pixels."""
    factor = max(1, -(-side // min(image.shape[:2])))
    return image.repeat(factor, 0).repeat(factor, 1)


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """Resize (H, W, 3) so that its longer side has ``side`` pixels."""
    scale = side / max(image.shape[:2])
    size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
    return cv2.resize(image, size,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def outline(image: np.ndarray, box: Sequence, colour: tuple, width: int = 1) -> None:
    """Draw the border of a box in an image, inside the box.

    Args:
        image (ndarray): (H, W, 3) uint8, changed in place.
        box (Sequence[int]): Top, left, height, width in pixels.
        colour (tuple[int, int, int]): RGB.
        width (int): Width of the border in pixels. Defaults to 1.
    """
    top, left, rows, columns = box
    part = image[top:top + rows, left:left + columns]
    for edge in (part[:width], part[-width:], part[:, :width], part[:, -width:]):
        edge[:] = colour


def dot(image: np.ndarray, place: Sequence, colour: tuple, radius: int = 3) -> None:
    """Draw a filled circle with a dark rim at (row, column) into an image, in place."""
    centre = round(float(place[1])), round(float(place[0]))
    cv2.circle(image, centre, radius + 1, (0, 0, 0), -1, cv2.LINE_AA)
    cv2.circle(image, centre, radius, tuple(int(c) for c in colour), -1, cv2.LINE_AA)


def hues(positions: np.ndarray) -> np.ndarray:
    """A colour for each of (N,) positions from 0 to 1: (N, 3) uint8, red through violet."""
    wheel = np.stack([np.clip(positions, 0, 1) * 150, np.full(len(positions), 230),
                      np.full(len(positions), 255)], -1)
    return cv2.cvtColor(wheel[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]


def draw_grid(rows: Sequence, *args, **kwargs) -> np.ndarray:
    """Panels as one picture, (height, width, 3) uint8, RGB; the arguments of ``save_grid``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(_figure(rows, *args, **kwargs))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_grid(rows: Sequence, path: str, *args, **kwargs) -> None:
    """Write panels as one picture.

    Args:
        rows (Sequence[Sequence[ndarray]]): Panels, each (H, W, 3) uint8, RGB; rows of
            equal length.
        path (str): File to write; its ending is the format: .png, .jpg, .pdf or .svg.
        heads (Sequence[str]): Titles of the columns. Defaults to ().
        title (str): Line above the picture. Defaults to ''.
        captions (Sequence[Sequence[tuple[str, str]]], optional): Text and colour above
            each panel, in place of ``heads``. Defaults to None.
        width (float): Width of a panel in inches of 110 pixels. Defaults to 2.2.
        legend (Sequence[tuple[str, tuple]]): Names and colours (R, G, B) of the entries below
            the picture. Defaults to ().
    """
    _figure(rows, *args, **kwargs).savefig(path)


def _figure(rows: Sequence, heads: Sequence[str] = (), title: str = '',
            captions: Sequence | None = None, width: float = 2.2, legend: Sequence = ()):
    # the object interface, because pyplot searches for a display
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    columns, (sides, *_) = len(rows[0]), (panel.shape for panel in rows[0])
    height = width * min(1.5, max(0.3, sides[0] / sides[1])) * len(rows)
    longest = max((len(name) for name, _ in legend), default=0)
    entries_a_row = max(1, int(_DPI * width * columns / (60 + 7 * longest)))
    figure = Figure(figsize=(width * columns, height + 0.6 + 0.25 * len(legend) / entries_a_row),
                    dpi=_DPI, layout='constrained')
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, panels in zip(axes, rows):
        for axis, panel in zip(row, panels):
            # nearest neighbours would lose lines of panels that are reduced
            axis.imshow(panel, interpolation='nearest' if panel.shape[1] < _DPI * width
                        else 'antialiased')
            axis.set_axis_off()
    for axis, head in zip(axes[0], heads):
        axis.set_title(head, fontsize=10)
    for row, texts in zip(axes, captions or ()):
        for axis, (text, colour) in zip(row, texts):
            axis.set_title(text, fontsize=7, color=colour)
    figure.suptitle(title, fontsize=11)
    if legend:
        figure.legend(
            handles=[Patch(facecolor=np.array(colour) / 255, edgecolor='grey', label=name)
                     for name, colour in legend],
            loc='outside lower center', ncols=min(len(legend), entries_a_row), fontsize=8,
            frameon=False)
    return figure
