"""Base of the inferencers for rasters of any size."""
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from ..checkpoints.files import check_output
from ..datasets.file_limits import ImageError
from ..datasets.georeference import ground_sample_distance
from ..datasets.input_description import differences
from ..datasets.parallel_reading import with_progress
from ..datasets.raster_file import RasterFile, check_blocks, require_same_grid
from ..datasets.raster_opening import open_raster
from ..datasets.raster_paths import Window, files_of, plain_name
from ..datasets.tiling import Span, cut_axis
from ..datasets.transforms.loading import LoadRSImage
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError
from .model import as_config, build_model
from .pipelines import raster_loading, resized_to, test_pipeline, trained_size
from .raster_inputs import list_pairs, list_rasters

# for configs without the size of their training images
_TILE = 512
# a block is decoded as a whole, so it bounds the memory of a tile
_MOST_BLOCK_BYTES = 2**30


@contextmanager
def open_for_model(path: str, loading: LoadRSImage) -> Iterator[RasterFile]:
    """Context manager: a raster whose windows a model can have.

    Args:
        path (str): The raster.
        loading (LoadRSImage): Bands and range of the model.

    Raises:
        ImageError: It cannot be read, or does not fit the loading.
    """
    with open_raster(path, loading.choose_bands) as file:
        check_blocks(file, _MOST_BLOCK_BYTES)
        # fails for the same reasons as any later window
        read_window(file, loading, Window(0, 0, 1, 1))
        yield file


def log_resolution(file: RasterFile, trained: dict | None) -> None:
    """Log a raster whose pixels differ on the ground from those of the training.

    ``trained`` is a result of ``describe_input``.
    """
    distance = ground_sample_distance(file.georeference, file.height, file.width)
    for text in differences(trained, dict(ground_sample_distance=distance and [distance] * 2)):
        print_log(f'{file.path}: {text}', 'current')


def read_window(file: RasterFile, loading: LoadRSImage,
                window: Window) -> tuple[np.ndarray, np.ndarray]:
    """A window as the model's training images, uint8 (h, w, bands), and whether it is valid.

    The second is bool (h, w), false where a pixel has no data.
    """
    raster = file.read(window)
    valid = np.ones(raster.pixels.shape[:2], bool) if raster.valid is None else raster.valid
    return loading.to_8_bits(file.path, raster), valid


