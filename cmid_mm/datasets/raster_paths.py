"""Names of parts of a raster, and of images with one file per band.

``scene.tif#xywh=512,0,256,256`` is a window of an image: left, top, width and height in pixels,
in the syntax of Media Fragments URI 1.0 (W3C). ``T31_{B04,B08!}.tif`` is an image whose bands
are ``T31_B04.tif`` and ``T31_B08.tif``; ``!`` marks the band whose grid the image has, without it
the first one. Whatever takes the path of an image takes these too.
"""
import os
import re
from typing import NamedTuple

_WINDOW = re.compile(r'(.*)#xywh=(\d+),(\d+),(\d+),(\d+)', re.DOTALL)
_BANDS = re.compile(r'(.*)\{([^{}]*,[^{}]*)\}([^{}]*)', re.DOTALL)
_GRID = '!'


class Window(NamedTuple):
    """A part of an image, in its pixels."""
    left: int
    top: int
    width: int
    height: int


def window_path(path: str, window: Window) -> str:
    """Name of a window of an image."""
    return f'{path}#xywh={",".join(map(str, window))}'


def split_window(path: str) -> tuple[str, Window | None]:
    """Path of the image, and the window; None for a whole image."""
    match = _WINDOW.fullmatch(path)
    if match is None:
        return path, None
    return match[1], Window(*map(int, match.groups()[1:]))


def band_path(paths: list[str], grid: int) -> str:
    """Name of the image whose bands are ``paths``, in their order; one path is its own name.

    Args:
        paths (list[str]): Files of the bands.
        grid (int): Index of the one whose grid the image has.
    """
    if len(paths) == 1:
        return paths[0]
    # whole words differ: T31_{B04,B08}.tif, not T31_B0{4,8}.tif
    start = re.match(r'(.*[\W_])?', os.path.commonprefix(paths), re.DOTALL)[0]
    rests = [path[len(start):] for path in paths]
    end = re.match(r'(.*[\W_])?', os.path.commonprefix([rest[::-1] for rest in rests]),
                   re.DOTALL)[0][::-1]
    names = [rest[:len(rest) - len(end)] + _GRID * (place == grid and place > 0)
             for place, rest in enumerate(rests)]
    return f'{start}{{{",".join(names)}}}{end}'


def split_bands(path: str) -> tuple[list[str], int]:
    """Files of the bands of an image, and the index of the one whose grid it has.

    A path without braces, or of a file that exists, is its own only file.
    """
    match = _BANDS.fullmatch(path)
    if match is None or os.path.isfile(path):
        return [path], 0
    start, names, end = match.groups()
    names = names.split(',')
    grid = next((place for place, name in enumerate(names) if name.endswith(_GRID)), 0)
    return [f'{start}{name.removesuffix(_GRID)}{end}' for name in names], grid


def plain_name(path: str) -> str:
    """Path of an image without the names of its bands and without ending: ``a/T31``."""
    match = _BANDS.fullmatch(path)
    if match is None or os.path.isfile(path):
        return os.path.splitext(path)[0]
    start, _, end = match.groups()
    return re.sub(r'[\W_]+$', '', start) + os.path.splitext('x' + end)[0][1:]


def files_of(path: str) -> list[str]:
    """Files that an image, or a window of one, consists of."""
    return split_bands(split_window(path)[0])[0]
