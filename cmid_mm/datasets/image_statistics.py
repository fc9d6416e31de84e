"""Mean, spread and range of the bands of a folder of images."""
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .folder_scan import scan_folder
from .image_reading import MAX_PIXELS, ImageError, all_bands, read_image
from .parallel_reading import read_in_parallel
from .transforms.loading import LoadRSImage, map_to_255

_PIXELS_PER_IMAGE = 4096
_PERCENTILES = (0.1, 99.9)


def folder_statistics(root: str,
                      max_images: int = 2000,
                      bands: int | None = None,
                      band_indices: Sequence[int] | None = None,
                      value_range: Sequence | None = None,
                      max_pixels: int = MAX_PIXELS,
                      workers: int | None = None,
                      show_progress: bool = True) -> dict[str, Any]:
    """Describe the images of a folder as ``LoadRSImage`` would give them.

    Every image counts alike, whatever its size, because training crops alike from all:
    with m_i and q_i the mean and the mean square of image i, the mean is avg(m_i) and
    the standard deviation sqrt(avg(q_i) - avg(m_i)^2). Images that are not 8-bit enter
    with 4,096 evenly spaced pixels, all others with every pixel.

    Args:
        root (str): The folder.
        max_images (int): At most so many images are read, evenly spaced in the order of
            their names. Defaults to 2000.
        bands (int, optional): As in ``LoadRSImage``; None takes what most images have
            without alpha. Defaults to None.
        band_indices (Sequence[int], optional): As in ``LoadRSImage``.
        value_range (Sequence, optional): As in ``LoadRSImage``; None proposes the 0.1
            and 99.9 percentiles of each band where images are not 8-bit.
        max_pixels (int): As in ``LoadRSImage``.
        workers (int, optional): Processes that read; None takes one per core, at most
            16. Defaults to None.
        show_progress (bool): Whether a progress bar goes to the standard error output.

    Returns:
        dict: Ready for JSON. ``images`` in the folder, ``read``, ``used``;
        ``unusable`` ([path, reason], ...); ``kinds`` ([bands, dtype, images], ...);
        ``bands``; ``width`` and ``height`` [min, median, max] in pixels; per band
        ``min``, ``max`` in the files' units, ``percentiles`` [[low, high], ...] and
        ``value_range`` (both None where all images are 8-bit); ``mean``, ``std`` in
        units of 0..255, ``mean_fraction``, ``std_fraction`` in units of 0..1.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It holds no usable image.
    """
    files = scan_folder(root)
    if not files:
        raise ValueError(f'{root} holds no image')
    if band_indices is not None:
        bands = len(band_indices)
    picks = np.linspace(0, len(files) - 1, min(max_images, len(files))).round()
    paths = [os.path.join(root, files[int(pick)]) for pick in picks]
    inspection = _Inspection(paths, bands, band_indices, max_pixels)

    found = list(read_in_parallel(inspection, workers, show_progress))
    unusable = [[path, result] for path, result in zip(paths, found, strict=True)
                if isinstance(result, str)]
    usable = [(path, result) for path, result in zip(paths, found, strict=True)
              if not isinstance(result, str)]
    kinds = Counter((result['bands'], result['dtype']) for _, result in usable)
    if bands is None and kinds:
        bands = common_bands(result['bands'] for _, result in usable)
    fitting = []
    for path, result in usable:
        if result['bands'] in (1, bands):
            fitting.append(result)
        else:
            unusable.append([path, f'has {result["bands"]} bands, most have {bands}'])
    if not fitting:
        raise ValueError(f'{root} holds no usable image; the first: {unusable[0][1]}')

    summary = dict(
        root=str(root), images=len(files), read=len(paths), used=len(fitting),
        unusable=unusable,
        kinds=[[*kind, count] for kind, count in kinds.most_common()],
        bands=bands,
        width=_spread([result['width'] for result in fitting]),
        height=_spread([result['height'] for result in fitting]),
        min=_per_band(fitting, 'min', bands).min(0).tolist(),
        max=_per_band(fitting, 'max', bands).max(0).tolist(),
        percentiles=None, value_range=None)
    deep = [result for result in fitting if 'pixels' in result]
    if deep:
        _add_range(summary, deep, bands, value_range)
    mean = _per_band(fitting, 'mean', bands).mean(0)
    square = _per_band(fitting, 'square', bands).mean(0)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    summary.update(mean=mean.tolist(), std=std.tolist(),
                   mean_fraction=(mean / 255).tolist(), std_fraction=(std / 255).tolist())
    return summary


