"""Periodic texture tiles, made once per process from a fixed seed.

Making noise is slow and cropping it is free: every scene takes its textures from these
tiles at offsets of its own.
"""
import functools
import zlib

import cv2
import numpy as np

TILE = 512


def _spectral(rng, exponent, low=0.0, high=1.0):
    """Periodic noise whose amplitude falls as frequency**-exponent, within a band."""
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    fy = np.fft.fftfreq(TILE)[:, None]
    fx = np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1.0
    gain = radius ** -exponent * (radius >= low) * (radius <= high)
    gain[0, 0] = 0.0
    return np.fft.irfft2(spectrum * gain, (TILE, TILE))


def _canopy(rng, crowns=3200, smallest=4.0, largest=9.5):
    """Height of a closed canopy: the upper envelope of domes of several sizes."""
    height = np.zeros((TILE, TILE), np.float32)
    where = rng.integers(0, TILE, (crowns, 2))
    radii = smallest + (largest - smallest) * rng.random(crowns) ** 1.6
    for (y, x), radius in zip(where, radii, strict=True):
        reach = int(np.ceil(radius))
        span = np.arange(-reach, reach + 1)
        squeeze, lean = rng.uniform(0.75, 1.3), rng.uniform(0, np.pi)
        u = np.cos(lean) * span[None] + np.sin(lean) * span[:, None]
        v = np.cos(lean) * span[:, None] - np.sin(lean) * span[None]
        inside = 1 - (u * squeeze / radius) ** 2 - (v / squeeze / radius) ** 2
        dome = np.sqrt(np.maximum(inside, 0)) * radius * rng.uniform(0.7, 1.2)
        rows, columns = np.ix_((y + span) % TILE, (x + span) % TILE)
        height[rows, columns] = np.maximum(height[rows, columns], dome)
    return height + 0.6 * rng.standard_normal(height.shape)


def _waves(rng):
    """A sea that runs in one main direction, with shorter cross waves."""
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    fy = np.fft.fftfreq(TILE)[:, None]
    fx = np.fft.rfftfreq(TILE)[None]
    radius, angle = np.hypot(fy, fx), np.arctan2(fy, fx + 1e-9)
    swell = np.exp(-(np.log(np.maximum(radius, 1e-6) / 0.07) / 0.35) ** 2)
    ripple = 0.35 * np.exp(-(np.log(np.maximum(radius, 1e-6) / 0.2) / 0.5) ** 2)
    spread = 0.04 + np.cos(angle - 0.5) ** 8
    return np.fft.irfft2(spectrum * spread * (swell + ripple), (TILE, TILE))


def _grain(rng):
    white = rng.standard_normal((TILE, TILE)).astype(np.float32)
    wrapped = cv2.copyMakeBorder(white, 4, 4, 4, 4, cv2.BORDER_WRAP)
    return 0.6 * white + 2.0 * cv2.GaussianBlur(wrapped, (0, 0), 1.2)[4:-4, 4:-4]


_MAKERS = {
    'white': lambda rng: rng.standard_normal((TILE, TILE)),
    'grain': _grain,
    'mottle': lambda rng: _spectral(rng, 1.5, 0.004, 0.25),
    'relief': lambda rng: _spectral(rng, 1.9, 0.004, 0.2),
    'canopy': _canopy,
    'wave': _waves,
}


@functools.cache
def tile(name):
    """Texture repeated twice along both axes, so that every crop is a view.

    Args:
        name (str): one of white, grain, mottle, relief, canopy, wave.

    Returns:
        numpy.ndarray: (2 * TILE, 2 * TILE) float32 of mean 0 and deviation 1, read-only.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    made = _MAKERS[name](rng).astype(np.float32)
    made = np.tile((made - made.mean()) / made.std(), (2, 2))
    made.setflags(write=False)
    return made



def make_tiles():
    """Make all tiles now, so that processes started hereafter share them."""
    for name in _MAKERS:
        tile(name)


def crop(name, offset, height, width, scale=1.0):
    """Cut a texture out of its tile.

    Args:
        name (str): which tile.
        offset (tuple[int]): row and column in the tile, each in [0, TILE).
        height, width (int): size of the result in pixels.
        scale (float): enlargement of the texture.

    Returns:
        numpy.ndarray: (height, width) float32; a read-only view where it can be one.
    """
    rows, columns = height, width
    if scale != 1.0:
        rows, columns = int(height / scale) + 1, int(width / scale) + 1
    source = tile(name)
    top, left = offset
    if top + rows > 2 * TILE or left + columns > 2 * TILE:
        source = np.tile(source[:TILE, :TILE], (-(-(top + rows) // TILE),
                                                -(-(left + columns) // TILE)))
    cut = source[top:top + rows, left:left + columns]
    return cut if scale == 1.0 else cv2.resize(cut, (width, height))
