"""Images with one file per band, found by the names of their files."""
import re
from collections import defaultdict
from collections.abc import Sequence

from cmid_mm.utils.errors import CMIDError

from .list_file import first_names
from .raster_paths import band_path

# Folders of a Sentinel-2 product: those of a resolution are one image, others hold no images.
_RESOLUTION = re.compile(r'R\d+m')
_NO_IMAGES = {'QI_DATA', 'AUX_DATA'}


def group_bands(files: Sequence[str], bands: Sequence[str], pattern: str = '*{band}.*',
                grid_band: str | None = None) -> list[str]:
    """Images of which every band is a file.

    Args:
        files (Sequence[str]): Paths, ``/`` between the parts.
        bands (Sequence[str]): Names of the bands, as in the names of the files.
        pattern (str): Paths of the files: ``*`` stands for anything, ``{band}`` for the name of
            a band. What differs in ``*`` separates images. Defaults to ``'*{band}.*'``: the
            name ends with the band, before the ending.
        grid_band (str, optional): Band whose grid the others get. Defaults to None: the first.

    Returns:
        list[str]: Names of images, see :mod:`raster_paths`, in the order of the files.

    Raises:
        CMIDError: The pattern or a band matches no file, an image lacks a band or has one twice,
            or an argument is invalid.
    """
    if len(set(bands)) != len(bands) or not bands:
        raise CMIDError(f'band_files={tuple(bands)}: give every band once')
    if grid_band is not None and grid_band not in bands:
        raise CMIDError(f'grid_band={grid_band!r} is none of band_files={tuple(bands)}')
    if pattern.count('{band}') != 1:
        raise CMIDError(f"band_pattern={pattern!r} needs '{{band}}' once, where the names of "
                        "files have the band, for example '*_{band}_10m.jp2'")
    images = defaultdict(lambda: defaultdict(list))
    match = _expression(pattern, bands).fullmatch
    for file in files:
        parts, found = file.split('/'), match(file)
        if found is not None and _NO_IMAGES.isdisjoint(parts):
            rest = f'{file[:found.start("band")]}*{file[found.end("band"):]}'
            image = '/'.join(part for part in rest.split('/') if not _RESOLUTION.fullmatch(part))
            images[image][found['band']].append(file)
    if not images:
        raise CMIDError(f'none of {len(files)} files, for example {first_names(list(files[:2]))}, '
                        f'has the name of a band in {tuple(bands)} at the place that '
                        f'band_pattern={pattern!r} gives')
    for image, found in images.items():
        missing = [band for band in bands if band not in found]
        if missing:
            raise CMIDError(f'{image} lacks {len(missing)} of {len(bands)} bands: '
                            f'{first_names(missing)}; add the files, or change band_files')
        twice = next((paths for paths in found.values() if len(paths) > 1), None)
        if twice:
            raise CMIDError(f'{twice[0]} and {twice[1]} are the same band of one image: name one '
                            "of them in band_files, for example 'B05_20m' in place of 'B05'")
    place = 0 if grid_band is None else list(bands).index(grid_band)
    return [_name([found[band][0] for band in bands], place) for found in images.values()]


def _expression(pattern: str, bands: Sequence[str]) -> re.Pattern:
    # longer names first; a band is not a part of a longer word
    names = '|'.join(map(re.escape, sorted(bands, key=len, reverse=True)))
    before, after = (re.escape(part).replace(r'\*', '.*') for part in pattern.split('{band}'))
    return re.compile(f'{before}(?<![A-Za-z0-9])(?P<band>{names})(?![A-Za-z0-9]){after}')


def _name(paths: list[str], grid: int) -> str:
    wrong = next((path for path in paths if set(path) & set('{},#!')), None)
    if wrong is not None:
        raise CMIDError(f'{wrong}: names of band files must not have any of {{ }} , # !; rename '
                        'the file or its folder')
    return band_path(paths, grid)
