"""Embeddings of scene features in the plane, drawn with thumbnails."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..utils.errors import CMIDError
from .feature_pca import components
from .panels import colours_for, fit, outline, to_rgb

METHODS = ('tsne', 'umap', 'pca')
_FEWEST = 5


def embed(vectors: np.ndarray, method: str = 'tsne', seed: int = 0) -> np.ndarray:
    """Embed scene features in the plane, by their cosine.

    Args:
        vectors (ndarray): (N, C) float.
        method (str): ``'tsne'`` (needs scikit-learn), ``'umap'`` (needs umap-learn) or
            ``'pca'``, the first two principal components. Defaults to 'tsne'.
        seed (int): Seed of the random choices of the first two. Defaults to 0.

    Returns:
        ndarray: (N, 2) float64.

    Raises:
        CMIDError: Too few images, or the library is missing.
    """
    if method not in METHODS:
        raise CMIDError(f'method={method!r}: there are {", ".join(METHODS)}')
    if len(vectors) < _FEWEST:
        raise CMIDError(f'{len(vectors)} images are too few for an embedding: give at least '
                        f'{_FEWEST}')
    # the distance of unit vectors decreases with their cosine
    units = vectors.astype(np.float64)
    units = units / np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    if method == 'pca':
        return components(units, 2)
    settings = dict(perplexity=min(30, (len(units) - 1) / 3), init='pca')
    if method == 'umap':
        settings = dict(n_neighbors=min(15, len(units) - 1))
    return library(method)(random_state=seed, **settings).fit_transform(units).astype(np.float64)


def library(method: str) -> type | None:
    """The estimator class of a method; None for ``'pca'``.

    Raises:
        CMIDError: The library is not installed.
    """
    try:
        if method == 'tsne':
            from sklearn.manifold import TSNE
            return TSNE
        if method == 'umap':
            from umap import UMAP
            return UMAP
    except ImportError as error:
        name = dict(tsne='scikit-learn', umap='umap-learn')[method]
        raise CMIDError(f'{method} needs {name} ({error}): pip install {name}, or choose '
                        '--method pca') from error
    return None


def folder_classes(paths: Sequence[str], root: str) -> tuple[list, list] | None:
    """Classes of images by their folders.

    Args:
        paths (Sequence[str]): Files below ``root``.
        root (str): Images directly in it have no class.

    Returns:
        tuple[list[str], list[int]] | None: Names, and the number of each image's class; None
        where folders do not define classes.
    """
    root = Path(root)
    folders = [Path(path).parent for path in paths]
    names = sorted({folder.name for folder in folders})
    if root in folders or len(names) < 2:
        return None
    return names, [names.index(folder.name) for folder in folders]


def scatter(places: np.ndarray, images: Sequence[np.ndarray], labels: Sequence | None = None,
            side: int = 1000, thumbnail: int = 44) -> np.ndarray:
    """Draw thumbnails at the positions of the images.

    Args:
        places (ndarray): (N, 2), x to the right and y upwards.
        images (Sequence[ndarray]): N arrays (H, W, bands) uint8.
        labels (Sequence[int], optional): Classes, by which frames are coloured.
        side (int): Side of the picture in pixels. Defaults to 1000.
        thumbnail (int): Longer side of a thumbnail, frame included. Defaults to 44.

    Returns:
        ndarray: (side, side, 3) uint8 on white. Later images cover earlier ones.
    """
    picture = np.full((side, side, 3), 255, np.uint8)
    low, high = places.min(0), places.max(0)
    share = (places - low) / np.where(high > low, high - low, 1)
    share[:, high == low] = 0.5
    corners = np.rint(share * (side - thumbnail)).astype(int)
    colours = None if labels is None else colours_for(max(labels) + 1)
    for number, ((x, y), image) in enumerate(zip(corners, images)):
        small = fit(to_rgb(image), thumbnail)
        if colours:
            outline(small, (0, 0, *small.shape[:2]), colours[labels[number]], 3)
        top = side - thumbnail - y
        picture[top:top + small.shape[0], x:x + small.shape[1]] = small
    return picture
