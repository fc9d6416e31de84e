"""Curves, outlines and grids, in metres."""
import numpy as np


def meander(rng, reach, bend, wavelength, points=40):
    """Winding line (points, 2) from x = -reach to reach with bends of an amplitude in metres."""
    x = np.linspace(-reach, reach, points)
    octaves = np.array([1.0, 1.7, 2.7])[:, None]
    phases = rng.uniform(0, 2 * np.pi, (3, 1))
    y = np.sin(2 * np.pi * octaves * x / wavelength + phases) / octaves ** 1.8
    return np.array((x, bend * y.sum(0))).T


def shift(line, distance):
    """The line (N, 2) moved to its right by a distance, a number or (N,)."""
    padded = np.concatenate([line[:1], line, line[-1:]])
    x, y = (padded[2:] - padded[:-2]).T
    return line + (np.array((-y, x)) * (distance / (np.hypot(x, y) + 1e-9))).T


def ribbon(line, width):
    """Outline (2N, 2) of a band around a line (N, 2); the width is a number or (N,)."""
    return np.concatenate([shift(line, width * 0.5), shift(line, width * -0.5)[::-1]])


def blob(rng, centre, radius, roughness=0.25, points=24):
    """Rounded irregular outline (points, 2)."""
    angle = np.arange(points) * (2 * np.pi / points)
    orders = np.array([2, 3, 5])[:, None]
    bumps = np.sin(orders * angle + rng.uniform(0, 2 * np.pi, (3, 1))) / orders ** 0.7
    size = radius * (1 + roughness * bumps.sum(0))
    return np.array((centre[0] + size * np.cos(angle), centre[1] + size * np.sin(angle))).T


def rectangle(x0, y0, x1, y1):
    """Corners (4, 2)."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def grid(x0, y0, x1, y1, step):
    """Points (N, 2) about ``step`` apart, centred in a rectangle; a number or (x, y)."""
    step_x, step_y = np.broadcast_to(step, 2)
    x = np.arange((x1 - x0) % step_x / 2 + x0, x1, step_x)
    y = np.arange((y1 - y0) % step_y / 2 + y0, y1, step_y)
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def along(line, spacing, start=0.0):
    """Points (N, 2) every ``spacing`` metres of a line, and its headings there (N,)."""
    step = np.diff(line, axis=0)
    length = np.concatenate([[0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
    at = np.arange(start, length[-1], spacing)
    points = np.array((np.interp(at, length, line[:, 0]), np.interp(at, length, line[:, 1]))).T
    segment = np.clip(np.searchsorted(length, at, 'right') - 1, 0, len(step) - 1)
    return points, np.arctan2(step[segment, 1], step[segment, 0])


def subdivide(rng, x0, y0, x1, y1, smallest):
    """Divide a rectangle recursively into parcels with no side shorter than ``smallest``."""
    wide, tall = x1 - x0, y1 - y0
    cut_x = wide > tall * rng.uniform(0.7, 1.4)
    side = wide if cut_x else tall
    if side < 2 * smallest or (side < 4 * smallest and rng.random() < 0.25):
        return [(x0, y0, x1, y1)]
    at = smallest + (side - 2 * smallest) * rng.uniform(0.2, 0.8)
    parts = [(x0, y0, x0 + at, y1), (x0 + at, y0, x1, y1)] if cut_x else [
        (x0, y0, x1, y0 + at), (x0, y0 + at, x1, y1)]
    return [parcel for part in parts for parcel in subdivide(rng, *part, smallest)]
