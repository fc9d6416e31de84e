"""Mean, standard deviation and range of the bands of images.

Images of all sizes have the same weight, because training takes equally many crops from each.
With m_i and q_i the mean and the mean square of image i, the mean is avg(m_i) and the standard
deviation sqrt(avg(q_i) - avg(m_i)^2).
"""
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from torch.utils.data import Dataset

from cmid_mm.utils.keyed_random import SampleIndex

from ..raster_reading import Raster
from ..transforms.loading import LoadRSImage, map_to_255

# Number of valid pixels to keep of an image that is not 8-bit, spread over it.
_PIXELS_PER_IMAGE = 4096
_PERCENTILES = (0.1, 99.9)
# OpenCV counts in float32, which is exact up to this number.
_EXACT = 2**24
_LEVELS = np.arange(256)


def view_moments(dataset: Dataset, samples: Iterable[int], bands: int) -> np.ndarray:
    """Moments of the views that a training cuts from images, summed over the images.

    Args:
        dataset (Dataset): Data set of a pre-training, whose items have ``inputs``, uint8
            (2, bands, S, S); both views of an image count as one image.
        samples (Iterable[int]): Indices of the images.
        bands (int): Number of bands.

    Returns:
        np.ndarray: float64 (2, bands), mean and mean square in units of 0..255.
    """
    total = np.zeros((2, bands))
    for sample in samples:
        views = dataset[SampleIndex(sample, 0, 0)]['inputs']
        total += _moments(histograms(views.permute(0, 2, 3, 1).flatten(0, 1).numpy()))
    return total


def mean_and_std(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (bands,) each, of a set of images.

    The deviation of a constant band is 1, so that it can be divided by.

    Args:
        moments (np.ndarray): float64 (2, bands), mean and mean square, averaged over the images.
    """
    mean, square = moments
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return mean, np.where(std > 0, std, 1)


def histograms(pixels: np.ndarray) -> np.ndarray:
    """Frequency of each value in uint8 (H, W, bands): int64 (bands, 256)."""
    height, width, bands = pixels.shape
    counts = np.zeros((bands, 256), np.int64)
    rows = max(1, _EXACT // width)
    for top in range(0, height, rows):
        for band in range(bands):
            part = np.ascontiguousarray(pixels[top:top + rows, :, band])
            counts[band] += cv2.calcHist([part], [0], None, [256], [0, 256]).ravel().astype(int)
    return counts


class BandSample(NamedTuple):
    """Data of an image for the statistics."""
    min: np.ndarray  # (bands,), in the file's units
    max: np.ndarray
    moments: np.ndarray | None  # of an 8-bit image: exact mean and mean square, (2, bands)
    # of other images: float32 (n, bands), valid values of each band, not of the same pixels
    pixels: np.ndarray | None


def sample_bands(raster: Raster) -> BandSample:
    """Sample an image; no band may consist of missing pixels only."""
    if raster.pixels.dtype == np.uint8:
        valid = raster.valid
        pixels = raster.pixels if valid is None else raster.pixels[valid][None]
        counts = histograms(np.ascontiguousarray(pixels))
        return BandSample((counts > 0).argmax(1), 255 - (counts[:, ::-1] > 0).argmax(1),
                          _moments(counts), None)
    bands = []
    for band, nodata in enumerate(raster.nodata):
        values = raster.pixels[..., band].ravel()
        values = values[np.isfinite(values) & (True if nodata is None else values != nodata)]
        bands.append(values)
    count = min(_PIXELS_PER_IMAGE, max(map(len, bands)))
    # one place in each of equal parts, not at regular distances: those may follow a column
    places = np.arange(count) + np.random.default_rng(0).random(count)
    pixels = [values[(places * (len(values) / count)).astype(int)] for values in bands]
    return BandSample(np.array([values.min() for values in bands]),
                      np.array([values.max() for values in bands]), None,
                      np.stack(pixels, 1).astype(np.float32))


def summarise(samples: Sequence[BandSample], bands: int,
              value_range: Sequence | None) -> dict[str, Any]:
    """Statistics of the bands as ``LoadRSImage(bands, value_range=...)`` loads the images.

    Args:
        samples (Sequence[BandSample]): At least one, with ``bands`` bands or with one.
        bands (int): Number of bands; an image of one band is repeated.
        value_range (Sequence, optional): None proposes the 0.1 and 99.9 percentiles of each
            band where images are not 8-bit.

    Returns:
        dict: Ready for JSON. Per band ``min`` and ``max`` in the files' units,
        ``percentiles`` [[low, high], ...] and ``value_range`` (both None where all images
        are 8-bit); ``mean`` and ``std`` in units of 0..255, ``mean_fraction`` and
        ``std_fraction`` in units of 0..1.
    """
    percentiles = None
    deep = [sample for sample in samples if sample.pixels is not None]
    moments = [sample.moments for sample in samples if sample.moments is not None]
    if deep:
        values = np.concatenate([_repeat(sample.pixels, bands) for sample in deep])
        percentiles = np.percentile(values, _PERCENTILES, axis=0).T.tolist()
        if value_range is None:
            # A constant band still needs a range that can be divided by.
            value_range = [[low, high if high > low else low + 1] for low, high in percentiles]
        pairs = LoadRSImage(bands, value_range=value_range).value_range
        for sample in deep:
            mapped = map_to_255(_repeat(sample.pixels, bands).astype(np.float64), pairs)
            moments.append(np.stack([mapped.mean(0), (mapped**2).mean(0)]))
    mean, std = mean_and_std(np.mean([_repeat(pair, bands) for pair in moments], 0))
    ends = [np.stack([_repeat(getattr(sample, end), bands) for sample in samples])
            for end in ('min', 'max')]
    return dict(
        min=ends[0].min(0).tolist(), max=ends[1].max(0).tolist(), percentiles=percentiles,
        value_range=np.asarray(value_range, float).tolist() if deep else None,
        mean=mean.tolist(), std=std.tolist(),
        mean_fraction=(mean / 255).tolist(), std_fraction=(std / 255).tolist())


def _moments(counts: np.ndarray) -> np.ndarray:
    return np.stack([counts @ _LEVELS, counts @ _LEVELS**2]) / counts.sum(1)


def _repeat(values: np.ndarray, bands: int) -> np.ndarray:
    return np.broadcast_to(values, (*values.shape[:-1], bands))
