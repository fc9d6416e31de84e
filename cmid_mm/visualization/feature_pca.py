"""Feature maps as colours: the first three principal components are red, green and blue."""
from collections.abc import Sequence

import cv2
import numpy as np

from ..utils.errors import CMIDError
from .panels import save_grid, to_rgb

# percentiles at which a component is clipped, because outliers would make all others grey
_BOUNDS = (1, 99)


def pca_colours(maps: Sequence[np.ndarray]) -> list:
    """Colours of the cells of maps; equal colours mean similar features, in all maps.

    Args:
        maps (Sequence[ndarray]): (C, h, w) each, of one backbone, of any sizes.

    Returns:
        list[ndarray]: (h, w, 3) uint8 each. A component without variance is 128.

    Raises:
        CMIDError: Features are no maps, or have fewer than 3 channels.
    """
    for features in maps:
        if features.ndim != 3 or len(features) < 3:
            raise CMIDError(
                f'principal components need feature maps (C, h, w) of at least 3 channels, '
                f"not {features.shape}: a backbone that ends in vectors has none; "
                "VisionTransformer needs --cfg-options model.backbone.out_type=featmap")
    cells = np.concatenate([features.reshape(len(features), -1).T for features in maps])
    values = components(cells.astype(np.float64))
    low, high = np.percentile(values, _BOUNDS, axis=0)
    spread = high - low
    varies = spread > 1e-9 * max(1e-12, float(spread.max()))
    scaled = (values - low) / np.where(varies, spread, 1) * 255
    colours = np.where(varies, scaled.clip(0, 255).round(), 128).astype(np.uint8)
    ends = np.cumsum([features[0].size for features in maps])[:-1]
    return [part.reshape(*features.shape[1:], 3)
            for part, features in zip(np.split(colours, ends), maps)]


def components(cells: np.ndarray, number: int = 3) -> np.ndarray:
    """First principal components of (N, C) float64: (N, number), the largest variance first.

    The sign is chosen such that the entry of the largest magnitude is positive, so that it
    depends on the cells alone.
    """
    centred = cells - cells.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    values = centred @ vectors[:, :-number - 1:-1]
    largest = np.take_along_axis(values, np.abs(values).argmax(0)[None], 0)
    return values * np.where(largest < 0, -1, 1)


def save_pca(images: Sequence[np.ndarray], colours: Sequence[np.ndarray], path: str,
             title: str = '') -> None:
    """Write images with the colours of their cells beside them, two images a row.

    Args:
        images (Sequence[ndarray]): (H, W, bands) uint8.
        colours (Sequence[ndarray]): (h, w, 3) uint8 of each.
        path (str): File to write, PNG by its ending.
        title (str): Line above the picture.
    """
    panels = [[to_rgb(image), cv2.resize(cells, image.shape[1::-1],
                                         interpolation=cv2.INTER_LINEAR)]
              for image, cells in zip(images, colours)]
    if len(panels) > 1 and len(panels) % 2:
        panels.append([np.full_like(panels[0][0], 255)] * 2)
    columns = min(2, len(panels))
    save_grid([sum(panels[i:i + columns], []) for i in range(0, len(panels), columns)], path,
              title=title)
