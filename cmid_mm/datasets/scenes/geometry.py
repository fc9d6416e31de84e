"""Shapes in metres: grids, curves, ribbons, blobs."""
import math

import numpy as np


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
    x = np.linspace(-reach, reach, points)
    y = np.zeros(points)
    for octave in (1.0, 1.9, 3.7):
        y += bend / octave ** 1.3 * np.sin(
            2 * math.pi * octave * x / wavelength + dice.uniform(0, 2 * math.pi))
    return np.stack([x, y], 1)


def normals(line):
    """(N, 2) unit vectors to the left of a line."""
    step = np.empty_like(line)
    step[1:-1] = line[2:] - line[:-2]
    step[0], step[-1] = line[1] - line[0], line[-1] - line[-2]
    size = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
    return np.stack([-step[:, 1] / size, step[:, 0] / size], 1)


def beside(line, distance):
    """The line moved to its left by ``distance`` (a number or (N,))."""
    return line + normals(line) * np.reshape(distance, (-1, 1))


def ribbon(line, widths):
    """Outline of a band of the given full widths around a line."""
    side = normals(line) * np.reshape(np.asarray(widths) * 0.5, (-1, 1))
    return np.concatenate([line + side, (line - side)[::-1]])


def blob(dice, centre, radius, roughness=0.25, points=24):
    """Rounded irregular outline, (points, 2)."""
    angle = np.linspace(0, 2 * math.pi, points, endpoint=False)
    size = np.ones(points)
    for order in (2, 3, 5):
        size += roughness / order ** 0.7 * np.sin(
            order * angle + dice.uniform(0, 2 * math.pi))
    size *= radius
    return np.stack([centre[0] + size * np.cos(angle),
                     centre[1] + size * np.sin(angle)], 1)


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
