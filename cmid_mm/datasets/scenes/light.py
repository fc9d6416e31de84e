"""Sun, air and sensor: everything that differs between two dates without a change."""
import math
from typing import NamedTuple

import cv2
import numpy as np

from .inks import table
from .materials import HEIGHTS, LABELS, OBJECT_CLASSES, WOOD

#: Bits of the shade map, and the surfaces that receive them.
_LOW_SHADOW, _TALL_SHADOW, _LIT = 1, 2, 4
_TANK = OBJECT_CLASSES.index('storage_tank')


class Conditions(NamedTuple):
    """What a date looks like.

    Args:
        sun (float): direction towards the sun in the image, radians.
        elevation (float): of the sun, radians.
        season (float): 0 green to 1 withered.
        gain: (bands,) factors of brightness, colour cast included.
        haze: (bands,) grey values added by the air.
        gamma (float): exponent from reflectance to grey value.
        slope: change of brightness across the image along x and y.
        blur (float): weight of the neighbours in the sensor's point spread.
        noise (float): standard deviation in grey values.
        noise_offsets: (bands, 2) where the noise is cut from its tile.
    """

    sun: float
    elevation: float
    season: float
    gain: np.ndarray
    haze: np.ndarray
    gamma: float
    slope: tuple
    blur: float
    noise: float
    noise_offsets: list


def draw_conditions(dice, bands):
    """Random conditions of one date.

    Args:
        dice (Dice): random numbers.
        bands (int): number of bands.

    Returns:
        Conditions: never two alike.
    """
    brightness = dice.log_uniform(0.85, 1.5)
    haze = max(0.0, dice.uniform(-30, 45))
    # casts run from cool to warm, hardly from green to magenta
    warm, green = dice.around(0.08), dice.around(0.025)
    cast = dice.generator.normal(0, 0.06, bands)
    cast[:3] = (warm, green, -warm)[:min(bands, 3)]
    return Conditions(
        sun=dice.uniform(0, 2 * math.pi), elevation=math.radians(dice.uniform(32, 66)),
        season=dice.random() ** 1.7,
        gain=brightness * np.exp(cast) * (1 - haze / 350),
        haze=haze * np.exp(-0.5 * cast), gamma=dice.uniform(0.5, 0.68),
        slope=(dice.around(0.06), dice.around(0.06)), blur=dice.uniform(0.05, 0.2),
        noise=dice.log_uniform(0.8, 4.0),
        noise_offsets=dice.generator.integers(0, 512, (bands, 2)).tolist())


def neutral_conditions(bands):
    """No sun, no air, no noise, no blur: the content alone, for exact comparisons."""
    return Conditions(sun=None, elevation=None, season=0.3, gain=np.ones(bands),
                      haze=np.zeros(bands), gamma=0.6, slope=(0.0, 0.0), blur=0.0,
                      noise=0.0, noise_offsets=None)


def _cast(shade, items, dx, dy, bit):
    """Shadows of upright things: outlines swept along the shadow's direction."""
    boxes = [item for item in items if item.solid == 1]
    if boxes:
        quads = np.array([item.quad for item in boxes], np.float32)
        heights = np.array([item.height for item in boxes], np.float32)[:, None, None]
        moved = quads + heights * np.float32([dx, dy])
        swept = np.rint(np.concatenate([quads, moved], 1)).astype(np.int32)
        for points in swept:
            cv2.fillConvexPoly(
                shade, points[4:] if bit == _LOW_SHADOW else cv2.convexHull(points), bit)
    for item in items:
        if item.solid > 1:
            shift = np.int32([round(dx * item.height), round(dy * item.height)])
            for points, _ in item.parts[:item.solid]:
                cv2.fillConvexPoly(shade, points + shift, bit)


def _cast_round(shade, x, y, radius, dx, dy, bit):
    """Shadow of a round thing: a disc swept along the shadow's direction."""
    cv2.line(shade, (x, y), (round(x + dx), round(y + dy)), bit, max(1, 2 * radius - 1))


