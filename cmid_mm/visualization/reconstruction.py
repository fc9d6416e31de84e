"""Pictures of the student's reconstructions of masked pixels."""
import numpy as np
import torch
from torch import Tensor

from cmid_mm.models.preprocessing.block_mask import fill_masked

#: Titles of the columns of ``reconstruction_panels``.
RECONSTRUCTION_HEADS = 'image', 'masked image', 'reconstruction'


@torch.no_grad()
def reconstruction_panels(model, images: Tensor, keys: Tensor) -> list:
    """Images, masked images and reconstructions by the student.

    Args:
        model (CMID): On the device of the images; its mode is not changed.
        images (Tensor): (N, C, S, S) uint8.
        keys (Tensor): (N,) int64, keys of the masks.

    Returns:
        list[list[ndarray]]: For each image: image, masked image, reconstruction (visible
        pixels unchanged), all (S, S, 3) uint8.
    """
    preprocessor, training = model.data_preprocessor, model.training
    model.eval()
    normalized = preprocessor.normalize(images)
    mask = preprocessor.sample_masks(keys, images.shape[-1])
    masked = fill_masked(normalized, mask, preprocessor.mask_fill)
    made = torch.where(mask[:, None], model.reconstruct(masked, mask), normalized)
    model.train(training)
    levels = [x * preprocessor.std[:, None, None] + preprocessor.mean[:, None, None]
              for x in (normalized, masked, made)]
    return [[tensor_to_rgb(image) for image in row] for row in zip(*levels)]


def tensor_to_rgb(image: Tensor) -> np.ndarray:
    """(C, H, W) grey levels to (H, W, 3) uint8: the first three bands, or one as grey."""
    bands = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    return bands.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
