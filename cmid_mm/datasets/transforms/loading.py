"""Loading of images and pairs, photographs and rasters of any bands, as 8-bit arrays."""
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets.file_limits import MAX_PIXELS, EmptyImageError, ImageError
from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.raster_reading import Raster
from cmid_mm.utils.errors import CMIDError


@TRANSFORMS.register_module()
class LoadRSImage(BaseTransform):
    """Read ``img_path`` to ``img``, uint8 (H, W, bands), bands in the file's order.

    Photographs are RGB, never BGR. Where three bands are requested, grey is repeated.
    Alpha is dropped, unless the number of requested bands includes it. ``img_path`` may be the
    name of a window, or of an image with one file per band, see ``raster_paths``; bands then
    count in the order of the files.

    Args:
        bands (int): Number of bands of the result. Defaults to 3.
        band_indices (Sequence[int], optional): Bands to read from the file, counted from 0,
            in this order. None reads all. Defaults to None.
        value_range (Sequence, optional): ``(low, high)``, or one such pair per band, in
            the file's units: mapped linearly to 0..255, values outside are clipped.
            Applies to files that are not 8-bit, in which NaN and the file's nodata value
            become 0; 8-bit files are never changed. Defaults to None.
        max_pixels (int): Images with more pixels are refused before they are decoded.
            Defaults to 2**28.
        shortest_side (int, optional): A JPEG is decoded at 1/2, 1/4 or 1/8 of its size, the
            smallest at which its shorter side has at least this many pixels, which takes less
            time; other formats at full size. Later coordinates are pixels of this ``img``:
            right for views, which are cut from it, and wrong for masks and boxes in pixels of
            the file. Defaults to None, every pixel of the file.

    Raises:
        ImageError: The file is unreadable, damaged or too large, has other bands than expected,
            or is not 8-bit and there is no ``value_range``.
        EmptyImageError: The share of pixels with data is below ``results['min_valid']``.
    """

    def __init__(self, bands: int = 3, band_indices: Sequence[int] | None = None,
                 value_range: Sequence | None = None, max_pixels: int = MAX_PIXELS,
                 shortest_side: int | None = None) -> None:
        if shortest_side is not None and shortest_side < 1:
            raise CMIDError(f'shortest_side={shortest_side}: give at least 1 pixel, or '
                            'None to decode every pixel')
        if band_indices is not None and (len(band_indices) != bands or min(band_indices) < 0):
            raise CMIDError(f'band_indices={tuple(band_indices)} must be bands={bands} indices, '
                            'counted from 0')
        self.bands = bands
        self.band_indices = band_indices
        self.value_range = None if value_range is None else _range(value_range, bands)
        self.max_pixels = max_pixels
        self.shortest_side = shortest_side

    def transform(self, results: dict) -> dict:
        """Add ``img`` uint8 (H, W, bands), ``img_shape`` and ``ori_shape`` (H, W).

        ``valid``, bool (H, W), is added where pixels are missing: nodata, NaN or masked.
        """
        path = results['img_path']
        raster = read_image(path, self.choose_bands, self.max_pixels, self.shortest_side)
        if raster.valid is not None and not raster.valid.all():
            share, least = raster.valid.mean(), results.get('min_valid', 0)
            if share < least:
                raise EmptyImageError(f'{path} has data in {share:.0%} of its pixels, less than '
                                      f'min_valid={least:g}')
            results['valid'] = raster.valid
        results['img'] = self.to_8_bits(path, raster)
        results['img_shape'] = results['ori_shape'] = raster.pixels.shape[:2]
        return results

    def choose_bands(self, bands: int, alpha: bool) -> Sequence[int]:
        """Indices of the bands to read from a file of ``bands``, the last one perhaps alpha.

        Raises:
            CMIDError: The file does not have the requested bands.
        """
        if self.band_indices is not None:
            if max(self.band_indices) >= bands:
                raise CMIDError(f'has {bands} band(s), but band_indices='
                                f'{tuple(self.band_indices)} requests more; bands '
                                'count from 0')
            return self.band_indices
        colours = bands - alpha
        if self.bands in (bands, colours):
            return range(self.bands)
        if colours == 1 and self.bands == 3:
            return (0, 0, 0)
        raise CMIDError(f'has {bands} band(s), but bands={self.bands} are requested: set '
                        f'bands={bands} here and in the model, or pick with '
                        'band_indices=(...), or move the file away')

    def settings(self) -> dict:
        """Settings that decide how raw values become 0..255, as plain numbers and lists.

        They are ``bands``, ``band_indices`` and, in the file's units, ``value_range``, one
        [low, high] per band; the last two may be None.
        """
        value_range = self.value_range
        if value_range is not None:
            # The shortest decimal form of a float32 is that of the config.
            value_range = [[float(str(bound)) for bound in pair] for pair in value_range]
        indices = self.band_indices
        return dict(bands=int(self.bands),
                    band_indices=None if indices is None else [int(i) for i in indices],
                    value_range=value_range)

    def to_8_bits(self, path: str, raster: Raster) -> np.ndarray:
        """Map values (H, W, bands) that are not 8-bit to uint8; NaN and nodata become 0.

        Raises:
            ImageError: There is no ``value_range``, or the numbers are complex.
        """
        pixels = raster.pixels
        if pixels.dtype == np.uint8:
            return pixels
        if pixels.dtype.kind == 'c':
            raise ImageError(f'{path} holds complex numbers: save their magnitude')
        if self.value_range is None:
            raise ImageError(
                f'{path} holds {pixels.dtype} and not 8-bit numbers: set value_range='
                '(low, high) in LoadRSImage; tools/dataset_statistics.py proposes one')
        scaled = map_to_255(pixels, self.value_range)
        for band, nodata in enumerate(raster.nodata):
            if nodata is not None:
                scaled[pixels[..., band] == nodata, band] = 0
        return scaled.astype(np.uint8)


