"""Paths of the rasters of a prediction, for one date or two."""
from collections.abc import Sequence
from pathlib import Path

from ..datasets.band_files import group_bands
from ..datasets.folder_scan import scan_folder
from ..datasets.packed_images import is_image_file
from ..datasets.raster_paths import files_of, plain_name
from ..utils.errors import CMIDError, MissingFileError

# of two files of one name the first of these is the raster, the other a quick-look
RASTER_EXTENSIONS = ('.tif', '.tiff', '.jp2', '.png', '.jpg', '.jpeg')
# what predictions of this package append to the name of a raster
RESULTS = ('_classes', '_change', '_objects', '_features')


def list_rasters(inputs: str | Sequence[str], bands: dict | None = None) -> list[tuple[str]]:
    """Paths of a raster, a folder of rasters (without sub-folders) or a list of them.

    In a folder, names that begin with a dot, folders, earlier results and quick-looks of the
    same name are passed over.

    Args:
        inputs (str | Sequence[str]): The paths.
        bands (dict, optional): Arguments of ``group_bands``, for rasters with one file per band,
            which are found in folders at any depth. Defaults to None.

    Raises:
        MissingFileError: A path does not exist, or a folder holds no raster.
        CMIDError: An image lacks a band.
    """
    files = []
    for path in map(Path, [inputs] if isinstance(inputs, (str, Path)) else inputs):
        several = len(files_of(str(path))) > 1
        if not (path.exists() or several and is_image_file(str(path))):
            raise MissingFileError(f'no such raster: {path}')
        if path.is_dir() and bands is not None:
            found = [path / name for name in group_bands(scan_folder(str(path)), **bands)]
        else:
            found = _rasters_in(path) if path.is_dir() else [path]
        if not found:
            raise MissingFileError(f'{path} holds no raster ({", ".join(RASTER_EXTENSIONS)}): '
                                   'give a file, or the folder that holds them')
        files += found
    return [(str(path), ) for path in files]


def _rasters_in(folder: Path) -> list[Path]:
    rank = RASTER_EXTENSIONS.index
    files = sorted((child for child in folder.glob('*')
                    if child.suffix.lower() in RASTER_EXTENSIONS and child.is_file()
                    and not child.name.startswith('.')),
                   key=lambda child: (child.stem, rank(child.suffix.lower())))
    first = {}
    for file in files:
        first.setdefault(file.stem, file)
    return [file for stem, file in first.items()
            if not any(stem.endswith(end) and stem.removesuffix(end) in first for end in RESULTS)]


def list_pairs(inputs: Sequence, bands: dict | None = None) -> list[tuple[str, str]]:
    """Paths of both dates of every raster.

    Args:
        inputs (Sequence): A pair (earlier, later) of rasters or of folders with equal names,
            or a list of pairs. The only rasters of two folders may have other names.
        bands (dict, optional): See :func:`list_rasters`.

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
        dates = [[path for path, in list_rasters(date, bands)] for date in pair]
        alone = set.symmetric_difference(*({Path(plain_name(path)).name for path in date}
                                           for date in dates))
        if Path(pair[0]).is_dir() and alone and [len(date) for date in dates] != [1, 1]:
            raise CMIDError(f'{min(alone)} is in one of {pair[0]} and {pair[1]} only: both dates '
                            'of a raster must have the same name')
        pairs += zip(*dates)
    return pairs
