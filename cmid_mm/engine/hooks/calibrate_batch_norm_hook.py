"""Batch-norm statistics of the student for images without masks."""
from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.evaluation.batch_norm import calibrate_batch_norm, norms_of, spread_batches
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex


@HOOKS.register_module()
class CalibrateBatchNormHook(Hook):
    """Measures the student's batch-norm statistics on unmasked views after every epoch.

    The student sees masked views only, so its running statistics are those of masked views,
    which do not suit whole images. The statistics are measured before the epoch's checkpoint
    is saved, on first views of evenly spaced images of the training; every process measures
    the same ones. Steps do not depend on running statistics, so all weights are the same
    without this hook. Without batch norm there is nothing to do.

    Args:
        images (int): Largest number of images to read. Defaults to 512.
        batch_size (int): Images per batch. Defaults to 64.

    Raises:
        CMIDError: A number is not positive.
    """

    # before the checkpoint is written (VERY_LOW)
    priority = 'LOW'

    def __init__(self, images: int = 512, batch_size: int = 64):
        if min(images, batch_size) < 1:
            raise CMIDError('images and batch_size of CalibrateBatchNormHook must be positive, '
                            f'not {images} and {batch_size}')
        self.images = images
        self.batch_size = batch_size

    def after_train_epoch(self, runner) -> None:
        model = get_ori_model(runner.model)
        if not norms_of(model.backbone):
            return
        dataset = runner.train_dataloader.dataset

        def views(places):
            samples = [dataset[SampleIndex(i, runner.seed, runner.epoch)] for i in places]
            views = dict(inputs=default_collate(samples)['inputs'][:, 0])
            return model.data_preprocessor(views, False)['inputs']

        calibrate_batch_norm([model.backbone], map(
            views, spread_batches(len(dataset), self.images, self.batch_size)))
