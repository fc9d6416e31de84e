"""Images and rasters that a user names: files, folders, two dates of a place."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.folder_scan import scan_folder
from ..datasets.image_reading import ImageError
from .raster_file import RasterFile

RASTER_EXTENSIONS = ('.tif', '.tiff', '.jp2', '.png', '.jpg', '.jpeg')


def list_images(inputs: str | Sequence[str]) -> list[str]:
    """Files of a folder tree, a packed data set, a file or files.

    Raises:
        FileNotFoundError: Something of it does not exist, or a folder holds no image.
    """
    files = []
    for entry in [inputs] if isinstance(inputs, (str, Path)) else inputs:
        path = Path(entry)
        if path.is_dir() or path.suffix == '.lmdb':
            found = [str(path / name) for name in scan_folder(str(path))]
            if not found:
                raise FileNotFoundError(f'{path} holds no JPEG, PNG, TIFF, BMP or WebP image: '
                                        'give a folder with images, at any depth')
            files += found
        elif path.is_file() or '.lmdb' in str(path):
            files.append(str(path))
        else:
            raise FileNotFoundError(f'no such file or folder: {path}')
    return files


def list_rasters(inputs: str | Sequence[str]) -> list[str]:
    """Files of a raster, a folder of rasters (not of its folders) or a list of them.

    Raises:
        FileNotFoundError: Something of it does not exist, or a folder holds no raster.
    """
    files = []
    for entry in [inputs] if isinstance(inputs, (str, Path)) else inputs:
        path = Path(entry)
        if path.is_dir():
            found = sorted(str(child) for child in path.iterdir()
                           if child.suffix.lower() in RASTER_EXTENSIONS)
            if not found:
                raise FileNotFoundError(f'{path} holds no raster ({", ".join(RASTER_EXTENSIONS)}'
                                        '): give a file, or the folder that holds them')
            files += found
        elif path.is_file():
            files.append(str(path))
        else:
            raise FileNotFoundError(f'no such raster: {path}')
    return files


def check_names(earlier: str, later: str, first: list[str], second: list[str]) -> None:
    """Raise ValueError where two folders do not hold rasters of equal names."""
    names = [{Path(path).stem for path in side} for side in (first, second)]
    alone = sorted(names[0] ^ names[1])
    if alone:
        raise ValueError(f'{alone[0]} is in one of {earlier} and {later} only: both dates of a '
                         'place have the same name')


def require_same_grid(first: RasterFile, second: RasterFile) -> None:
    """Raise ImageError where two rasters do not cover the same pixels of the ground."""
    sizes = [f'{file.width} x {file.height}' for file in (first, second)]
    if sizes[0] != sizes[1]:
        raise ImageError(
            f'{second.path} has {sizes[1]} pixels, but {first.path}, of the other date, has '
            f'{sizes[0]}: bring the two onto one grid with gdalwarp -te ... -tr ...')
    ours, theirs = first.georeference, second.georeference
    if not (ours.known and theirs.known) or ours.gcps or theirs.gcps:
        return
    # corners of the one, counted in pixels of the other
    corners = np.array([(0, 0, 1), (first.width, 0, 1), (0, first.height, 1)], float).T
    to_ground = [np.reshape(where.transform, (3, 3)) for where in (ours, theirs)]
    moved = np.linalg.solve(to_ground[0], to_ground[1] @ corners)
    if ours.crs != theirs.crs or np.abs(moved - corners).max() > 0.5:
        raise ImageError(
            f'{second.path} does not lie where {first.path} does (coordinates or their '
            'system differ): bring the two onto one grid with gdalwarp -t_srs ... -te ... '
            '-tr ...')
