"""The two views of CMID: random resized crop and flip, with their positions."""
import math
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import generator, view_key

_TRIES = 10
# Crops of images with missing pixels; keys of views count from 0, other draws have -1 to -9.
_OTHER_CROPS = -10
_SHARE_OF_DATA = 0.5
_MAX_OPENCV_BANDS = 64


class Crop(NamedTuple):
    """A crop of the source image, in its pixels, and whether it is mirrored."""
    top: int
    left: int
    height: int
    width: int
    flip: bool


@TRANSFORMS.register_module()
class CMIDTwoViews(BaseTransform):
    """Crop, resize and flip ``img`` twice.

    Both views are cut from the unchanged image. Where it has missing pixels (``valid``), a crop
    with data in less than half of its pixels is drawn again, up to ten times, and missing pixels
    get the mean of the crop's others. Photometric changes, normalisation and masks are applied
    later, to the batch. Every choice about view v is drawn from
    ``generator(view_key(seed, epoch, sample, v))``.

    Source of the draws: the random resized crop of the published code, arXiv 2304.09670
    (area and logarithm of the aspect ratio uniform, up to 10 tries, then the largest
    central crop within the bounds of the ratio).

    Args:
        size (int): Side S of the views, in pixels. Defaults to 224.
        area (tuple[float, float]): Bounds of the crop's share of the image's area.
            Defaults to (0.3, 1.0).
        ratio (tuple[float, float]): Bounds of width over height. Defaults to (3/4, 4/3).
        flip_prob (float): Probability of a horizontal flip. Defaults to 0.5.
        locations (str): Unit of the corner in ``view_boxes``: 'pixel', source pixels;
            'official', the fractions that the published code used as pixels
            (top / (H - h), left / (W - w)), for parity with it. Defaults to 'pixel'.

    Raises:
        CMIDError: An argument is invalid, or ``sample_key`` is absent.
    """

    def __init__(self, size: int = 224, area: tuple[float, float] = (0.3, 1.0),
                 ratio: tuple[float, float] = (3 / 4, 4 / 3), flip_prob: float = 0.5,
                 locations: str = 'pixel') -> None:
        if not 0 < area[0] <= area[1] <= 1:
            raise CMIDError(f'area={area}: needs 0 < low <= high <= 1')
        if not 0 < ratio[0] <= ratio[1]:
            raise CMIDError(f'ratio={ratio}: needs 0 < low <= high')
        if locations not in ('pixel', 'official'):
            raise CMIDError(f"locations is 'pixel' or 'official', not {locations!r}")
        self.size = size
        self.area = area
        self.ratio = ratio
        self.flip_prob = flip_prob
        self.locations = locations

    def transform(self, results: dict) -> dict:
        """Add two views of ``img``, uint8 (H, W, C), under ``sample_key``.

        Returns:
            dict: With ``views``, two uint8 (S, S, C); ``view_boxes``, float32 (2, 5),
            rows (top, left, height, width, flip); ``view_keys``, int64 (2,).
        """
        if 'sample_key' not in results:
            raise CMIDError(
                'CMIDTwoViews needs sample_key: read the images with ImageFolder and set '
                "sampler=dict(type='KeyedSampler', shuffle=True) in the dataloader")
        image, valid = results['img'], results.get('valid')
        height, width = image.shape[:2]
        if valid is not None and valid.shape != image.shape[:2]:
            raise CMIDError(f'{results.get("img_path")} has missing pixels, and a transform before '
                            'CMIDTwoViews changes its size: leave that transform out')
        crops = self.crops(results['sample_key'], height, width, valid)
        keys = [view_key(*results['sample_key'], view) for view in range(2)]
        results['views'] = [cut_view(image, crop, self.size, valid) for crop in crops]
        results['view_boxes'] = np.array(
            [view_box(crop, height, width, self.locations) for crop in crops], np.float32)
        results['view_keys'] = np.array(keys, np.int64)
        return results

    def crops(self, sample_key: tuple, height: int, width: int,
              valid: np.ndarray | None = None) -> list[Crop]:
        """Crops and flips of both views.

        Args:
            sample_key (tuple[int, int, int]): Seed, epoch and sample.
            height (int): Of the image in pixels; ``width`` likewise.
            valid (ndarray, optional): bool (height, width), which pixels have data.
        """
        chosen = []
        for view in range(2):
            best, most = self.draw(view_key(*sample_key, view), height, width), 0.
            draws = range(0 if valid is None else _TRIES)
            others = (self.draw(view_key(*sample_key, _OTHER_CROPS - (2 * draw + view)),
                                height, width) for draw in draws)
            for crop in chain([best] if draws else [], others):
                share = _part(valid, crop).mean()
                if share > most:
                    best, most = crop, share
                if share >= _SHARE_OF_DATA:
                    break
            chosen.append(best)
        return chosen

    def draw(self, key: int, height: int, width: int) -> Crop:
        """Draw crop and flip of one view of an image of ``height`` x ``width``."""
        # One call for all numbers is much faster than one call for each.
        *numbers, y, x, flip = generator(key).random(2 * _TRIES + 3).tolist()
        flip = flip < self.flip_prob
        low, high = self.area
        log_low, log_high = map(math.log, self.ratio)
        for area, ratio in zip(numbers[::2], numbers[1::2]):
            area = (low + (high - low) * area) * height * width
            ratio = math.exp(log_low + (log_high - log_low) * ratio)
            # round() takes halves to the even neighbour, as the published code does.
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return Crop(int(y * (height - h + 1)), int(x * (width - w + 1)), h, w, flip)
        h, w, (low, high) = height, width, self.ratio
        if width < low * height:
            h = max(1, round(width / low))
        elif width > high * height:
            w = max(1, round(height * high))
        return Crop((height - h) // 2, (width - w) // 2, h, w, flip)


def view_box(crop: Crop, height: int, width: int, locations: str) -> tuple:
    """Row of ``view_boxes`` for a crop of a ``height`` x ``width`` image, all in pixels.

    Args:
        crop (Crop): The crop.
        height, width (int): Size of the source image.
        locations (str): 'pixel' or 'official', see :class:`CMIDTwoViews`.

    Returns:
        tuple: (top, left, height, width, flip), the corner in pixels or as fractions.
    """
    if locations == 'pixel':
        return tuple(crop)
    # The published code adds this number to avoid a zero denominator.
    return (crop.top / (height - crop.height + 1e-10),
            crop.left / (width - crop.width + 1e-10),
            crop.height, crop.width, crop.flip)


def cut_view(image: np.ndarray, crop: Crop, size: int,
             valid: np.ndarray | None = None) -> np.ndarray:
    """View uint8 (S, S, C) of an image uint8 (H, W, C), resized bilinearly by OpenCV.

    Pixels that are not ``valid``, bool (H, W), get the mean of the crop's other pixels, of every
    band, so that they change no mean that is computed later.
    """
    part = _part(image, crop)
    if valid is not None:
        kept = _part(valid, crop)
        if not kept.all() and kept.any():
            part = np.where(kept[..., None], part, np.rint(part[kept].mean(0)).astype(np.uint8))
    groups = [part]
    if part.shape[2] > _MAX_OPENCV_BANDS:
        # OpenCV limits the number of bands; bands are resized independently anyway.
        groups = np.array_split(part, math.ceil(part.shape[2] / _MAX_OPENCV_BANDS), axis=2)
        groups = [np.ascontiguousarray(group) for group in groups]
    views = [cv2.resize(group, (size, size), interpolation=cv2.INTER_LINEAR) for group in groups]
    if crop.flip:
        views = [cv2.flip(view, 1) for view in views]
    # OpenCV drops the axis of a single band.
    views = [view.reshape(size, size, -1) for view in views]
    return views[0] if len(views) == 1 else np.concatenate(views, axis=2)


def _part(image: np.ndarray, crop: Crop) -> np.ndarray:
    return image[crop.top:crop.top + crop.height, crop.left:crop.left + crop.width]