@TRANSFORMS.register_module()
class LoadRSImagePair(LoadRSImage):
    """Read ``img_path`` and ``img_path2`` to ``img``, uint8 (H, W, 2 * bands).

    The bands of the earlier date come first. In one array, every flip, rotation and crop is
    the same for both dates. Arguments and errors are those of :class:`LoadRSImage`; two dates
    that differ in size are an ImageError, too.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img`` uint8 (H, W, 2 * bands), ``img_shape`` and ``ori_shape`` (H, W)."""
        earlier = super().transform(results)['img']
        later = super().transform(dict(img_path=results['img_path2']))['img']
        if earlier.shape != later.shape:
            sizes = [f'{image.shape[1]} x {image.shape[0]}' for image in (earlier, later)]
            raise ImageError(
                f'{results["img_path2"]} has {sizes[1]} pixels, but {results["img_path"]}, '
                f'of the other date, has {sizes[0]}: register and cut the two alike')
        results['img'] = np.concatenate([earlier, later], axis=2)
        return results


def map_to_255(pixels: np.ndarray, value_range: np.ndarray) -> np.ndarray:
    """Map values linearly to whole numbers from 0 to 255, as float32 or float64; NaN gives 0.

    Args:
        pixels (np.ndarray): (..., bands), any real type.
        value_range (np.ndarray): float32 (bands, 2), low and high of each band.
    """
    low, high = value_range.T
    scaled = (pixels - low) * (255 / (high - low))
    np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled)
    return np.nan_to_num(scaled, copy=False, nan=0)


def _range(value_range: Sequence, bands: int) -> np.ndarray:
    """float32 (bands, 2): low and high of every band."""
    pairs = np.asarray(value_range, np.float32)
    if pairs.shape not in ((2,), (bands, 2)):
        raise CMIDError(f'value_range={value_range} is neither (low, high) nor one such '
                        f'pair for each of {bands} bands')
    if not np.all(pairs[..., 0] < pairs[..., 1]):
        raise CMIDError(f'value_range={value_range}: low must be below high')
    return np.broadcast_to(pairs, (bands, 2))
