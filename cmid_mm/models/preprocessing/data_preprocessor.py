"""Data preprocessor: the inputs of CMID from the loader's batch, on the device."""
import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from mmpretrain.registry import BATCH_AUGMENTS, MODELS
from torch import Tensor

from cmid_mm.utils.errors import CMIDError

from .block_mask import block_mask, fill_masked, upsample_mask
from .photometric_functional import normalize


@MODELS.register_module()
class CMIDDataPreprocessor(BaseDataPreprocessor):
    """Photometric changes, normalisation, masks and fill of two views.

    A changed view is also the target of its reconstruction. Every random choice depends on the
    view's key alone, and neither on the batch of the sample nor on the process or device.

    Args:
        mean (Sequence[float], optional): Mean of every band, in 0..255. Their number is
            the number of bands. With None, ``MeasureStatisticsHook`` measures mean and std.
        std (Sequence[float], optional): Standard deviation of every band, in 0..255.
        bands (int, optional): Number of bands; needed where mean is None.
        mask_cell (int): Side of a mask cell in pixels. Defaults to 32.
        mask_ratio (float): Share of masked cells, rounded up to whole cells; 0 masks nothing.
            Defaults to 0.6.
        mask_fill (str, optional): Fill of masked pixels: ``'mean'`` of the view and band,
            ``'zero'`` (the data set's mean), or None for the pixels themselves. Defaults to
            'mean'.
        photometric (dict | list[dict], optional): One ``ViewTransform`` or several, in their
            order; None for no change. Defaults to ``PhotometricDistortion``, the published
            change of view 1.
        non_blocking (bool): Copy to the device without waiting. Defaults to True.

    Raises:
        CMIDError: mean and std differ in length, a std is not positive, or a ratio,
            cell or fill is invalid.
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 bands: int | None = None,
                 mask_cell: int = 32,
                 mask_ratio: float = 0.6,
                 mask_fill: str | None = 'mean',
                 photometric: dict | list | None = dict(type='PhotometricDistortion'),
                 non_blocking: bool = True):
        super().__init__(non_blocking)
        if mean is None and std is None and bands:
            # to be measured; until then normalised images are NaN
            mean = std = [math.nan] * bands
        if mean is None or std is None or bands not in (None, len(mean)):
            raise CMIDError('data_preprocessor needs mean and std of every band, or neither '
                             'of them and the number of bands')
        if len(mean) != len(std):
            raise CMIDError(f'data_preprocessor: {len(mean)} means but {len(std)} stds')
        if min(std) <= 0:
            raise CMIDError(f'data_preprocessor: every std must be positive, not {std}')
        if not 0 <= mask_ratio < 1:
            raise CMIDError(f'mask_ratio must be at least 0 and below 1, not {mask_ratio}')
        if mask_cell < 1:
            raise CMIDError(f'mask_cell must be a number of pixels, not {mask_cell}')
        if mask_fill not in ('mean', 'zero', None):
            raise CMIDError(f"mask_fill must be 'mean', 'zero' or None, not {mask_fill!r}")
        # in the checkpoint, because a backbone requires the statistics of its training
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32))
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32))
        self.mask_cell = mask_cell
        self.mask_ratio = mask_ratio
        self.mask_fill = mask_fill
        settings = [photometric] if isinstance(photometric, dict) else photometric or []
        self.photometric = [BATCH_AUGMENTS.build(setting) for setting in settings]

    @property
    def bands(self) -> int:
        return len(self.mean)

    def mask_grid(self, image_size: int) -> tuple:
        """Rows and columns of mask cells; CMIDError where they do not fill a view."""
        if image_size % self.mask_cell:
            raise CMIDError(
                f'views of {image_size} px are not a whole number of mask cells of '
                f'{self.mask_cell} px: change image_size and the size in the pipeline, or '
                'data_preprocessor.mask_cell')
        return (image_size // self.mask_cell, ) * 2

    @torch.no_grad()
    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data (dict): In training the collated output of ``PackViews``: inputs
                (B, 2, C, S, S) uint8, view_boxes (B, 2, 5) float32, view_keys (B, 2)
                int64; ``broken``, for ``BrokenImagesHook``, is not copied. Otherwise
                inputs, a list of (C, S, S) uint8 tensors or one of (B, C, S, S), and
                data_samples.
            training (bool): Whether the data are those of training.

        Returns:
            dict: inputs and data_samples. Images of a test that differ in size become a list
            of (1, C, H, W). In training inputs is a dict of lists over the views: images and
            masked_images, (B, C, S, S) float32; masks, (B, S, S) bool,
            true = masked; boxes, (B, 5) float32.
        """
        data = self.cast_data({key: data[key] for key in data if key != 'broken'})
        with torch.autocast(self.mean.device.type, enabled=False):
            if training:
                return dict(inputs=self.prepare_views(**data), data_samples=None)
            inputs = data['inputs']
            if isinstance(inputs, (list, tuple)):
                if len({image.shape for image in inputs}) > 1:
                    inputs = [self.normalize(image[None]) for image in inputs]
                    return dict(inputs=inputs, data_samples=data.get('data_samples'))
                inputs = torch.stack(inputs)
            return dict(
                inputs=self.normalize(inputs), data_samples=data.get('data_samples'))

    def prepare_views(self, inputs: Tensor, view_boxes: Tensor, view_keys: Tensor) -> dict:
        """Two views of every sample; see ``forward`` for shapes."""
        masks = self.sample_masks(view_keys.T.flatten(), inputs.shape[-1]).chunk(2)
        views = dict(images=[], masked_images=[], masks=list(masks),
                     boxes=list(view_boxes.unbind(1)))
        for number, (image, key) in enumerate(zip(inputs.unbind(1), view_keys.unbind(1))):
            image = image.contiguous()
            for transform in self.photometric:
                image = transform(image, key, number)
            image = self.normalize(image)
            views['images'].append(image)
            views['masked_images'].append(fill_masked(image, masks[number], self.mask_fill))
        return views

    def sample_masks(self, keys: Tensor, size: int) -> Tensor:
        """Block masks of views of ``size`` pixels.

        Args:
            keys (Tensor): (B,) int64, of the views.
            size (int): Side of the views in pixels.

        Returns:
            Tensor: (B, size, size) bool, true = masked.
        """
        mask = block_mask(keys, self.mask_grid(size), self.mask_ratio)
        return upsample_mask(mask, self.mask_cell)

    def normalize(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of grey levels to zero mean and unit deviation, float32."""
        if images.shape[1] != self.bands:
            raise CMIDError(
                f'images of {images.shape[1]} bands, but data_preprocessor.mean has '
                f'{self.bands}: bands of the pipeline and of the model must agree')
        return normalize(images, self.mean, self.std)
