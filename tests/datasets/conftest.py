"""Images of every kind, in the temporary folder of a test."""
import warnings

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning


@pytest.fixture
def scene():
    """Smooth uint8 (40, 56, 3) with three different bands, in RGB order."""
    rows, columns = np.mgrid[:40, :56]
    return np.stack([rows * 5, columns * 4, 255 - rows - columns], 2).astype(np.uint8)


@pytest.fixture
def write(tmp_path):
    """``write(name, array)``: save an RGB(A) or grey array and return its path."""
    def save(name, array):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if array.ndim == 3 and array.shape[2] > 2:
            order = [2, 1, 0, 3][:array.shape[2]]
            array = np.ascontiguousarray(array[..., order])
        assert cv2.imwrite(str(path), array)
        return str(path)
    return save


@pytest.fixture
def write_tiff(tmp_path):
    """``write_tiff(name, (H, W, bands) array, **profile)``: save with rasterio."""
    def save(name, array, colormap=None, **profile):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width, bands = array.shape
        profile.update(height=height, width=width, count=bands, dtype=array.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            with rasterio.open(path, 'w', driver='GTiff', **profile) as file:
                file.write(array.transpose(2, 0, 1))
                if colormap is not None:
                    file.write_colormap(1, colormap)
        return str(path)
    return save


@pytest.fixture
def tree(tmp_path):
    """``tree([names])``: a folder of empty files."""
    def make(names, root=tmp_path / 'tree'):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return root
    return make