def _cast_trees(shade, trees, dx, dy):
    if trees:
        crowns = np.array([tree.circles[0] for tree in trees], np.float64)
        height = np.array([tree.height for tree in trees])[:, None]
        ends = np.rint(crowns[:, :2] + height * (dx, dy)).astype(int).tolist()
        for tree, end in zip(trees, ends, strict=True):
            x, y, radius = tree.circles[0]
            cv2.line(shade, (x, y), end, _TALL_SHADOW, 2 * radius - 1)


def _light_trees(shade, trees, dx, dy):
    """The half of the crowns that faces the sun."""
    circles = [circle for tree in trees for circle in tree.circles]
    if circles:
        crowns = np.array(circles, np.float64)
        crowns[:, :2] += crowns[:, 2:] * (dx, dy)
        crowns[:, 2] *= 0.68
        for x, y, radius in np.rint(crowns).astype(int).tolist():
            cv2.circle(shade, (x, y), radius, _LIT, -1)


def _wood_edges(shade, mask, steps):
    """Shadows that woods throw on open ground, by moving the wood's mask."""
    woods = cv2.min(cv2.compare(mask, WOOD, cv2.CMP_EQ), _TALL_SHADOW)
    height, width = shade.shape
    for x, y in steps:
        if abs(x) >= width or abs(y) >= height:
            continue
        to = shade[max(0, y):height + min(0, y), max(0, x):width + min(0, x)]
        from_ = woods[max(0, -y):height + min(0, -y), max(0, -x):width + min(0, -x)]
        cv2.bitwise_or(to, from_, dst=to)


def shade_factor(painted, columns, conditions, wood_height):
    """Brightness by shadow and by the round shape of crowns.

    Args:
        painted (Painted): label map and upright things.
        columns (Columns): of the scene's inks.
        conditions (Conditions): where the sun stands.
        wood_height (float): of closed woods in pixels; 0 where there are none.

    Returns:
        numpy.ndarray: (H, W) float32 factors.
    """
    ink = painted.ink
    shade = np.zeros_like(ink)
    wood = LABELS[columns.material] == WOOD
    reach = 1 / math.tan(conditions.elevation)
    sx, sy = math.cos(conditions.sun), math.sin(conditions.sun)
    dx, dy = -sx * reach, -sy * reach
    low = [item for item in painted.craft if item.height * reach > 0.8]
    _cast(shade, low, dx, dy, _LOW_SHADOW)
    if wood_height:
        _wood_edges(shade, painted.mask, {
            (round(dx * wood_height * part), round(dy * wood_height * part))
            for part in (0.3, 0.6, 0.9)})
    _cast_trees(shade, painted.trees, dx * 0.6, dy * 0.6)
    _cast(shade, [b for b in painted.buildings if b.label != _TANK], dx, dy, _TALL_SHADOW)
    for item in painted.buildings:
        if item.label == _TANK:
            x0, y0, x1, y1 = item.box
            _cast_round(shade, (x0 + x1) // 2, (y0 + y1) // 2, (x1 - x0) // 2,
                        dx * item.height, dy * item.height, _TALL_SHADOW)
    _light_trees(shade, painted.trees, sx * 0.35, sy * 0.35)
    accepted = np.array([3, 2, 0], np.uint8)[HEIGHTS[columns.material]]
    accepted[wood] = _LIT
    cv2.bitwise_and(shade, cv2.LUT(ink, table(accepted, np.uint8)), dst=shade)
    factors = np.ones(256, np.float32)
    shadow = 0.40 + 0.12 * math.sin(conditions.elevation)
    factors[[1, 2, 3]] = shadow
    factors[_LIT] = 1.45
    return cv2.LUT(shade, factors)


def slope_factor(columns, conditions):
    """(number of inks,) brightness of roof faces by their direction to the sun."""
    aspect = columns.aspect
    facing = np.cos(aspect - conditions.sun)
    tilt = 0.34 * math.cos(conditions.elevation) + 0.06
    return np.where(np.isnan(aspect), 1.0, 1 + tilt * np.nan_to_num(facing))
