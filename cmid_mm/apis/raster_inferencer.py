"""What the inferencers of large rasters have in common."""
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from rasterio.windows import Window

from ..engine.optimizers.auto_precision import best_precision
from ..utils.config_scope import scope_of
from ..checkpoints.files import check_output
from .inputs import check_names, list_rasters, require_same_grid
from .model import as_config, build_model
from .pipelines import raster_loading, test_pipeline, trained_size
from .raster_file import RasterFile, open_raster
from .tiles import Span, cut_axis

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