class RasterInferencer:
    """Applies a model to rasters of any size, tile by tile, and writes a file for each raster.

    At most two rows of tiles are in memory.

    Args:
        model (str | Config): Config of the training.
        weights (str): Checkpoint of the training.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Changes of the config, dotted key -> value.
        tile (int, optional): Side of a tile in pixels. Defaults to None: that of the
            training's crops.
        overlap (int, optional): Least overlap of neighbours in pixels. Defaults to None: a
            quarter of a tile.
        batch_size (int): Tiles that pass the model together. Defaults to 4.
        show_progress (bool): Defaults to True.

    Attributes:
        tile (int): Side of a tile in pixels; ``overlap`` likewise.
        dates (int): Number of rasters of one input.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        CMIDError: The checkpoint is of another model or lacks its head, the config is for
            another task, or the overlap does not fit the tile.
    """

    #: Appended to the name of the raster to name the result.
    ending: str
    #: Dates of an input.
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
        self.cfg = as_config(model, cfg_options)
        self.loading, self.bgr, self.dates = raster_loading(test_pipeline(self.cfg)[0])
        if self.dates != self.wanted_dates:
            raise CMIDError(
                f'{self.cfg.filename} reads {self.dates} date(s) at a time, but '
                f'{type(self).__name__} takes {self.wanted_dates}: use ChangeInferencer for '
                'change detection and SegmentationInferencer for one date')
        self.tile = tile or trained_size(self.cfg) or _TILE
        self.overlap = self.tile // 4 if overlap is None else overlap
        cut_axis(self.tile, self.tile, self.overlap)  # checks
        # open-cd's data preprocessor tests one image at a time
        self.batch_size = 1 if self.cfg.get('default_scope') == 'opencd' else batch_size
        self.show_progress = show_progress
        self.model = build_model(self.cfg, weights, device or get_device())
        scale = resized_to(self.cfg)
        if scale:
            self.log(f'{self.cfg.filename} resizes images to {scale} before the model, but '
                     'rasters are not resized: if the resolution of the raster is not that of '
                     'the resized images, resample it with gdalwarp -tr')

    def __call__(self, inputs, out_dir: str, bands: dict | None = None, **kwargs) -> dict:
        """Predict rasters, one file of results for each.

        Every raster is opened and checked before the first prediction. One that cannot be read
        is an error where it was named, and left out where it was found in a folder; one that
        fails later does not stop the others.

        Args:
            inputs (str | Sequence): A raster, a folder or a list of rasters; for two dates a
                pair of rasters or of folders with equal names, or a list of pairs.
            out_dir (str): Folder of the results, named as the (first) raster.
            bands (dict, optional): See :func:`list_rasters`. Defaults to None.
            **kwargs: Passed to :meth:`predict`.

        Returns:
            dict: ``predictions``, one dict for each raster, see :meth:`predict`; ``failed``,
            pairs of the paths and the reason of those that could not be predicted.

        Raises:
            MissingFileError: A raster does not exist, or a folder holds none.
            ImageError: A raster that was named, or the last one of a folder, cannot be read or
                does not fit the model.
            CMIDError: Two results would have one name, or that of a raster.
        """
        rasters = list_rasters(inputs, bands) if self.dates == 1 else list_pairs(
            inputs, bands)
        outs = [str(Path(out_dir) / (Path(plain_name(paths[0])).name + self.ending))
                for paths in rasters]
        for paths, out in zip(rasters, outs):
            for path in paths:
                for file in files_of(path):
                    check_output(out, file)
        twice = {out for out in outs if outs.count(out) > 1}
        if twice:
            raise CMIDError(f'{len(outs)} rasters would write {min(twice)} more than once: '
                            'give them names that differ, or predict them one by one')
        named = [inputs] if isinstance(inputs, (str, Path)) else np.ravel(inputs)
        named = {str(path) for path in map(Path, named) if not path.is_dir()}
        predictions, failed, jobs = [], [], list(zip(rasters, outs))
        for job in list(jobs):
            try:
                with self.open(job[0]):
                    pass
            except ImageError as error:
                if named & set(job[0]) or len(jobs) == 1:
                    raise
                jobs.remove(job)
                failed.append((job[0], str(error)))
                self.log(f'left out: {error}')
        for paths, out in jobs:
            try:
                predictions.append(self.predict(paths, out, **kwargs))
            except ImageError as error:
                if len(rasters) == 1:
                    raise
                failed.append((paths, str(error)))
                self.log(f'failed: {error}')
        return dict(predictions=predictions, failed=failed)

    def predict(self, paths: tuple[str, ...], out: str, **kwargs) -> dict:
        """Predict one raster, of all dates, and write ``out``."""
        raise NotImplementedError

    def sample(self, shape: tuple):
        """A data sample of the model's framework for a tile of (rows, columns) pixels."""
        raise NotImplementedError

    @contextmanager
    def open(self, paths: Sequence[str]) -> Iterator[list[RasterFile]]:
        """Context manager: the rasters of all dates, which cover the same pixels.

        Raises:
            ImageError: A raster cannot be read, or the dates differ in size or location.
        """
        with ExitStack() as stack:
            files = [stack.enter_context(open_for_model(path, self.loading)) for path in paths]
            for file in files[1:]:
                require_same_grid(files[0], file)
            yield files

    def predictions(self, files: list[RasterFile]) -> Iterator[tuple]:
        """Predictions of the tiles, row by row; the next row is read during the prediction.

        Args:
            files (list[RasterFile]): Rasters of all dates.

        Yields:
            tuple: Position of the row, a Span; positions of its tiles, a list of Span; bool
            (h, w) of each tile, where every date has data; and an iterator over the data
            samples of the tiles, None for those without data.
        """
        columns, rows = (cut_axis(length, self.tile, self.overlap)
                         for length in (files[0].width, files[0].height))
        tiles = range(len(columns) * len(rows))
        progress = iter(with_progress(tiles, len(tiles)) if self.show_progress else tiles)
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._read_row, files, columns, rows[0])
            for number, row in enumerate(rows):
                tiles, masks = ahead.result()
                if number + 1 < len(rows):
                    ahead = pool.submit(self._read_row, files, columns, rows[number + 1])
                yield row, columns, masks, self._samples(tiles, masks, progress)
        next(progress, None)

    def _samples(self, tiles: list, masks: list, progress: Iterator) -> Iterator:
        full = [tile for tile, mask in zip(tiles, masks) if mask.any()]
        samples = (sample for start in range(0, len(full), self.batch_size)
                   for sample in self.forward(full[start:start + self.batch_size]))
        for mask in masks:
            next(progress)
            yield next(samples) if mask.any() else None

    def _read_row(self, files: list[RasterFile], columns: list[Span], row: Span) -> tuple:
        tiles, masks = [], []
        for span in columns:
            window = Window(span.start, row.start, span.stop - span.start, row.stop - row.start)
            pixels, valid = zip(*(read_window(file, self.loading, window) for file in files))
            if self.bgr:
                pixels = [image[..., ::-1] for image in pixels]
            tiles.append(np.concatenate(pixels, axis=2))
            masks.append(np.logical_and.reduce(valid))
        return tiles, masks

    def picture(self, file: RasterFile, longest: int) -> tuple[np.ndarray, float]:
        """The whole raster for a picture.

        Args:
            file (RasterFile): The raster.
            longest (int): Largest length of its longer side; a smaller raster is not resized.

        Returns:
            tuple[ndarray, float]: uint8 (h, w, bands), and the number of raster pixels per
            picture pixel along one axis.
        """
        shrink = max(1, max(file.width, file.height) / longest)
        size = tuple(max(1, round(side / shrink)) for side in (file.height, file.width))
        return self.loading.to_8_bits(file.path, file.read(size=size)), shrink

    @torch.no_grad()
    def forward(self, tiles: list) -> list:
        """Data samples with predictions of tiles, uint8 (h, w, bands) of one size."""
        inputs = [torch.from_numpy(tile).permute(2, 0, 1).contiguous() for tile in tiles]
        samples = [self.sample(tile.shape[:2]) for tile in tiles]
        with scope_of(self.cfg), self.precision():
            return self.model.test_step(dict(inputs=inputs, data_samples=samples))

    def precision(self):
        """Context manager: float32; subclasses may use a lower precision."""
        return nullcontext()

    def class_names(self, count: int) -> list[str]:
        """Class names of the checkpoint, extended to ``count`` classes."""
        names = list(self.model.dataset_meta.get('classes') or [])
        return names + [f'class {number}' for number in range(len(names), count)]

    def log(self, line: str) -> None:
        """Log one line."""
        print_log(line, 'current')

    def describe(self, files: list[RasterFile]) -> None:
        """Log size and tiles of a raster, a missing georeference and a small size."""
        first = files[0]
        self.log(f'{" and ".join(file.path for file in files)}: {first.width} x {first.height} '
                 f'px, tiles of {self.tile} px that overlap by {self.overlap} px or more')
        if not first.georeference.known:
            self.log(f'{first.path} has no georeference, so the result has none either')
        if min(first.width, first.height) < self.tile:
            self.log(f'{first.path} is smaller than a tile and is not enlarged')
        log_resolution(first, self.model.input)
