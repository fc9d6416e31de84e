"""Segmentation of cells by one linear layer on frozen feature maps."""
import re
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS
from torch import Tensor

from ...datasets.raster_paths import split_window
from ...utils.errors import CMIDError
from .linear_probe import check_l2, fit_probe

_HELD_OUT_EVERY = 5


@METRICS.register_module()
class PlaceProbe(BaseMetric):
    """Accuracy and mean IoU of a linear layer that predicts the class of every cell of a map.

    The class of a cell is the most frequent label of its pixels; a cell without a labelled
    pixel is not used. Every ``query_every``-th image is a query, the others are the gallery;
    the layer is that of ``LinearProbe``, with its L2 weight chosen on whole images that are
    held out of the gallery. The windows of a raster are one image, and so are files with the
    same ``group``: parts of a scene are alike. Nothing is random. Numbers of maps with
    different strides do not compare: smaller cells are another task.

    Samples without a mask are passed over, so that images for other metrics can be in the
    same data set.

    Args:
        feature (str): Field of the samples that holds the map, (C, h, w). Defaults to 'map'.
        query_every (int): Every how many images one is a query. Defaults to 5.
        group (str, optional): Regular expression that is searched in ``img_path``; images with
            the same first group (or match) are one, ``'([^/]*)_[0-9]+_[0-9]+'`` for files
            SCENE_ROW_COLUMN.png. Defaults to None: every file or raster is one.
        cells_per_image (int): Most cells used of a file or window, evenly spaced. Defaults to
            256.
        ignore_index (int): Label of pixels that are not used. Defaults to 255.
        l2 (Sequence[float]): See ``LinearProbe``. Defaults to (0.1, 0.01, 0.001).
        collect_device (str): Device on which processes exchange results. Defaults to 'cpu'.
        prefix (str, optional): Defaults to 'places'.

    Raises:
        CMIDError: An argument is invalid, ``group`` does not match, samples lack the map or
            ``img_path``, a map is not finite or does not tile its mask, or the gallery has fewer
            than two classes or there is no query.
    """
    default_prefix = 'places'

    def __init__(self,
                 feature: str = 'map',
                 query_every: int = 5,
                 group: str | None = None,
                 cells_per_image: int = 256,
                 ignore_index: int = 255,
                 l2: Sequence[float] = (0.1, 0.01, 0.001),
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if query_every < 2 or cells_per_image < 1:
            raise CMIDError(f'query_every={query_every} must be at least 2 and '
                            f'cells_per_image={cells_per_image} at least 1')
        self.feature = feature
        self.query_every = query_every
        try:
            self.group = group and re.compile(group)
        except re.error as error:
            raise CMIDError(f'group={group!r} of PlaceProbe is no regular expression: '
                            f'{error}') from error
        self.cells_per_image = cells_per_image
        self.ignore_index = ignore_index
        self.l2 = check_l2(l2)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store features and classes of the labelled cells of every sample."""
        for sample in data_samples:
            # one result per sample, see FeatureProbe
            self.results.append(self.cells_of(sample) if 'gt_seg_map' in sample else ())

    def cells_of(self, sample: dict) -> tuple[Tensor, Tensor, str]:
        """Chosen cells of a sample: features (N, C) float32, classes (N,) int64; its image."""
        if self.feature not in sample:
            raise CMIDError(f'PlaceProbe finds no {self.feature!r} in the samples: '
                            "model.feature_of='both' gives student_map and teacher_map, any "
                            'other gives map; model.place_stage gives the maps of a stage')
        features = sample[self.feature].cpu().float()
        labels = cell_labels(np.asarray(sample['gt_seg_map']), features.shape[-2:],
                             self.ignore_index)
        places = (labels >= 0).nonzero()[:, 0]
        if len(places) > self.cells_per_image:
            places = places[torch.linspace(0, len(places) - 1, self.cells_per_image).long()]
        return (features.flatten(1).t()[places].contiguous(), labels[places],
                self.image_of(sample))

    def image_of(self, sample: dict) -> str:
        """Name of the image of which a sample is the whole or a part."""
        if 'img_path' not in sample:
            raise CMIDError("PlaceProbe needs 'img_path' in the samples: add it to meta_keys of "
                            'PackInputs in place_folder.pipeline')
        path, _ = split_window(sample['img_path'])
        if not self.group:
            return path
        match = self.group.search(path)
        if match is None:
            raise CMIDError(f'group={self.group.pattern!r} of PlaceProbe does not match {path}')
        return match[1] if self.group.groups else match[0]

    def compute_metrics(self, results: list) -> dict:
        """``accuracy`` of the query cells and ``miou``, both in percent.

        The mean is over the classes that occur among the queries.
        """
        parts = [result for result in results if result]
        numbers = {name: number for number, name in enumerate(
            dict.fromkeys(name for _, _, name in parts))}
        if len(numbers) < 2:
            raise CMIDError(f'PlaceProbe needs two images with masks or more, not {len(numbers)}; '
                            'windows of a raster, or files of a group, are one image')
        features, labels = (torch.cat(part) for part in list(zip(*parts))[:2])
        number = torch.cat([torch.full_like(part[1], numbers[part[2]]) for part in parts])
        query = number % self.query_every == 0
        gallery, queries = features[~query], features[query]
        labels, truth = labels[~query], labels[query]
        if len(labels.unique()) < 2 or not len(truth):
            raise CMIDError(f'PlaceProbe: the gallery has {len(labels.unique())} classes and the '
                            f'queries have {len(truth)} labelled cells; check the masks')
        if not (gallery.isfinite().all() and queries.isfinite().all()):
            raise CMIDError('PlaceProbe: features are not finite: the weights or the images of '
                            'the probe are broken')
        # whole images, because neighbouring cells are alike
        _, number = number[~query].unique(return_inverse=True)
        scores = fit_probe(gallery, labels, queries, self.l2, number % _HELD_OUT_EVERY == 0,
                           get_device())
        return segmentation_scores(scores.argmax(1), truth)


def cell_labels(mask: np.ndarray, grid: tuple[int, int], ignore_index: int = 255) -> Tensor:
    """Most frequent label of the pixels of each cell, the smaller of equals.

    Args:
        mask (np.ndarray): (H, W) integers.
        grid (tuple[int, int]): Rows and columns of the cells, which divide H and W.
        ignore_index (int): Label that does not count.

    Returns:
        Tensor: (rows * columns,) int64, -1 where no pixel is labelled.

    Raises:
        CMIDError: The cells do not tile the mask.
    """
    height, width = mask.shape
    rows, columns = grid
    if height % rows or width % columns:
        raise CMIDError(f'a map of {rows} x {columns} cells does not tile a mask of {height} x '
                        f'{width} pixels: let place_folder.pipeline resize to a multiple of '
                        "the backbone's stride")
    cells = mask.reshape(rows, height // rows, columns, width // columns)
    cells = cells.transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    values = np.setdiff1d(cells, ignore_index)
    if not values.size:
        return torch.full((rows * columns, ), -1)
    counts = np.stack([(cells == value).sum(1) for value in values], 1)
    # uint8, the type of masks, has no -1
    return torch.from_numpy(np.where(counts.any(1), values.astype(np.int64)[counts.argmax(1)], -1))


def segmentation_scores(prediction: Tensor, truth: Tensor) -> dict:
    """Accuracy and mean IoU in percent of (N,) int64 classes.

    The mean is over the classes of the truth.
    """
    classes = int(max(prediction.max(), truth.max())) + 1
    counts = torch.bincount(truth * classes + prediction, minlength=classes**2)
    counts = counts.view(classes, classes).double()
    right, present = counts.diag(), counts.sum(1) > 0
    iou = right / (counts.sum(0) + counts.sum(1) - right)
    return dict(accuracy=100 * (right.sum() / counts.sum()).item(),
                miou=100 * iou[present].mean().item())
