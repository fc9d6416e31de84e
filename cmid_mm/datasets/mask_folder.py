"""Folders of images and masks, of one date or two."""
import os
import re
from collections.abc import Sequence
from colorsys import hsv_to_rgb

from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError, MissingFileError

from .band_files import group_bands
from .folder_scan import IMAGE_EXTENSIONS, Progress, on_first_process, scan_folder
from .list_file import first_names, list_lines
from .raster_paths import files_of, plain_name, window_path
from .raster_windows import cover, same_grid


@DATASETS.register_module()
class MaskFolder(BaseDataset):
    """Images and masks with the same names except for the endings, whole or in windows.

    ``images/a/1.tif`` belongs to ``masks/a/1.png``; with ``img_path2``, a second date is
    found in the same way. Where names differ in other places, a sub-folder with ``*`` in it is
    a pattern of paths, and what ``*`` stands for is the name: ``rgb/*_RGB.tif`` and
    ``labels/*_label.tif``; ``*/date_1`` and ``*/change.png``. Missing files are an error before
    training starts.

    With ``window``, windows cover every raster, each pixel once; masks and dates must be on its
    grid. The data info of an image or a window has ``img_path``, ``img_path2`` with two dates,
    ``seg_map_path``, ``num_classes``, ``reduce_zero_label`` and ``values``, for ``LoadMask`` or
    ``LoadChangeMask``; ``core``, (left, top, width, height), where labels around it are ignored.

    Args:
        data_root (str): The folder.
        data_prefix (dict[str, str]): Sub-folders, or patterns, ``img_path``, ``seg_map_path`` and
            optionally ``img_path2``.
        ann_file (str): Optional list relative to ``data_root``: one name per line, relative
            to the sub-folders, with or without its ending. Without it, every image of
            ``img_path`` is used. Defaults to ''.
        names (Sequence[str], optional): The names themselves, in place of a list.
        metainfo (dict): ``classes``, and optionally ``palette`` with a colour (R, G, B) for
            each; without it, the hues are evenly spaced.
        reduce_zero_label (bool): Whether 0 in the masks is ignored and the classes count
            from 1. Defaults to False.
        values (dict | Sequence, optional): Value in the masks -> class, or 255 for ignored
            pixels, as a dict or pairs: ``{0: 0, 255: 1}``. Other values are then an error. In
            masks of colours the values are (R, G, B): ``[((255, 0, 0), 0), ...]``.
            Defaults to None: the values are the classes.
        window (int, optional): Side in pixels of the windows of larger rasters. Defaults to
            None: every image is one sample.
        overlap (int): Least overlap of windows in pixels. Defaults to 0.
        count_once (bool): Whether the label of a pixel in several windows counts in one of them
            and is ignored in the others, as a metric needs it; a training may use all.
            Defaults to True.
        band_files, band_pattern, grid_band: As in ``ImageFolder``, for the images.
        **kwargs: Passed to mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        MissingFileError: A folder, the list, or a mask or image of a pair does not exist.
        CMIDError: There is no image, two files share a name, classes and colours
            do not agree, or ``values`` names a class that does not exist.
    """

    def __init__(self, data_root: str = '',
                 data_prefix: dict = dict(img_path='images', seg_map_path='masks'),
                 ann_file: str = '', names: Sequence[str] | None = None,
                 metainfo: dict | None = None,
                 reduce_zero_label: bool = False, values: dict | Sequence | None = None,
                 window: int | None = None, overlap: int = 0, count_once: bool = True,
                 band_files: Sequence[str] | None = None, band_pattern: str = '*{band}.*',
                 grid_band: str | None = None, **kwargs) -> None:
        classes = (metainfo or {}).get('classes') or ()
        palette = (metainfo or {}).get('palette') or _even_hues(len(classes))
        if not classes or len(classes) != len(palette):
            raise CMIDError(f'{len(classes)} classes and {len(palette)} colours: metainfo '
                            'needs classes=(...); palette=[...] may be absent')
        self.names = names
        self.reduce_zero_label = reduce_zero_label
        self.values = None if values is None else _checked(values, len(classes))
        if values is not None and reduce_zero_label:
            raise CMIDError('values and reduce_zero_label both say what 0 means: leave out '
                            'reduce_zero_label, and map 0 to 255 in values')
        if window is not None and window < 1:
            raise CMIDError(f'window={window}: give the side of a window in pixels')
        self.window, self.overlap, self.count_once = window, overlap, count_once
        self.band_files = band_files
        self._grouping = band_pattern, grid_band
        metainfo = dict(metainfo, palette=palette, reduce_zero_label=reduce_zero_label)
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_root=data_root,
                         data_prefix=dict(data_prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Data infos in the order of the list, or sorted by name."""
        files = {part: self._by_name(part, folder)
                 for part, folder in self.data_prefix.items()}
        names = self.names or ([line for _, line in list_lines(self.ann_file)]
                               if self.ann_file else list(files['img_path']))
        if not names:
            raise CMIDError(f'there is no image for {type(self).__name__}: '
                            f'{self.ann_file or self.data_prefix["img_path"]} is empty')
        paths = {part: [_find(found, name) for name in names] for part, found in files.items()}
        for part, found in paths.items():
            missing = [name for name, path in zip(names, found) if path is None]
            if missing:
                raise MissingFileError(
                    f'{self.data_prefix[part]} lacks {len(missing)} of {len(names)} files: '
                    f'{first_names(missing)} ({part} in data_prefix; names must agree up to '
                    'the ending)')
        rows = list(zip(*paths.values()))
        cores = [None] * len(rows)
        if self.window is not None:
            rows, cores = on_first_process(_windows_of, rows, self.window, self.overlap)
        return [dict(zip(paths, found), num_classes=len(self.metainfo['classes']),
                     reduce_zero_label=self.reduce_zero_label, values=self.values,
                     label_map=None, seg_fields=[],
                     **(dict(core=core) if core and self.count_once else {}))
                for found, core in zip(rows, cores)]

    def _by_name(self, part: str, folder: str) -> dict[str, str]:
        """Path of every image under a folder, or of a pattern, by its name."""
        root, pattern = folder, None
        if '*' in folder:
            head = folder[:folder.index('*')]
            root = head[:head.rfind('/') + 1] or '.'
            rest = re.escape(folder[len(root) if head.rfind('/') >= 0 else 0:])
            pattern = re.compile(rest.replace(r'\*', '([^/]*)') + '(/.*)?')
        found = on_first_process(scan_folder, root)
        if self.band_files is not None and part.startswith('img_path'):
            found = group_bands(found, self.band_files, *self._grouping)
        files = {}
        for file in found:
            name = plain_name(file)
            if pattern is not None:
                match = pattern.fullmatch(files_of(file)[0])
                if match is None:
                    continue
                *stars, below = match.groups()
                name = '/'.join(stars)
                # several files of a folder that a star stands for are no pair
                name += '' if not below or self.band_files is not None else os.path.splitext(
                    below)[0]
            if name in files:
                raise CMIDError(f'{os.path.join(root, file)} and {files[name]} have the same '
                                'name: move one of them away')
            files[name] = os.path.join(root, file)
        return files


def _checked(values: dict | Sequence, classes: int) -> dict[int, int]:
    """Value -> class as a dict; CMIDError for a class that does not exist."""
    pairs = values.items() if isinstance(values, dict) else values
    values = {tuple(value) if isinstance(value, (list, tuple)) else int(value): int(number)
              for value, number in pairs}
    if len({isinstance(value, tuple) for value in values}) > 1:
        raise CMIDError(f'values={values} has numbers and colours: the values of masks are '
                        'either')
    wrong = {value: number for value, number in values.items()
             if number != 255 and not 0 <= number < classes}
    if wrong or set(values.values()) <= {255}:
        raise CMIDError(f'values={values}: a value of the masks belongs to one of {classes} '
                        'classes, counted from 0, or to 255, which is ignored')
    return values


def _even_hues(count: int) -> list[tuple]:
    return [tuple(round(255 * part) for part in hsv_to_rgb(number / count, 0.7, 0.9))
            for number in range(count)]


def _windows_of(rows: Sequence[tuple], side: int,
                overlap: int) -> tuple[list[tuple], list[tuple | None]]:
    """Paths of the windows of images, dates and masks, and the part of each that counts.

    The part is None for a whole window.

    Raises:
        ImageError: A file cannot be read, or does not cover the pixels of the image.
    """
    found, cores, progress = [], [], Progress('Reading the headers of rasters')
    for row in rows:
        height, width = same_grid(row)
        for window, core in cover(height, width, side, overlap):
            whole = window[2:] == (width, height)
            found.append(row if whole else tuple(window_path(path, window) for path in row))
            cores.append(None if core == (0, 0, *window[2:]) else core)
        progress.update(len(found))
    return found, cores


def _find(files: dict, name: str) -> str | None:
    stem, ending = os.path.splitext(name)
    if name not in files and ending.lower() in IMAGE_EXTENSIONS:
        name = stem
    return files.get(name)
