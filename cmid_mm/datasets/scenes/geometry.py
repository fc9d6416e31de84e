"""Shapes in metres: rectangles, curves, ribbons, blobs."""
import math

import numpy as np


def rectangles(centres, lengths, widths, angles):
    """Corners of rotated rectangles.

    Args:
        centres: (N, 2) x and y in metres.
        lengths, widths, angles: numbers or (N,); the length runs along the angle.

    Returns:
        numpy.ndarray: (N, 4, 2): front left, front right, rear right, rear left.
    """
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    angles = np.asarray(angles, np.float64)
    cos, sin = np.cos(angles), np.sin(angles)
    along = np.empty_like(centres)
    across = np.empty_like(centres)
    half_length = np.asarray(lengths) * 0.5
    half_width = np.asarray(widths) * 0.5
    along[:, 0], along[:, 1] = cos * half_length, sin * half_length
    across[:, 0], across[:, 1] = sin * half_width, -cos * half_width
    corners = np.empty((len(centres), 4, 2))
    corners[:, 0] = centres + along + across
    corners[:, 1] = centres + along - across
    corners[:, 2] = centres - along - across
    corners[:, 3] = centres - along + across
    return corners


def within(rects, along, across):
    """Points inside rectangles.

    Args:
        rects: (N, 4, 2) from :func:`rectangles`.
        along, across: (K,) positions in [-1, 1], front and left are positive.

    Returns:
        numpy.ndarray: (N, K, 2).
    """
    centre = rects.mean(1, keepdims=True)
    u = (rects[:, :1] + rects[:, 1:2]) * 0.5 - centre
    v = (rects[:, :1] + rects[:, 3:4]) * 0.5 - centre
    return (centre + u * np.asarray(along)[None, :, None]
            + v * np.asarray(across)[None, :, None])


def grid(x0, x1, nx, y0, y1, ny):
    """(nx * ny, 2) points of a regular grid, x fastest."""
    x, y = np.meshgrid(np.linspace(x0, x1, nx), np.linspace(y0, y1, ny))
    return np.stack([x.ravel(), y.ravel()], 1)


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
    step = np.gradient(line, axis=0)
    step /= np.maximum(np.hypot(step[:, 0], step[:, 1])[:, None], 1e-9)
    return np.stack([-step[:, 1], step[:, 0]], 1)


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


def along_line(line, spacing, start=0.0):
    """Points every ``spacing`` metres of a line, with headings.

    Returns:
        tuple: points (N, 2), angles (N,) in radians.
    """
    step = np.diff(line, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    distance = np.concatenate([[0.0], np.cumsum(length)])
    at = np.arange(start, distance[-1], spacing)
    index = np.clip(np.searchsorted(distance, at, 'right') - 1, 0, len(step) - 1)
    share = ((at - distance[index]) / length[index])[:, None]
    return line[index] + step[index] * share, np.arctan2(step[index, 1], step[index, 0])