class _Inspection(Dataset):
    """Item i is what image i says about itself, or the reason why it cannot be used."""

    def __init__(self, paths: list[str], bands: int | None,
                 band_indices: Sequence[int] | None, max_pixels: int) -> None:
        self.paths = paths
        self.choose = all_bands
        if bands is not None:
            self.choose = LoadRSImage(bands, band_indices).choose_bands
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict | str:
        try:
            raster = read_image(self.paths[index], self.choose, self.max_pixels)
        except ImageError as error:
            return str(error)
        pixels = raster.pixels
        height, width, bands = pixels.shape
        about = dict(bands=bands, dtype=str(pixels.dtype), height=height, width=width)
        if pixels.dtype == np.uint8:
            return about | _moments_of_bytes(pixels)
        if pixels.dtype.kind == 'c':
            return f'{self.paths[index]} holds complex numbers'
        pixels = pixels.reshape(-1, bands)
        every = max(1, len(pixels) // _PIXELS_PER_IMAGE)
        # From here on missing pixels are NaN, whatever marks them in the file.
        pixels = pixels.astype(np.result_type(pixels, np.float32))
        for band, nodata in enumerate(raster.nodata):
            if nodata is not None:
                pixels[pixels[:, band] == nodata, band] = np.nan
        pixels[~np.isfinite(pixels)] = np.nan
        if np.isnan(pixels).all(0).any():
            return f'{self.paths[index]} has a band without any valid pixel'
        return about | dict(min=np.nanmin(pixels, 0), max=np.nanmax(pixels, 0),
                            pixels=pixels[::every].astype(np.float32))


def _moments_of_bytes(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Exact extremes, mean and mean square per band, from uint8 (H, W, bands)."""
    bands = pixels.shape[2]
    counts = np.stack([np.bincount(pixels[..., band].ravel(), minlength=256)
                       for band in range(bands)])
    shares = counts / counts.sum(1, keepdims=True)
    levels = np.arange(256)
    return dict(min=(counts > 0).argmax(1), max=255 - (counts[:, ::-1] > 0).argmax(1),
                mean=shares @ levels, square=shares @ levels**2)


def _add_range(summary: dict, deep: list[dict], bands: int,
               value_range: Sequence | None) -> None:
    """Add percentiles and range to the summary, and to every image its moments."""
    values = np.concatenate([_repeat(result['pixels'], bands) for result in deep])
    percentiles = np.nanpercentile(values, _PERCENTILES, axis=0).T
    summary['percentiles'] = percentiles.tolist()
    if value_range is None:
        low, high = percentiles.T
        # A constant band still needs a range that can be divided by.
        value_range = np.stack([low, np.where(high > low, high, low + 1)], 1).tolist()
    summary['value_range'] = value_range
    pairs = LoadRSImage(bands, value_range=value_range).value_range
    for result in deep:
        mapped = map_to_255(_repeat(result['pixels'], bands).astype(np.float64), pairs)
        result['mean'] = mapped.mean(0)
        result['square'] = (mapped**2).mean(0)


def common_bands(bands: Iterable[int]) -> int:
    """Number of bands that most images have; three where there are grey and RGB images.

    Args:
        bands (Iterable[int]): Bands of every image, without alpha.
    """
    counts = Counter(bands)
    # Grey images among coloured ones are loaded as coloured ones.
    return 3 if set(counts) == {1, 3} else counts.most_common(1)[0][0]


def _repeat(values: np.ndarray, bands: int) -> np.ndarray:
    return np.broadcast_to(values, (*values.shape[:-1], bands))


def _per_band(results: list[dict], name: str, bands: int) -> np.ndarray:
    """float64 (images, bands)."""
    return np.stack([_repeat(result[name], bands) for result in results])


def _spread(values: list[int]) -> list[int]:
    return [min(values), int(np.median(values)), max(values)]
