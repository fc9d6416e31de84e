"""Shapes in metres: grids, curves, ribbons, blobs."""
import functools
import math

import numpy as np


def numbers(value, count):
    """(count,) from a number or (count,); cheaper than ``numpy.broadcast_to``."""
    return value if np.ndim(value) else np.full(count, value)


def pairs(x, y):
    """(N, 2) points from numbers or (N,)."""
    points = np.empty((np.size(y) if np.ndim(x) == 0 else len(x), 2))
    points[:, 0], points[:, 1] = x, y
    return points


@functools.lru_cache(maxsize=256)
def ramp(points):
    """(points,) float32 from -1 to 1, read-only."""
    line = np.linspace(-1, 1, points, dtype=np.float32)
    line.setflags(write=False)
    return line


def grid(x0, x1, nx, y0, y1, ny):
    """(nx * ny, 2) points of a regular grid, x fastest."""
    points = np.empty((ny, nx, 2))
    points[..., 0] = np.linspace(x0, x1, nx)
    points[..., 1] = np.linspace(y0, y1, ny)[:, None]
    return points.reshape(-1, 2)


def meander(dice, reach, bend, wavelength, points=40):
    """Winding line along x from -reach to reach.

    Args:
        bend (float): amplitude in metres.
        wavelength (float): of the largest bend, in metres.

    Returns:
        numpy.ndarray: (points, 2).
    """
    x = ramp(points) * np.float64(reach)
    if not bend:
        return pairs(x, 0.0)
    y = np.zeros(points)
    for octave in (1.0, 1.7, 2.7):
        y += bend / octave ** 1.8 * np.sin(
            2 * math.pi * octave * x / wavelength + dice.uniform(0, 2 * math.pi))
    return pairs(x, y)


def normals(line):
    """(N, 2) unit vectors to the left of a line."""
    step = np.empty_like(line)
    step[1:-1] = line[2:] - line[:-2]
    step[0], step[-1] = line[1] - line[0], line[-1] - line[-2]
    size = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
    return pairs(-step[:, 1] / size, step[:, 0] / size)


def beside(line, distance):
    """The line moved to its left by ``distance`` (a number or (N,))."""
    return line + normals(line) * np.reshape(distance, (-1, 1))


def ribbon(line, widths):
    """Outline of a band of the given full widths around a line."""
    side = normals(line) * np.reshape(np.asarray(widths) * 0.5, (-1, 1))
    return np.concatenate([line + side, (line - side)[::-1]])


def blob(dice, centre, radius, roughness=0.25, points=24):
    """Rounded irregular outline, (points, 2)."""
    angle = np.arange(points) * (2 * math.pi / points)
    size = np.ones(points)
    for order in (2, 3, 5):
        size += roughness / order ** 0.7 * np.sin(
            order * angle + dice.uniform(0, 2 * math.pi))
    size *= radius
    return pairs(centre[0] + size * np.cos(angle), centre[1] + size * np.sin(angle))


def along(starts, ends, spacing, start=0.0):
    """Points every ``spacing`` metres along segments laid end to end.

    Args:
        starts, ends: (M, 2) metres.
        spacing, start (float): metres.

    Returns:
        tuple: points (N, 2), angles (N,) in radians, number of the segment (N,).
    """
    step = ends - starts
    length = np.hypot(step[:, 0], step[:, 1])
    distance = np.cumsum(length)
    at = np.arange(start, distance[-1], spacing)
    index = np.minimum(np.searchsorted(distance, at, 'right'), len(step) - 1)
    share = 1 - (distance[index] - at) / length[index]
    points = starts[index] + step[index] * share[:, None]
    return points, np.arctan2(step[index, 1], step[index, 0]), index


def along_line(line, spacing, start=0.0):
    """Points (N, 2) and headings (N,) every ``spacing`` metres of a line."""
    return along(line[:-1], line[1:], spacing, start)[:2]
