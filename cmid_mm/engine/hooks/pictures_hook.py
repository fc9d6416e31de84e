"""Pictures of what the student makes of its images, while it trains."""
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.models.wrappers import FullyShardedModel
from cmid_mm.visualization import (
    draw_matched_cells,
    draw_reconstructions,
    reconstruction_panels,
    to_rgb,
)


@HOOKS.register_module()
class PicturesHook(Hook):
    """Draws images of the last batch of an epoch, every few epochs and after the last.

    - ``reconstruction``: first views, what the student sees of them, and what it makes of
      that, under the masks of the last step.
    - ``matched_cells``: both views, and which cell of the first is compared with which cell
      of the second. Colours are those of the files; photometric changes come later.

    They go to every backend of the config's ``visualizer``. The main process draws alone,
    in evaluation mode; nothing is drawn at random and no other process takes part, so that
    the training is the same without it. Of a sharded model nothing is drawn.

    Args:
        interval (int): Epochs between two looks; 0 is off. Defaults to 10.
        num_images (int): Images of a picture, at most the batch. Defaults to 4.

    Raises:
        ValueError: ``interval`` is negative, or ``num_images`` is not positive.
    """

    # after the step has been timed and logged
    priority = 'LOW'

    def __init__(self, interval: int = 10, num_images: int = 4):
        if interval < 0 or num_images < 1:
            raise ValueError('PicturesHook needs interval >= 0 and num_images >= 1, not '
                             f'{interval} and {num_images}')
        self.interval = interval
        self.num_images = num_images

    def before_train(self, runner) -> None:
        """Leave it, where one process alone cannot run the model."""
        if self.interval and isinstance(runner.model, FullyShardedModel):
            runner.logger.info('PicturesHook draws nothing: of a sharded model each process '
                               'holds a piece; tools/visualization draws from its checkpoints')
            self.interval = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw, if this was the last step of an epoch whose turn it is."""
        epoch = runner.epoch + 1
        if (self.interval and is_main_process()
                and self.end_of_epoch(runner.train_dataloader, batch_idx)
                and (epoch % self.interval == 0 or epoch == runner.max_epochs)):
            for name, picture in self.draw(get_ori_model(runner.model), data_batch).items():
                runner.visualizer.add_image(name, picture, epoch)

    def draw(self, model, batch: dict) -> dict:
        """The pictures by name, each (height, width, 3) uint8, RGB.

        Args:
            model (CMID): Whose last step saw the batch.
            batch (dict): Of the loader, see ``CMIDDataPreprocessor``.
        """
        images, keys = (batch[key][:self.num_images] for key in ('inputs', 'view_keys'))
        device = model.mask_token.device
        rows = reconstruction_panels(model, images[:, 0].to(device), keys[:, 0].to(device))
        views = [[to_rgb(view) for view in pair] for pair in images]
        source, target = (index[:self.num_images].cpu().numpy()
                          for index in model.seen['matches'][0])
        grid = tuple(model.seen['grids'][0].shape[1:3])
        return dict(
            reconstruction=draw_reconstructions(rows),
            matched_cells=draw_matched_cells(views, list(zip(source, target)), grid))
