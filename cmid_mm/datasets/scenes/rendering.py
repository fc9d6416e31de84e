"""Rendering of a drawing: colours, textures, sun, atmosphere and sensor."""
import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

from ...utils.errors import CMIDError
from .materials import table
from .objects import ASPECTS
from .plan import SCALE
from .textures import TILE, crop_texture

_COLOURS, _SEASONS, _HEIGHTS = table('colour'), table('season'), table('height')
_CONTRASTS = {name: table(name) for name in ('grain', 'patches', 'canopy', 'waves', 'rows')}
_AUTUMN = np.float32((142, 108, 66, 130))
#: Share of light in the shadow, in red, green, blue and near infrared; skylight is
#: blue.
_SHADOW = np.float32((0.42, 0.46, 0.54, 0.40))


class Conditions(NamedTuple):
    """Imaging conditions, which differ between two dates without a change of the content.

    Args:
        sun (float): direction towards the sun in the image, radians; None for no shadows.
        shadow (float): length of shadows over height.
        season (float): 0 summer to 1 autumn.
        gain, haze: (bands,) factor and offset of the grey values.
        blur (float): deviation of the point spread function in pixels.
        noise (float): deviation in grey values.
        noise_offsets: (bands, 2) offsets in the noise texture.
    """

    sun: float | None
    shadow: float
    season: float
    gain: np.ndarray
    haze: np.ndarray
    blur: float
    noise: float
    noise_offsets: np.ndarray


def draw_conditions(rng, bands):
    """Random conditions of one date."""
    haze = rng.uniform(0, 26)
    cast = rng.normal(0, 0.05, bands)
    if bands >= 3:
        # colour casts vary from warm to cool, and little from green to magenta
        cast[1] *= 0.4
        cast[2] = 0.3 * cast[2] - cast[0]
    return Conditions(
        sun=rng.uniform(0, 2 * math.pi), shadow=1 / math.tan(math.radians(rng.uniform(35, 65))),
        season=rng.random() ** 2, gain=np.exp(rng.normal(0, 0.16) + cast) * (1 - haze / 255),
        haze=haze * np.exp(-cast), blur=rng.uniform(0.35, 0.7), noise=rng.uniform(0.8, 3.5),
        noise_offsets=rng.integers(0, TILE, (bands, 2)))


def neutral_conditions(bands):
    """Conditions without shadows, haze, blur and noise."""
    return Conditions(None, 0.0, 0.2, np.ones(bands), np.zeros(bands), 0.0, 0.0, None)


@functools.cache
def band_weights(bands):
    """Weights (4, bands) of red, green, blue and near infrared.

    One band is grey, two to four are the first of the four, further ones are fixed
    mixtures of them.

    Raises:
        CMIDError: ``bands`` is not a whole number from 1 on.
    """
    if isinstance(bands, bool) or int(bands) != bands or bands < 1:
        raise CMIDError(f'bands must be a whole number from 1 on, got {bands!r}')
    if bands == 1:
        return np.float32([[1 / 3], [1 / 3], [1 / 3], [0]])
    mixtures = np.random.default_rng(0).dirichlet(np.ones(4), max(0, bands - 4)).T
    return np.concatenate([np.eye(4), mixtures], 1)[:, :bands].astype(np.float32)


def render(plan, drawing, conditions, bands):
    """Image of a drawing.

    Args:
        plan (Plan): tints, texture offsets and rows.
        drawing (Drawing): label maps.
        conditions (Conditions): light and sensor.
        bands (int): number of bands.

    Returns:
        numpy.ndarray: (H, W, bands) uint8.
    """
    weights = band_weights(bands)
    colours = _surface_colours(plan, conditions) @ weights * conditions.gain
    colours = np.minimum(np.rint(colours), 255).astype(np.uint8)
    height, width = drawing.mask.shape
    texture = _texture(plan, drawing)
    if conditions.sun is not None:
        shadow = _illuminate(texture, plan, drawing, conditions)
    planes = []
    for band, plane in enumerate(_bands(drawing.canvas, colours)):
        plane = cv2.multiply(plane, texture, dtype=cv2.CV_32F)
        if conditions.sun is not None:
            darkness = 1 - float(_SHADOW @ weights[:, band])
            cv2.multiply(plane, 1 - darkness * shadow, dst=plane)
        if conditions.blur:
            plane = cv2.GaussianBlur(plane, (3, 3), conditions.blur)
        if conditions.noise:
            noise = crop_texture('noise', conditions.noise_offsets[band], height, width)
            plane = cv2.scaleAdd(noise, conditions.noise, plane)
        planes.append(cv2.convertScaleAbs(plane, beta=conditions.haze[band]))
    return np.stack(planes, -1)


