"""Remote-sensing-like scenes with the labels of every downstream task."""
import dataclasses
import math

import numpy as np

from .change import change_mask, second_date
from .craft import settle_traffic
from .dice import Dice
from .layouts import LAYOUTS
from .light import draw_conditions, neutral_conditions
from .materials import band_weights
from .paint import paint
from .plan import Plan
from .render import render

#: Names of the scene classes; the id is the position.
SCENE_CLASSES = tuple(LAYOUTS)
_SMALLEST, _LARGEST = 16, 8192
#: Parts of a scene that draw from random streams of their own.
_LAYOUT, _CHANGE = 0, 1


@dataclasses.dataclass
class Scene:
    """A scene and its labels.

    Args:
        image: (H, W, bands) uint8; one band is panchromatic, three are RGB, from four
            on RGB, near infrared, further bands.
        scene_class (int): position in ``SCENE_CLASSES``.
        mask: (H, W) uint8 positions in ``SEGMENTATION_CLASSES``.
        boxes: (N, 4) float32 x0, y0, x1, y1, in pixel edges, tight around the visible
            pixels.
        labels: (N,) int64 positions in ``OBJECT_CLASSES``.
        quads: (N, 8) float32 corners x, y of oriented rectangles: front left, front
            right, rear right, rear left. They lie within the box for rectangular and
            round things inside the image; around ships and planes, whose corners are
            empty, and at the image's border they reach beyond it.
        gsd (float): metres per pixel.
        image2, mask2, boxes2, labels2, quads2: the second date, None unless asked for.
        change: (H, W) uint8, 1 where the content differs, None unless asked for.
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


def _checked_size(size):
    height, width = (size, size) if isinstance(size, int) else size
    if not (_SMALLEST <= height <= _LARGEST and _SMALLEST <= width <= _LARGEST):
        raise ValueError(f'size must be {_SMALLEST} to {_LARGEST} pixels a side, '
                         f'got {size!r}')
    return int(height), int(width)


def _checked_class(scene_class, index):
    """Id of a scene class given as None, id or name; by default they take turns."""
    if scene_class is None:
        return index % len(SCENE_CLASSES)
    if isinstance(scene_class, str):
        if scene_class not in SCENE_CLASSES:
            raise ValueError(f'unknown scene class {scene_class!r}, there are '
                             f'{", ".join(SCENE_CLASSES)}')
        return SCENE_CLASSES.index(scene_class)
    if not 0 <= scene_class < len(SCENE_CLASSES):
        raise ValueError(f'scene_class must be below {len(SCENE_CLASSES)}, '
                         f'got {scene_class!r}')
    return int(scene_class)


def _make_plan(dice, height, width, scene_class, gsd):
    chosen = LAYOUTS[SCENE_CLASSES[scene_class]]
    gsd = dice.log_uniform(*chosen.gsd) if gsd is None else gsd
    plan = Plan(dice, height, width, gsd, dice.uniform(0, 2 * math.pi))
    plan.canopy_scale = min(2.0, max(0.5, 0.9 / gsd))
    chosen.draw(plan)
    settle_traffic(plan)
    plan.place()
    return plan


def generate_scene(seed, index, size=256, bands=3, scene_class=None, change=False,
                   clean=False, gsd=None):
    """Make scene ``index`` of the endless series ``seed``.

    The scene depends on the arguments alone: not on other scenes, nor on the process.

    Args:
        seed, index (int): which scene, not negative.
        size (int or tuple[int]): pixels, or (height, width).
        bands (int): number of bands.
        scene_class (int or str, optional): class; None lets the classes take turns.
        change (bool): whether a second date is made as well.
        clean (bool): without sun, shadows, season, haze, blur and noise, on both dates:
            the images then differ nowhere but where ``change`` is 1.
        gsd (float, optional): metres per pixel instead of a random choice.

    Returns:
        Scene: image and labels.

    Raises:
        ValueError: for an unknown class, or a size, band count or gsd out of range.
    """
    height, width = _checked_size(size)
    scene_class = _checked_class(scene_class, index)
    band_weights(bands)
    if gsd is not None and not 0.05 <= gsd <= 20:
        raise ValueError(f'gsd must be 0.05 to 20 metres per pixel, got {gsd!r}')
    dice = Dice(np.random.default_rng([seed, index, _LAYOUT]))
    plan = _make_plan(dice, height, width, scene_class, gsd)
    painted = paint(plan)
    conditions = neutral_conditions(bands) if clean else draw_conditions(dice, bands)
    image = render(plan, painted, conditions, bands)
    scene = Scene(image, scene_class, painted.mask, painted.boxes, painted.labels,
                  painted.quads, plan.gsd)
    if change:
        _add_second_date(scene, plan, painted, seed, index, bands, clean)
    return scene


def _add_second_date(scene, plan, painted, seed, index, bands, clean):
    dice = Dice(np.random.default_rng([seed, index, _CHANGE]))
    later = second_date(plan, dice)
    after = paint(later)
    conditions = neutral_conditions(bands) if clean else draw_conditions(dice, bands)
    scene.image2 = render(later, after, conditions, bands)
    scene.mask2 = after.mask
    scene.boxes2, scene.labels2, scene.quads2 = after.boxes, after.labels, after.quads
    scene.change = change_mask(plan.inks, painted.ink, after.ink)
