"""Remote sensing scenes with the labels of every downstream task."""
import math
from dataclasses import dataclass

import numpy as np

from ...utils.errors import CMIDError
from .change import change_mask, second_date
from .drawing import draw
from .layouts import LAYOUTS
from .objects import place_vehicles
from .plan import Plan
from .rendering import band_weights, render

#: Names of the scene classes; the id is the position.
SCENE_CLASSES = tuple(LAYOUTS)
_SMALLEST, _LARGEST = 16, 8192
# Layout and change have separate random streams.
_LAYOUT, _CHANGE = 0, 1


@dataclass
class Scene:
    """A scene and its labels.

    Args:
        image: (H, W, bands) uint8; one band is grey, three are RGB, from four on RGB, near
            infrared and mixtures of them.
        scene_class (int): position in ``SCENE_CLASSES``.
        mask: (H, W) uint8 positions in ``SEGMENTATION_CLASSES``.
        boxes: (N, 4) float32 x0, y0, x1, y1, in pixel edges, tight around the visible
            pixels.
        labels: (N,) int64 positions in ``OBJECT_CLASSES``.
        quads: (N, 8) float32 corners x, y of oriented rectangles: front left, front
            right, rear right, rear left. At the border of the image they reach beyond
            the box, as do the empty corners around ships and planes.
        gsd (float): metres per pixel.
        image2, mask2, boxes2, labels2, quads2: the second date, None unless requested.
        change: (H, W) uint8, 1 where the content differs, None unless requested.
    """

    image: np.ndarray
    scene_class: int
    mask: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    quads: np.ndarray
    gsd: float
    image2: np.ndarray | None = None
    mask2: np.ndarray | None = None
    boxes2: np.ndarray | None = None
    labels2: np.ndarray | None = None
    quads2: np.ndarray | None = None
    change: np.ndarray | None = None


def generate_scene(seed, index, size=256, bands=3, scene_class=None, change=False,
                   clean=False, gsd=None):
    """Generate scene ``index`` of the infinite series ``seed``.

    The scene depends on the arguments alone, not on other scenes or the process.

    Args:
        seed, index (int): series and number of the scene, not negative.
        size (int or tuple[int]): pixels, or (height, width).
        bands (int): number of bands.
        scene_class (int or str, optional): class; by default the classes alternate.
        change (bool): whether to generate a second date as well.
        clean (bool): without sun, shadows, haze, blur and noise, on both dates: the
            images then differ only where ``change`` is 1.
        gsd (float, optional): metres per pixel instead of a random choice.

    Returns:
        Scene: image and labels.

    Raises:
        CMIDError: for an unknown class, or a size, band count or gsd out of range.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (_SMALLEST <= min(height, width) and max(height, width) <= _LARGEST):
        raise CMIDError(f'size must be {_SMALLEST} to {_LARGEST} pixels a side, got {size!r}')
    if scene_class is None:
        scene_class = index % len(SCENE_CLASSES)
    elif scene_class in SCENE_CLASSES:
        scene_class = SCENE_CLASSES.index(scene_class)
    elif scene_class not in range(len(SCENE_CLASSES)):
        raise CMIDError(f'unknown scene class {scene_class!r}, there are '
                        f'{", ".join(SCENE_CLASSES)}')
    band_weights(bands)
    if gsd is not None and not 0.05 <= gsd <= 20:
        raise CMIDError(f'gsd must be 0.05 to 20 metres per pixel, got {gsd!r}')
    layout, (finest, coarsest) = LAYOUTS[SCENE_CLASSES[scene_class]]
    rng = np.random.default_rng([seed, index, _LAYOUT])
    drawn_gsd = math.exp(rng.uniform(math.log(finest), math.log(coarsest)))
    plan = Plan(rng, int(height), int(width), drawn_gsd if gsd is None else gsd)
    layout(plan)
    place_vehicles(plan)
    first = draw(plan)
    scene = Scene(render(plan, first, bands, clean), int(scene_class), first.mask, first.boxes,
                  first.labels, first.quads, plan.gsd)
    if change:
        plan = second_date(plan, np.random.default_rng([seed, index, _CHANGE]))
        second = draw(plan)
        scene.image2, scene.mask2 = render(plan, second, bands, clean), second.mask
        scene.boxes2, scene.labels2, scene.quads2 = second.boxes, second.labels, second.quads
        scene.change = change_mask(first, second)
    return scene
