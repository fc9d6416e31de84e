"""Mean and deviation of the bands, where the config leaves them open."""
import numpy as np
import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.utils.keyed_random import SampleIndex


@HOOKS.register_module()
class MeasureStatisticsHook(Hook):
    """Measures the data set's own statistics before training, once.

    They are those of the views that the training cuts, every image counting alike, so any
    data set and pipeline will do. They become part of the model's state: a resumed or
    tested model has them already. A config that gives numbers keeps them.

    Args:
        images (int): At most so many images are read, evenly spaced. Defaults to 500.
    """

    # before the hooks that send an image through the model
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
        # mean levels and mean squares of every image, summed over images
        sums = torch.zeros(2, preprocessor.bands, dtype=torch.float64)
        for place in places[rank::processes]:
            views = dataset[SampleIndex(place, 0, 0)]['inputs'].double()
            sums += torch.stack([views.mean((0, 2, 3)), views.square().mean((0, 2, 3))])
        all_reduce(sums)
        mean = sums[0] / count
        # a band that never changes is left as it is
        std = (sums[1] / count - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 0, std, 1)
        preprocessor.mean.copy_(mean)
        preprocessor.std.copy_(std)
        runner.logger.info(f'data_preprocessor: mean={mean.round(decimals=3).tolist()}, '
                           f'std={std.round(decimals=3).tolist()}')
