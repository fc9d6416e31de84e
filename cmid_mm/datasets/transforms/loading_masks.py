"""Loading of masks of classes and of change; values that are no class are refused."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets.file_limits import MAX_PIXELS, ImageError
from cmid_mm.datasets.mask_reading import LabelImage, read_labels

IGNORED = 255
_VALUES_IN_ERROR = 5
# difference of a band; the labels of ISPRS have a few colours that are not exact
_TOLERANCE = 8


class _LoadLabels(BaseTransform):
    """Read ``seg_map_path`` to ``gt_seg_map``, uint8 (H, W)."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` and its name to ``seg_fields``; ImageError for unusable masks."""
        path = results['seg_map_path']
        image = read_labels(path, self.max_pixels, _has_colours(results))
        shape = results.get('ori_shape', image.labels.shape)
        if image.labels.shape != tuple(shape):
            raise ImageError(
                f'{path} has {image.labels.shape[1]} x {image.labels.shape[0]} pixels, but its '
                f'image {results["img_path"]} has {shape[1]} x {shape[0]}: the two must cover '
                'each other')
        labels = self.convert(image, path, results)
        if 'core' in results:
            # only the window's own part counts, not the pixels around it
            left, top, width, height = results['core']
            own = np.s_[top:top + height, left:left + width]
            labels, whole = np.full_like(labels, IGNORED), labels
            labels[own] = whole[own]
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def convert(self, image: LabelImage, path: str, results: dict) -> np.ndarray:
        """Convert the labels of the file to the classes of the model, uint8 (H, W)."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class LoadMask(_LoadLabels):
    """Read the class of every pixel; a value that is no class ends the run.

    ``results['num_classes']`` is the number of classes, as ``MaskFolder`` writes it.
    255 is ignored, and so is a GeoTIFF's nodata value where it is no class. With
    ``results['reduce_zero_label']``, 0 is ignored and the classes count from 1 in the
    file. With ``results['values']``, a dict, each value of the file, or colour (R, G, B), is first
    replaced by the class, or 255, that belongs to it; a colour may differ by 8 in a band.
    Outside of ``results['core']`` (left, top, width, height in pixels) pixels are ignored. A file
    compressed with loss is refused.
    ``max_pixels`` is that of ``LoadRSImage``.
    """

    def convert(self, image: LabelImage, path: str, results: dict) -> np.ndarray:
        """uint8 (H, W): 0 to ``num_classes`` - 1, and 255 where the mask is ignored."""
        if image.lossy:
            raise ImageError(f'{path} is compressed with loss, which changes the numbers of the '
                             'classes: save masks as PNG, from their source')
        labels, classes = image.labels, class_of_value(results)
        # NaN and values beyond the integers mark no pixel of a mask; a class stays a class
        nodata = image.nodata is not None and abs(image.nodata) < 2**53
        table = {int(image.nodata): IGNORED} | classes if nodata else dict(classes)
        if _has_colours(results):
            table |= _near(np.unique(labels), classes)
        values = np.array(sorted(table))
        places = np.searchsorted(values, labels).clip(max=len(values) - 1)
        wrong = values[places] != labels
        if wrong.any():
            found = np.unique(labels[wrong])
            shown = ', '.join(map(_shown(results), found[:_VALUES_IN_ERROR].tolist()))
            more = ', ...' if len(found) > _VALUES_IN_ERROR else ''
            if results.get('values') is not None:
                known = (f'values has only {", ".join(map(_shown(results), classes))}: add the '
                         'others, with their class or 255')
            else:
                first = int(results.get('reduce_zero_label', False))
                known = (f'there are {results["num_classes"]} classes, {first} to '
                         f'{first + results["num_classes"] - 1}, and 255 for ignored pixels: '
                         'correct the mask, or classes in the config, or map the values to '
                         'classes with values={...} in MaskFolder')
            raise ImageError(f'{path} holds {shown}{more} in {int(wrong.sum())} of {labels.size} '
                             f'pixels, but {known}')
        return np.array([table[value] for value in values.tolist()], np.uint8)[places]


def class_of_value(results: dict) -> dict[int, int]:
    """Class, or 255, of every value that a mask may hold; see ``LoadMask``."""
    if results.get('values') is not None:
        return {value if isinstance(value, int) else _number(value): number
                for value, number in results['values'].items()}
    first = int(results.get('reduce_zero_label', False))
    numbers = {first + number: number for number in range(results['num_classes'])}
    return {0: IGNORED, IGNORED: IGNORED} | numbers


def _has_colours(results: dict) -> bool:
    """Whether the masks are of colours."""
    return any(isinstance(value, tuple) for value in results.get('values') or ())


def _near(found: np.ndarray, classes: dict[int, int]) -> dict[int, int]:
    """Classes of the colours in ``found``, int64 (N,), that are nearly those of ``classes``."""
    known = np.array(list(classes))
    bands = [np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1)
             for colours in (found, known)]
    distances = np.abs(bands[0][:, None] - bands[1]).max(2)
    return {int(colour): classes[int(known[row.argmin()])]
            for colour, row in zip(found, distances) if row.min() <= _TOLERANCE}


def _shown(results: dict):
    """Function that returns the text of a value of the masks."""
    if not _has_colours(results):
        return str
    return lambda value: str((value >> 16, value >> 8 & 255, value & 255))


def _number(colour: tuple) -> int:
    """A colour as ``read_labels`` returns it."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


@TRANSFORMS.register_module()
class LoadChangeMask(_LoadLabels):
    """Read a mask of change: 0 is unchanged, every other value is changed.

    A GeoTIFF's nodata value is ignored unless it is 0.

    Args:
        threshold (int): Larger values mean change; files compressed with loss (JPEG), whose
            values are inexact, need for example 127. Defaults to 0.
        ignore_value (int, optional): Value in the file of pixels that are ignored in the loss
            and the metrics. Defaults to None.
        max_pixels (int): As in ``LoadRSImage``. Defaults to 2**28.
    """

    def __init__(self, threshold: int = 0, ignore_value: int | None = None,
                 max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(max_pixels)
        self.threshold = threshold
        self.ignore_value = ignore_value

    def convert(self, image: LabelImage, path: str, results: dict) -> np.ndarray:
        """uint8 (H, W): 0 unchanged, 1 changed, 255 ignored."""
        if image.lossy and self.threshold < 1:
            raise ImageError(f'{path} is compressed with loss, which does not keep 0 exact: set '
                             'threshold=127 in LoadChangeMask, or save masks as PNG')
        changed = (image.labels > self.threshold).astype(np.uint8)
        for ignored in (self.ignore_value, image.nodata or None):
            if ignored is not None:
                changed[image.labels == ignored] = IGNORED
        return changed
