"""Median and spread of repeated measurements."""
from collections.abc import Sequence

import numpy as np


def spread(values: Sequence[float]) -> dict:
    """Median and quartiles.

    One slow step moves neither by much, so they suit a machine that others use too.

    Args:
        values (Sequence[float]): At least one measurement.

    Returns:
        dict: ``median``; ``quartiles``, [lower, upper], interpolated linearly; ``count``.

    Raises:
        ValueError: There is no measurement.
    """
    if not len(values):
        raise ValueError('no measurement is left after the warm-up: raise --steps')
    low, median, high = np.percentile(np.asarray(values, np.float64), [25, 50, 75]).tolist()
    return dict(median=median, quartiles=[low, high], count=len(values))


def rates(seconds: Sequence[float], images: int) -> dict:
    """:func:`spread` of images a second, where every measurement took ``images``."""
    return spread([images / value for value in seconds])


def paired_ratios(first: Sequence[float], other: Sequence[float]) -> dict:
    """How many times as fast as the first, from neighbours in time.

    Both members of a pair met the same disturbances, so that their ratio is steadier than
    that of the medians.

    Args:
        first (Sequence[float]): Seconds of the first variant, in order of measurement.
        other (Sequence[float]): Seconds of another one for the same work.

    Returns:
        dict: :func:`spread` of ``first / other``.
    """
    return spread([one / two for one, two in zip(first, other, strict=True)])
