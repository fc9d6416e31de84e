"""Rendering of a drawing: colours, textures, sun, atmosphere and sensor."""
import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

from ...utils.errors import CMIDError
from .materials import table
from .objects import ASPECTS
from .textures import TILE, crop_texture

_COLOURS, _SEASONS, _HEIGHTS = table('colour'), table('season'), table('height')
_CONTRASTS = {name: table(name) for name in ('grain', 'patches', 'waves', 'canopy', 'rows')}
_AUTUMN = np.float32((142, 108, 66, 130))
#: Share of light in the shadow, in red, green, blue and near infrared; skylight is blue.
_SHADOW = np.float32((0.42, 0.46, 0.54, 0.40))


class Conditions(NamedTuple):
    """Imaging conditions, which differ between two dates without a change of the content."""

    gain: np.ndarray  # (bands,) factor of the grey values
    haze: np.ndarray  # (bands,) offset of the grey values
    season: float = 0.2  # 0 summer to 1 autumn
    sun: float | None = None  # direction towards the sun, radians; None for no shadows
    shadow: float = 0.0  # length of shadows over height
    blur: float = 0.0  # deviation of the point spread function in pixels
    noise: float = 0.0  # deviation in grey values
    noise_offsets: np.ndarray | None = None  # (bands, 2) offsets in the noise texture


def draw_conditions(rng, bands, clean):
    """Conditions of one date: random ones, or ``clean``, without light, haze and noise."""
    if clean:
        return Conditions(np.ones(bands), np.zeros(bands))
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


@functools.cache
def band_weights(bands):
    """Weights (4, bands) of red, green, blue and near infrared.

    One band is grey, two to four are the first of the four, further ones are fixed
    mixtures of them.
    """
    if isinstance(bands, bool) or int(bands) != bands or bands < 1:
        raise CMIDError(f'bands must be a whole number from 1 on, got {bands!r}')
    if bands == 1:
        return np.float32([[1 / 3], [1 / 3], [1 / 3], [0]])
    mixtures = np.random.default_rng(0).dirichlet(np.ones(4), max(0, bands - 4)).T
    return np.concatenate([np.eye(4), mixtures], 1)[:, :bands].astype(np.float32)


def render(plan, drawing, bands, clean):
    """Image of a drawing, (H, W, bands) uint8; see :func:`generate_scene` for ``clean``."""
    conditions = draw_conditions(plan.rng, bands, clean)
    weights = band_weights(bands)
    colours = _surface_colours(plan, conditions) @ weights * conditions.gain
    colours = np.minimum(np.rint(colours), 255).astype(np.uint8)
    height, width = drawing.mask.shape
    texture = _texture(plan, drawing)
    if not clean:
        shadow = _illuminate(texture, plan, drawing, conditions)
    planes = []
    for band in range(bands):
        # The mean of the canvas pixels of each image pixel makes edges smooth.
        plane = cv2.resize(cv2.LUT(drawing.canvas, colours[:, band].copy()), (width, height),
                           interpolation=cv2.INTER_AREA)
        plane = cv2.multiply(plane, texture, dtype=cv2.CV_32F)
        if not clean:
            plane *= 1 - (1 - _SHADOW @ weights[:, band]) * shadow
            plane = cv2.GaussianBlur(plane, (3, 3), conditions.blur)
            noise = crop_texture('noise', conditions.noise_offsets[band], height, width)
            plane = cv2.scaleAdd(noise, conditions.noise, plane)
        planes.append(cv2.convertScaleAbs(plane, beta=conditions.haze[band]))
    return np.stack(planes, -1)


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
    for name, offset in zip(('grain', 'patches', 'waves', 'canopy'), plan.offsets):
        pattern = crop_texture(name, offset, height, width,
                               plan.canopy_scale if name == 'canopy' else 1)
        _modulate(texture, drawing.surfaces, _CONTRASTS[name], pattern)
    # Rows run along the layout's axes: even tints along x, odd tints along y.
    for odd in (0, 1):
        contrasts = _CONTRASTS['rows'] * plan.row_contrast * (np.arange(256) % 2 == odd)
        _modulate(texture, drawing.surfaces, contrasts,
                  _rows(plan.angle + odd * math.pi / 2, plan.row_period, height, width))
    return texture


def _rows(angle, period, height, width):
    """(H, W) float32 stripes in the direction of an angle."""
    x = np.arange(width, dtype=np.float32) * np.float32(-math.sin(angle) * 2 * math.pi / period)
    y = np.arange(height, dtype=np.float32) * np.float32(math.cos(angle) * 2 * math.pi / period)
    return np.outer(np.sin(y), np.cos(x)) + np.outer(np.cos(y), np.sin(x))


def _illuminate(texture, plan, drawing, conditions):
    """Shade a texture (H, W) in place: roofs by their aspect, crowns by the slope of a relief.

    Returns:
        numpy.ndarray: (H, W) float32 share of each pixel that lies in a cast shadow.
    """
    facing = np.cos(np.arange(-1, 255) * (2 * math.pi / ASPECTS) - conditions.sun)
    facing[0] = 0
    texture *= cv2.LUT(drawing.aspects, np.float32(1 + 0.28 * facing))
    lengths = np.minimum(_HEIGHTS * (conditions.shadow / plan.gsd), 255).astype(np.uint8)
    lengths = cv2.LUT(drawing.surfaces, lengths)
    size = 2 * round(1.2 / plan.gsd) + 3
    relief = cv2.blur(lengths, (size, size)) * np.float32(0.4 * plan.gsd)
    relief += crop_texture('canopy', plan.offsets[3], *texture.shape, plan.canopy_scale)
    slope = (_moved(relief, conditions.sun, 2, cv2.BORDER_REPLICATE)
             - _moved(relief, conditions.sun, -2, cv2.BORDER_REPLICATE))
    _modulate(texture, drawing.surfaces, _CONTRASTS['canopy'], slope)
    # The edges of shadows are soft, because the sun is not a point.
    shadow = cv2.blur(cast_shadows(lengths, conditions.sun), (3, 3))
    return shadow.astype(np.float32) * np.float32(1 / 255)


def _moved(image, direction, distance, border):
    """An image (H, W) moved by whole pixels; ``direction`` is in radians."""
    x, y = round(distance * math.cos(direction)), round(distance * math.sin(direction))
    return cv2.warpAffine(image, np.float32([[1, 0, x], [0, 1, y]]), image.shape[::-1],
                          flags=cv2.INTER_NEAREST, borderMode=border)


def cast_shadows(lengths, sun):
    """(H, W) uint8, 255 in the shadow, of the length in pixels of each pixel's shadow.

    A pixel is dark where a longer shadow than its own arrives from the direction of the
    sun: lengths (H, W) uint8 travel away from the sun and lose one for every pixel, in
    steps of 1, 2, 4, ... pixels.
    """
    arriving, step = lengths, 1
    while step < lengths.max():
        moved = _moved(cv2.subtract(arriving, step), sun, -step, cv2.BORDER_CONSTANT)
        arriving = np.maximum(arriving, moved)
        step *= 2
    return cv2.compare(arriving, lengths, cv2.CMP_GT)
