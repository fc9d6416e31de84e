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
    for path in map(Path, [inputs] if isinstance(inputs, (str, Path)) else inputs):
        found = [path] if path.is_file() else sorted(
            child for child in path.glob('*') if child.suffix.lower() in RASTER_EXTENSIONS)
        if not path.exists():
            raise MissingFileError(f'no such raster: {path}')
        if not found:
            raise MissingFileError(f'{path} holds no raster ({", ".join(RASTER_EXTENSIONS)}): '
                                   'give a file, or the folder that holds them')
        files += found
    return [(str(path), ) for path in files]


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
        dates = [[path for path, in list_rasters(date)] for date in pair]
        alone = set.symmetric_difference(*({Path(path).stem for path in date} for date in dates))
        if Path(pair[0]).is_dir() and alone:
            raise CMIDError(f'{min(alone)} is in one of {pair[0]} and {pair[1]} only: both dates '
                            'of a raster must have the same name')
        pairs += zip(*dates)
    return pairs
