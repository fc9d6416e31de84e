"""Pictures of reconstructions and matched cells during training."""
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.utils.errors import CMIDError
from cmid_mm.visualization import (
    RECONSTRUCTION_HEADS,
    draw_grid,
    draw_matched_cells,
    reconstruction_panels,
    tensor_to_rgb,
)


@HOOKS.register_module()
class PicturesHook(Hook):
    """Draws images of the last batch of an epoch, every few epochs and after the last.

    - ``reconstruction``: first views, the same masked as in the last step, and the student's
      reconstruction.
    - ``matched_cells``: both views, and which cell of the first is compared with which cell
      of the second. Colours are those of the files; photometric changes come after.

    They are sent to every backend of the config's ``visualizer``. Only the main process draws,
    in evaluation mode and without random numbers, so the training is the same without it.

    Args:
        interval (int): Epochs between two pictures; 0 draws none. Defaults to 10.
        num_images (int): Images of a picture, at most the batch. Defaults to 4.

    Raises:
        CMIDError: ``interval`` is negative, or ``num_images`` is not positive.
    """

    # after the step has been timed and logged
    priority = 'LOW'

    def __init__(self, interval: int = 10, num_images: int = 4):
        if interval < 0 or num_images < 1:
            raise CMIDError('PicturesHook needs interval >= 0 and num_images >= 1, not '
                            f'{interval} and {num_images}')
        self.interval = interval
        self.num_images = num_images

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw after the last step of every ``interval``-th epoch."""
        epoch = runner.epoch + 1
        if (self.interval and is_main_process()
                and self.end_of_epoch(runner.train_dataloader, batch_idx)
                and (epoch % self.interval == 0 or epoch == runner.max_epochs)):
            for name, picture in self.draw(get_ori_model(runner.model), data_batch).items():
                runner.visualizer.add_image(name, picture, epoch)

    def draw(self, model, batch: dict) -> dict:
        """Return the pictures by name, each (height, width, 3) uint8, RGB.

        Args:
            model (CMID): Its last step was on this batch.
            batch (dict): A batch of the loader, see ``CMIDDataPreprocessor``.
        """
        images, keys = (batch[key][:self.num_images] for key in ('inputs', 'view_keys'))
        device = model.mask_token.device
        rows = reconstruction_panels(model, images[:, 0].to(device), keys[:, 0].to(device))
        views = [[tensor_to_rgb(view) for view in pair] for pair in images]
        source, target = (index[:self.num_images].cpu().numpy()
                          for index in model.last_outputs['matches'][0])
        grid = tuple(model.last_outputs['grids'][0].shape[1:3])
        return dict(
            reconstruction=draw_grid(rows, RECONSTRUCTION_HEADS),
            matched_cells=draw_matched_cells(views, list(zip(source, target)), grid))
