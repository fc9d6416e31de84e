"""Measures mean and deviation of the bands where the config gives none."""
import numpy as np
import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.datasets.inspection import mean_and_std, view_moments


@HOOKS.register_module()
class MeasureStatisticsHook(Hook):
    """Measures the data set's own statistics before training, once.

    They are computed from the views of the training, with equal weight for each image, for any
    data set and pipeline. They are part of the model's state, so a resumed or tested model has
    them already. Values that the config gives are kept.

    Args:
        images (int): Largest number of images to read, evenly spaced. Defaults to 500.
    """

    # before the hooks that run the model on an image
    priority = 'HIGH'

    def __init__(self, images: int = 500):
        self.images = images

    def before_train(self, runner) -> None:
        model = get_ori_model(runner.model)
        preprocessor = model.data_preprocessor
        if not preprocessor.mean.isnan().any():
            return
        dataset = runner.train_dataloader.dataset
        count = min(self.images, len(dataset))
        runner.logger.info(f'measuring mean and deviation of the bands on {count} images')
        rank, processes = get_dist_info()
        places = np.linspace(0, len(dataset) - 1, count).astype(int)
        sums = torch.from_numpy(
            view_moments(dataset, places[rank::processes], preprocessor.bands))
        all_reduce(sums)
        mean, std = map(torch.from_numpy, mean_and_std((sums / count).numpy()))
        preprocessor.mean.copy_(mean)
        preprocessor.std.copy_(std)
        runner.logger.info(f'data_preprocessor: mean={mean.round(decimals=3).tolist()}, '
                           f'std={std.round(decimals=3).tolist()}')
