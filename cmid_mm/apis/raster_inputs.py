"""Paths of the rasters of a prediction, for one date or two."""
from collections.abc import Sequence
from pathlib import Path

from ..utils.errors import CMIDError, MissingFileError

RASTER_EXTENSIONS = ('.tif', '.tiff', '.jp2', '.png', '.jpg', '.jpeg')


def list_rasters(inputs: str | Sequence[str]) -> list[tuple[str]]:
    """Paths of a raster, a folder of rasters (without sub-folders) or a list of them.

    Raises:
        MissingFileError: A path does not exist, or a folder holds no raster.
    """
    files = []
    for entry in [inputs] if isinstance(inputs, (str, Path)) else inputs:
        path = Path(entry)
        if path.is_dir():
            found = sorted(str(child) for child in path.iterdir()
                           if child.suffix.lower() in RASTER_EXTENSIONS)
            if not found:
                raise MissingFileError(f'{path} holds no raster ({", ".join(RASTER_EXTENSIONS)}'
                                       '): give a file, or the folder that holds them')
            files += found
        elif path.is_file():
            files.append(str(path))
        else:
            raise MissingFileError(f'no such raster: {path}')
    return [(path, ) for path in files]


def list_pairs(inputs: Sequence) -> list[tuple[str, str]]:
    """Paths of both dates of every raster.

    Args:
        inputs (Sequence): A pair (earlier, later) of rasters or of folders with equal names,
            or a list of pairs.

    Raises:
        MissingFileError: A path does not exist, or a folder holds no raster.
        CMIDError: An input is not a pair, or the names in two folders differ.
    """
    if len(inputs) == 2 and all(isinstance(entry, (str, Path)) for entry in inputs):
        inputs = [inputs]
    pairs = []
    for pair in inputs:
        if len(pair) != 2:
            raise CMIDError(f'{pair} are not two dates: give (earlier, later)')
        sides = [[path for path, in list_rasters(side)] for side in pair]
        alone = sorted(set.symmetric_difference(*({Path(path).stem for path in side}
                                                  for side in sides)))
        if Path(pair[0]).is_dir() and alone:
            raise CMIDError(f'{alone[0]} is in one of {pair[0]} and {pair[1]} only: both dates '
                            'of a raster must have the same name')
        pairs += zip(*sides)
    return pairs
