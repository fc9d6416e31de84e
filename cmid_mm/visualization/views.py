"""Pictures of the views, masks and matched cells of a config."""
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmpretrain.registry import DATASETS, MODELS
from torch import Tensor

from ..datasets.inspection import mean_and_std, view_moments
from ..datasets.transforms.two_views import CMIDTwoViews
from ..models.selfsup.backbone_probe import probe_backbone
from ..models.selfsup.cell_matching import location_grid, match_cells
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError
from ..utils.keyed_random import SampleIndex
from .panels import COLOURS, dot, enlarge, fit, hues, outline, to_rgb
from .reconstruction import tensor_to_rgb

#: Titles of the columns of ``ViewBrowser.rows``.
VIEW_HEADS = ('image and both crops', 'view 1 (yellow)', 'view 2 (blue)', 'view 1, masked',
              'view 2, masked')
# pixels of a view in the picture; smaller ones are enlarged
_SIDE = 192
_LINE_ON_LIGHT, _LINE_ON_DARK = (40, 40, 40), (150, 150, 150)
# number of images for the statistics that the config does not set
_MEASURED = 50


class ViewBrowser:
    """Draws the views of a pre-training's images.

    Data set, pipeline, data preprocessor and number of matches are those of the config.

    Args:
        cfg (Config): Config of a pre-training.

    Raises:
        CMIDError: The config is of another training, or its pipeline creates no views.
    """

    def __init__(self, cfg: Config):
        loader = cfg.get('train_dataloader')
        model = cfg.get('model', {})
        if loader is None or 'data_preprocessor' not in model or 'image_size' not in model:
            raise CMIDError('the config has no train_dataloader or its model is no CMID: '
                            'views are made by the configs of configs/cmid/')
        with scope_of(cfg):
            self.dataset = DATASETS.build(loader.dataset)
            self.preprocessor = MODELS.build(model.data_preprocessor)
            backbone = MODELS.build(model.backbone)
        self.last = _record_views(self.dataset)
        self.num_matches = model.get('num_matches', 20)
        shape = probe_backbone(
            backbone, self.preprocessor.bands, model.image_size, model.get('mask_stem'))
        self.cells = (model.image_size // shape.stride, ) * 2
        if self.preprocessor.mean.isnan().any():
            self._measure()

    def __len__(self) -> int:
        return len(self.dataset)

    def rows(self, samples: list, seed: int = 0, epoch: int = 0, matches: bool = False) -> list:
        """Pictures of the views of images in a run.

        Args:
            samples (list[int]): Numbers of the images in the data set.
            seed (int): Seed of the run. Defaults to 0.
            epoch (int): Epoch of the run. Defaults to 0.
            matches (bool): Whether cells of view 1 and their matches in view 2 are marked in
                the same colour.

        Returns:
            list[list[ndarray]]: For each image a panel for each of ``VIEW_HEADS``, uint8 RGB.
        """
        items, originals = [], []
        for sample in samples:
            items.append(self.dataset[SampleIndex(sample, seed, epoch)])
            originals.append(outlined(*self.last['view']))
        inputs = self.preprocessor(default_collate(items), True)['inputs']
        columns = [[fit(image, _SIDE) for image in originals]]
        for view in range(2):
            columns.append([self._picture(image) for image in inputs['images'][view]])
        if matches:
            self._mark(columns[1:], inputs['boxes'])
        shade = self.preprocessor.mask_fill is None
        for view in range(2):
            cell = self.preprocessor.mask_cell
            pairs = zip(inputs['masked_images'][view], inputs['masks'][view][:, ::cell, ::cell])
            columns.append([cells_outlined(self._picture(image), mask, shade)
                            for image, mask in pairs])
        return [list(row) for row in zip(*columns)]

    def _picture(self, image: Tensor) -> np.ndarray:
        """A normalised image (C, S, S) in its grey levels, enlarged."""
        mean, std = (level[:, None, None] for level in (
            self.preprocessor.mean, self.preprocessor.std))
        return enlarge(tensor_to_rgb(image * std + mean), _SIDE)

    def _mark(self, columns: list, boxes: list) -> None:
        grids = [location_grid(box, self.cells) for box in boxes]
        pairs = match_cells(grids[0], grids[1], self.num_matches)
        for pictures, cells in zip(columns, pairs):
            for picture, index in zip(pictures, cells):
                colours = hues(np.linspace(0, 1, len(index)))
                for cell, colour in zip(index.tolist(), colours):
                    dot(picture, cell_centre(cell, self.cells, picture.shape[:2]), colour)

    def _measure(self) -> None:
        """Measure statistics as ``MeasureStatisticsHook`` does, on fewer images."""
        places = np.linspace(0, len(self) - 1, min(_MEASURED, len(self))).astype(int)
        moments = view_moments(self.dataset, places, self.preprocessor.bands) / len(places)
        mean, std = map(torch.from_numpy, mean_and_std(moments))
        self.preprocessor.mean.copy_(mean)
        self.preprocessor.std.copy_(std)


def outlined(image: np.ndarray, sample_key: tuple, cutter: CMIDTwoViews,
             valid: np.ndarray | None = None) -> np.ndarray:
    """A copy of an image with both crops outlined, each in the colour of its view.

    Args:
        image (ndarray): (H, W, bands) uint8, from which views are cut.
        sample_key (tuple[int, int, int]): Seed, epoch and sample.
        cutter (CMIDTwoViews): Transform that cuts the views.
        valid (ndarray, optional): bool (H, W), which pixels have data.
    """
    drawn = to_rgb(image).copy()
    # wide enough to be visible in a reduced picture
    width = max(2, round(max(image.shape[:2]) / 90))
    for view, crop in enumerate(cutter.crops(sample_key, *image.shape[:2], valid)):
        outline(drawn, crop[:4], COLOURS[view], width)
    return drawn


def cells_outlined(image: np.ndarray, mask: Tensor, shade: bool = False) -> np.ndarray:
    """Outline the masked cells in an image, in place.

    Args:
        image (ndarray): (S, S, 3) uint8.
        mask (Tensor): (rows, columns) bool, true = masked; they divide S.
        shade (bool): Whether their pixels are also made paler, for configs that mask tokens
            but not pixels. Defaults to False.
    """
    rows, columns = (side // cells for side, cells in zip(image.shape, mask.shape))
    if shade:
        fine = mask.repeat_interleave(rows, 0).repeat_interleave(columns, 1).numpy()
        image[fine] = image[fine] // 2 + 96
    for row, column in mask.nonzero().tolist():
        cell = image[row * rows:(row + 1) * rows, column * columns:(column + 1) * columns]
        colour = _LINE_ON_LIGHT if cell.mean() > 90 else _LINE_ON_DARK
        outline(image, (row * rows, column * columns, rows, columns), colour)
    return image


def cell_centre(cell: int, grid: tuple, size: tuple) -> tuple:
    """(row, column) in pixels of the centre of a cell, counted row by row."""
    row, column = divmod(cell, grid[1])
    return (row + 0.5) * size[0] / grid[0], (column + 0.5) * size[1] / grid[1]


def _record_views(dataset) -> dict:
    """Let every pipeline of a data set record the image from which it cuts views.

    Returns:
        dict: ``view``: arguments of :func:`outlined` for the last sample.

    Raises:
        CMIDError: No views are cut.
    """
    last = {}
    for part in _innermost(dataset):
        steps = part.pipeline.transforms
        place = next((i for i, step in enumerate(steps) if isinstance(step, CMIDTwoViews)), None)
        if place is None:
            raise CMIDError('the train pipeline has no CMIDTwoViews: views are made by the '
                            'configs of configs/cmid/')
        steps.insert(place, _Record(last, steps[place]))
    return last


class _Record:
    """A pipeline step that records the image and changes nothing."""

    def __init__(self, last: dict, cutter: CMIDTwoViews):
        self.last, self.cutter = last, cutter

    def __call__(self, results: dict) -> dict:
        if 'sample_key' in results:  # else CMIDTwoViews raises
            self.last['view'] = (results['img'], results['sample_key'], self.cutter,
                                 results.get('valid'))
        return results


def _innermost(dataset):
    """The data sets inside ``ConcatDataset``, ``RepeatDataset`` and the like."""
    parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if parts == [None]:
        yield dataset
    else:
        for part in parts:
            yield from _innermost(part)