def _shrink(canvas):
    """Mean of the canvas pixels of each image pixel, which makes edges smooth."""
    height, width = canvas.shape[:2]
    return cv2.resize(canvas, (width // SCALE, height // SCALE), interpolation=cv2.INTER_AREA)


def _bands(canvas, colours):
    """Planes (H, W) uint8 of all bands from colours (256, bands), four with each look-up."""
    for first in range(0, colours.shape[1], 4):
        group = np.zeros((256, 4), np.uint8)
        chosen = colours[:, first:first + 4]
        group[:, :chosen.shape[1]] = chosen
        image = cv2.LUT(canvas, group.view(np.int32)).view(np.uint8)
        yield from cv2.split(_shrink(image.reshape(*canvas.shape, 4)))[:chosen.shape[1]]


def _surface_colours(plan, conditions):
    """(256, 4) grey values of all surfaces, with tint and season."""
    autumn = conditions.season * _SEASONS[:, None] * np.tanh(0.8 + 0.4 * plan.tints[:, :1])
    colours = _COLOURS * (1 - autumn) + _AUTUMN * autumn
    brightness, warmth, green = plan.tints.T
    return colours * np.exp(np.stack([
        0.10 * brightness + 0.05 * warmth, 0.10 * brightness + 0.03 * green,
        0.10 * brightness - 0.05 * warmth, 0.10 * brightness], 1))


def _modulate(image, surfaces, contrasts, pattern):
    """Add a pattern to an image, with a contrast (256,) for each surface."""
    cv2.accumulateProduct(cv2.LUT(surfaces, np.float32(contrasts)), pattern, image)


def _texture(plan, drawing):
    """(H, W) float32 brightness by textures and rows."""
    height, width = drawing.mask.shape
    texture = np.ones((height, width), np.float32)
    present = np.bincount(drawing.surfaces.ravel(), minlength=256) > 0
    for name, offset in zip(('grain', 'patches', 'waves', 'canopy'), plan.offsets, strict=False):
        if _CONTRASTS[name][present].any():
            scale = plan.canopy_scale if name == 'canopy' else 1
            _modulate(texture, drawing.surfaces, _CONTRASTS[name],
                      crop_texture(name, offset, height, width, scale))
    # Rows run along the layout's axes: even tints along x, odd tints along y.
    for odd in (0, 1):
        contrasts = _CONTRASTS['rows'] * plan.row_contrast * (np.arange(256) % 2 == odd)
        if contrasts[present].any():
            _modulate(texture, drawing.surfaces, contrasts,
                      _rows(plan.angle + odd * math.pi / 2, plan.row_period, height, width))
    return texture


def _rows(angle, period, height, width):
    """(H, W) float32 stripes in the direction of an angle."""
    x = np.arange(width, dtype=np.float32) * np.float32(-math.sin(angle) * 2 * math.pi / period)
    y = np.arange(height, dtype=np.float32) * np.float32(math.cos(angle) * 2 * math.pi / period)
    return np.outer(np.sin(y), np.cos(x)) + np.outer(np.cos(y), np.sin(x))


def _illuminate(texture, plan, drawing, conditions):
    """Shade a texture (H, W) in place by the sun.

    Roofs are shaded by their aspect, crowns by the slope of a smoothed height map.

    Returns:
        numpy.ndarray: (H, W) float32 share of each pixel that lies in a cast shadow.
    """
    height, width = drawing.mask.shape
    facing = np.cos(np.arange(-1, 255) * (2 * math.pi / ASPECTS) - conditions.sun)
    facing[0] = 0
    cv2.multiply(texture, cv2.LUT(drawing.aspects, np.float32(1 + 0.28 * facing)), dst=texture)
    lengths = _HEIGHTS * (conditions.shadow / plan.gsd)
    lengths = cv2.LUT(drawing.surfaces, np.minimum(lengths, 255).astype(np.uint8))
    size = 2 * round(1.2 / plan.gsd) + 3
    relief = cv2.blur(lengths, (size, size)) * np.float32(0.4 * plan.gsd)
    relief += crop_texture('canopy', plan.offsets[3], height, width, plan.canopy_scale)
    relief = cv2.copyMakeBorder(relief, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    x, y = round(2 * math.cos(conditions.sun)), round(2 * math.sin(conditions.sun))
    slope = (relief[2 - y:2 - y + height, 2 - x:2 - x + width]
             - relief[2 + y:2 + y + height, 2 + x:2 + x + width])
    _modulate(texture, drawing.surfaces, _CONTRASTS['canopy'], slope)
    # The edges of shadows are soft, because the sun is not a point.
    shadow = cv2.blur(cast_shadows(lengths, conditions.sun), (3, 3))
    return shadow.astype(np.float32) * np.float32(1 / 255)


def cast_shadows(lengths, sun):
    """Cast shadows.

    A pixel is dark where a longer shadow than its own arrives from the direction of the
    sun: lengths travel away from the sun and lose one for every pixel, in steps of 1, 2,
    4, ... pixels.

    Args:
        lengths: (H, W) uint8 length in pixels of the shadow that each pixel casts.
        sun (float): direction towards the sun, radians.

    Returns:
        numpy.ndarray: (H, W) uint8, 255 in the shadow.
    """
    arriving, (rows, columns), step = lengths.copy(), lengths.shape, 1
    while step < lengths.max():
        x = min(max(round(-step * math.cos(sun)), -columns), columns)
        y = min(max(round(-step * math.sin(sun)), -rows), rows)
        moved = cv2.subtract(arriving, step)
        moved = moved[max(0, -y):rows - max(0, y), max(0, -x):columns - max(0, x)]
        target = arriving[max(0, y):rows + min(0, y), max(0, x):columns + min(0, x)]
        np.maximum(target, moved, out=target)
        step *= 2
    return cv2.compare(arriving, lengths, cv2.CMP_GT)
