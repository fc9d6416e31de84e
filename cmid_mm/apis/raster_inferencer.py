"""What the inferencers of large rasters have in common."""
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from rasterio.windows import Window

from ..datasets.image_reading import ImageError
from ..datasets.transforms.loading import LoadRSImage
from ..engine.optimizers.auto_precision import best_precision
from ..utils.output_file import check_output
from .model import as_config, build_model, scope_of
from .pipelines import test_pipeline
from .raster_file import RasterFile, open_raster
from .tiles import Span, cut_axis

RASTER_EXTENSIONS = ('.tif', '.tiff', '.jp2', '.png', '.jpg', '.jpeg')
_PAIR_LOADERS = ('LoadRSImagePair', 'MultiImgLoadImageFromFile')
_OUR_LOADERS = ('LoadRSImage', 'LoadRSImagePair')
_BGR_LOADERS = ('LoadImageFromFile', 'MultiImgLoadImageFromFile')
# Where a config says nothing of the size it was trained with.
_TILE = 512


class RasterInferencer(BaseInferencer):
    """Base of what goes through rasters of any size tile by tile.

    Every subclass writes a file a raster and keeps no more of it in memory than a row of
    tiles.

    Args:
        model (str | Config): Config of the training.
        weights (str): Checkpoint that the training has written.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Changes of the config, dotted key -> value.
        tile (int, optional): Side of a tile in pixels. Defaults to None: that of the
            training's crops.
        overlap (int, optional): Least overlap of neighbours in pixels. Defaults to None: a
            quarter of a tile.
        batch_size (int): Tiles that pass the model together. Defaults to 4.
        show_progress (bool): Defaults to True.

    Attributes:
        tile (int): Side of a tile in pixels; ``overlap`` alike.
        dates (int): Rasters that belong to one input.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The checkpoint is of another model or lacks its head, the config is for
            another task, or the overlap does not suit the tile.
    """

    #: What the files that are written end in, behind the name of the raster.
    ending: str
    #: Dates that an input has.
    wanted_dates = 1

    def __init__(self,
                 model: str | Config,
                 weights: str,
                 device: str | None = None,
                 cfg_options: dict | None = None,
                 tile: int | None = None,
                 overlap: int | None = None,
                 batch_size: int = 4,
                 show_progress: bool = True):
        config = as_config(model, cfg_options)
        loader = test_pipeline(config)[0]
        self.loading, self.bgr, self.dates = raster_loading(loader)
        if self.dates != self.wanted_dates:
            raise ValueError(
                f'{config.filename} reads {self.dates} date(s) at a time, but '
                f'{type(self).__name__} takes {self.wanted_dates}: take ChangeInferencer for '
                'change detection and SegmentationInferencer for one date')
        self.tile = tile or trained_size(config) or _TILE
        self.overlap = self.tile // 4 if overlap is None else overlap
        cut_axis(self.tile, self.tile, self.overlap)  # checks
        # open-cd's data preprocessor tests one image at a time
        self.batch_size = 1 if config.get('default_scope') == 'opencd' else batch_size
        super().__init__(config, weights, device or get_device(), config.default_scope,
                         show_progress)

    def __call__(self, inputs, out_dir: str, **kwargs) -> dict:
        """Go through rasters, one file of results for each.

        Every raster is opened and checked before the first is worked on. What is finished
        stays, whatever happens to the next one.

        Args:
            inputs (str | Sequence): A raster, a folder or a list of rasters; of two dates a
                pair of rasters or of folders with equal names, or a list of pairs.
            out_dir (str): Folder of the results, named as the (first) raster.
            **kwargs: Of :meth:`predict`.

        Returns:
            dict: ``predictions``, one dict a raster, see :meth:`predict`.

        Raises:
            FileNotFoundError: A raster does not exist, or a folder holds none.
            ImageError: A raster cannot be read or does not suit the model.
            ValueError: Two results would have one name, or that of a raster.
        """
        rasters = self._inputs_to_list(inputs)
        outs = [str(Path(out_dir) / (Path(paths[0]).stem + self.ending)) for paths in rasters]
        for paths, out in zip(rasters, outs):
            for path in paths:
                check_output(out, path)
        twice = {out for out in outs if outs.count(out) > 1}
        if twice:
            raise ValueError(f'{len(outs)} rasters would write {min(twice)} more than once: '
                             'give them names that differ, or call for each by itself')
        for paths in rasters:
            with self.open(paths):
                pass
        return dict(predictions=[self.predict(paths, out, **kwargs)
                                 for paths, out in zip(rasters, outs)])

    @contextmanager
    def open(self, paths: Sequence[str]) -> Iterator[list[RasterFile]]:
        """Context manager: the rasters of all dates, which cover the same pixels.

        Raises:
            ImageError: One cannot be read, or the dates differ in size or place.
        """
        with ExitStack() as stack:
            files = [stack.enter_context(open_raster(path, self.loading)) for path in paths]
            for file in files[1:]:
                require_same_grid(files[0], file)
            yield files

    def rows(self, files: list[RasterFile], columns: list[Span],
             rows: list[Span]) -> Iterator[tuple[Span, list, list]]:
        """Tiles, row by row; the next row is read while this one is worked on.

        Args:
            files (list[RasterFile]): Of all dates.
            columns (list[Span]): Tiles of a row.
            rows (list[Span]): Rows of tiles.

        Yields:
            tuple: The row; its tiles, uint8 (h, w, dates * bands) in the order of the
            bands that the model wants; bool (h, w) of each, where every date has pixels.
        """
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._read_row, files, columns, rows[0])
            for number, row in enumerate(rows):
                tiles, valid = ahead.result()
                if number + 1 < len(rows):
                    ahead = pool.submit(self._read_row, files, columns, rows[number + 1])
                yield row, tiles, valid

    @torch.no_grad()
    def forward(self, inputs: list, **_) -> list:
        """Data samples with predictions of tiles, uint8 (h, w, bands) of one size."""
        tensors = [torch.from_numpy(tile).permute(2, 0, 1).contiguous() for tile in inputs]
        samples = [self.sample(tile.shape[:2]) for tile in inputs]
        with scope_of(self.cfg), self.precision():
            return self.model.test_step(dict(inputs=tensors, data_samples=samples))

    def sample(self, shape: tuple):
        """A data sample of the model's framework for a tile of (rows, columns) pixels."""
        raise NotImplementedError

    def precision(self):
        """Context manager: float32; subclasses may take less."""
        return ExitStack()

    def progress(self, tiles: int) -> Callable[[int], None]:
        """What is told of so many tiles when they are done; it draws a bar with the time left."""
        if not self.show_progress:
            return lambda done: None
        # a bar that moves at most a hundred times keeps a log file readable
        bar, step, waiting = ProgressBar(tiles, file=sys.stderr), max(1, tiles // 100), 0

        def update(done: int) -> None:
            nonlocal waiting
            waiting += done
            finished = bar.completed + waiting == tiles
            if waiting >= step or finished:
                bar.update(waiting)
                waiting = 0
            if finished:
                sys.stderr.write('\n')

        return update

    def say(self, line: str) -> None:
        """One line for the user."""
        print_log(line, 'current')

    def describe(self, files: list[RasterFile]) -> None:
        """Say what is about to be done, and what is special about the rasters."""
        first = files[0]
        self.say(f'{" and ".join(file.path for file in files)}: {first.width} x {first.height} '
                 f'px, tiles of {self.tile} px that overlap by {self.overlap} px or more')
        if not first.georeference.known:
            self.say(f'{first.path} has no georeference, so the result has none either')
        if min(first.width, first.height) < self.tile:
            self.say(f'{first.path} is smaller than a tile and is seen as it is')

    def visualize(self, *args, **kwargs):
        """Predictions of rasters are files; a small picture of each lies beside it."""
        raise NotImplementedError(self.visualize.__doc__)

    def postprocess(self, *args, **kwargs):
        """Predictions of rasters are files."""
        raise NotImplementedError(self.postprocess.__doc__)

    def _read_row(self, files: list[RasterFile], columns: list[Span], row: Span) -> tuple:
        windows = [Window(span.start, row.start, span.stop - span.start, row.stop - row.start)
                   for span in columns]
        tiles, masks = [], []
        for window in windows:
            pixels, valid = zip(*(file.read(window) for file in files))
            if self.bgr:
                pixels = [image[..., ::-1] for image in pixels]
            tiles.append(np.concatenate(pixels, axis=2))
            masks.append(np.logical_and.reduce(valid))
        return tiles, masks

    def _inputs_to_list(self, inputs) -> list[tuple[str, ...]]:
        """Paths of the dates of every raster."""
        if self.dates == 1:
            return [(path, ) for path in list_rasters(inputs)]
        if len(inputs) == 2 and all(isinstance(entry, (str, Path)) for entry in inputs):
            inputs = [inputs]
        pairs = []
        for pair in inputs:
            if len(pair) != 2:
                raise ValueError(f'{pair} are no two dates: give (earlier, later)')
            sides = [list_rasters(side) for side in pair]
            if Path(pair[0]).is_dir():
                check_names(*pair, *sides)
            pairs += zip(*sides)
        return pairs

    def _init_model(self, cfg: Config, weights: str, device: str) -> torch.nn.Module:
        return build_model(cfg, weights, device)

    def _init_pipeline(self, cfg):
        return None

    def _init_collate(self, cfg):
        return None

    def _init_visualizer(self, cfg):
        return None


def raster_loading(loader: ConfigDict) -> tuple[LoadRSImage, bool, int]:
    """How a config's own loader reads images.

    Args:
        loader (ConfigDict): First transform of the test pipeline.

    Returns:
        tuple: The loading of one date; whether its bands are to be turned round, to BGR; and
        the number of dates.

    Raises:
        ValueError: The loader is an unknown one.
    """
    name = loader['type'].rpartition('.')[2]
    dates = 2 if name in _PAIR_LOADERS else 1
    if name in _OUR_LOADERS:
        settings = {key: value for key, value in loader.items() if key != 'type'}
        return LoadRSImage(**settings), False, dates
    if name in _BGR_LOADERS:
        return LoadRSImage(bands=3), True, dates
    raise ValueError(f'the test pipeline begins with {name}, which tiles of a raster cannot '
                     f'stand in for: use one of {", ".join(_OUR_LOADERS + _BGR_LOADERS)}')


def trained_size(config: Config) -> int | None:
    """Side of the images in training, in pixels, as far as the config tells."""
    found = []

    def look(node):
        if isinstance(node, dict):
            found.extend(node[key] for key in ('crop_size', ) if node.get(key))
            node = list(node.values())
        if isinstance(node, (list, tuple)):
            for child in node:
                look(child)

    look(config.get('train_dataloader'))
    resize = [step['scale'] for step in test_pipeline(config)
              if step['type'].endswith('Resize') and step.get('scale')]
    preprocessor = config.model.get('data_preprocessor') or {}
    size = (found + resize + [preprocessor.get('size')])[0]
    return max(size) if isinstance(size, (list, tuple)) else size


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


@contextmanager
def fast_precision(device: torch.device) -> Iterator[None]:
    """Context manager: the precision that the hardware computes fastest."""
    name, _ = best_precision()
    # it speaks of a GPU where there is one
    elsewhere = device.type == 'cpu' and torch.cuda.is_available()
    if name == 'float32' or elsewhere:
        yield
        return
    with torch.autocast(device.type, getattr(torch, name)):
        yield
