"""A picture of what the student makes of hidden places."""
import numpy as np
import torch
from torch import Tensor

from ..models.preprocessing.block_mask import upsample_mask
from .grid import draw_grid, save_grid

HEADS = 'image', 'what the student sees', 'its reconstruction'


@torch.no_grad()
def reconstruction_panels(model, images: Tensor, keys: Tensor) -> list:
    """Images, what the student sees of them, and what it makes of that.

    Args:
        model (CMID): On the device of the images; left in the mode it was in.
        images (Tensor): (N, C, S, S) uint8.
        keys (Tensor): (N,) int64; they choose the masks.

    Returns:
        list[list[ndarray]]: A row an image: image, masked image, reconstruction (visible
        places as they are), all (S, S, 3) uint8.
    """
    preprocessor, training = model.data_preprocessor, model.training
    model.eval()
    normalized = preprocessor.normalize(images)
    mask, masked = preprocessor.hide(normalized, keys)
    fine = upsample_mask(mask, images.shape[-2:])[:, None]
    made = torch.where(fine, model.reconstruct(masked, mask), normalized)
    model.train(training)
    levels = [x * preprocessor.std[:, None, None] + preprocessor.mean[:, None, None]
              for x in (normalized, masked, made)]
    return [[to_rgb(image) for image in row] for row in zip(*levels)]


def to_rgb(image: Tensor) -> np.ndarray:
    """(C, H, W) grey levels to (H, W, 3) uint8: the first three bands, or one as grey."""
    bands = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    return bands.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def draw_reconstructions(rows: list, title: str = '') -> np.ndarray:
    """The panels of ``reconstruction_panels`` as one picture, (H, W, 3) uint8, RGB."""
    return draw_grid(rows, HEADS, title)


def save_reconstructions(rows: list, path: str, title: str = '') -> None:
    """Write the panels as one picture, a row an image.

    Args:
        rows (list[list[ndarray]]): Of ``reconstruction_panels``.
        path (str): File to write, PNG by its ending.
        title (str): Line above the picture.
    """
    save_grid(rows, path, HEADS, title)
