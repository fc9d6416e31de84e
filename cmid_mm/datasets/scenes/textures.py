"""Periodic noise textures, computed once per process from fixed seeds.

Computing noise is slow and slicing is fast, so scenes slice these textures at random offsets.
"""
import functools
import math
import zlib

import cv2
import numpy as np

TILE = 512


def _filtered_noise(rng, gain):
    """Periodic noise with an amplitude spectrum ``gain(radius, angle)`` (cycles per pixel)."""
    y, x = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(x, y)
    radius[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    spectrum *= gain(radius, np.arctan2(y, x + 1e-9))
    spectrum[0, 0] = 0
    return np.fft.irfft2(spectrum, (TILE, TILE))


def _canopy(rng):
    """Tree crowns from above: a dome around each of many random points."""
    apart = cv2.copyMakeBorder(
        np.where(rng.random((TILE, TILE)) < 1 / 90, 0, 255).astype(np.uint8),
        32, 32, 32, 32, cv2.BORDER_WRAP)
    distance, crown = cv2.distanceTransformWithLabels(
        apart, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    brightness = rng.standard_normal(crown.max() + 1)[crown]
    dome = -np.minimum(distance / 7, 1.3) ** 2 + 0.17 * brightness
    return dome[32:-32, 32:-32] + 0.08 * rng.standard_normal((TILE, TILE))


_SPECTRA = {
    'grain': lambda radius, angle: 0.35 + np.exp(-40 * radius**2),
    'patches': lambda radius, angle: radius ** -1.5 * (radius < 0.25),
    'relief': lambda radius, angle: radius ** -1.9 * (radius < 0.2),
    'waves': lambda radius, angle: ((0.05 + np.cos(angle - 0.5) ** 8)
                                    * np.exp(-(np.log(radius / 0.08) / 0.5) ** 2))}


@functools.cache
def _tile(name):
    """(TILE, TILE) float32 with mean 0 and deviation 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name == 'noise':
        texture = rng.standard_normal((TILE, TILE))
    else:
        texture = _canopy(rng) if name == 'canopy' else _filtered_noise(rng, _SPECTRA[name])
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


def crop_texture(name, offset, height, width, scale=1.0):
    """Part of a texture, (height, width) float32 with mean 0 and deviation 1.

    ``offset`` is a row and column of the texture, which repeats itself; ``scale`` enlarges it.
    """
    rows = np.arange(offset[0], offset[0] + math.ceil(height / scale)) % TILE
    columns = np.arange(offset[1], offset[1] + math.ceil(width / scale)) % TILE
    return cv2.resize(_tile(name)[np.ix_(rows, columns)], (width, height))
