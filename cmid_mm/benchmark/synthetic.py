"""A batch that needs no images."""
import torch
from torch import Tensor

from cmid_mm.utils.keyed_random import view_key


def synthetic_batch(size: int, bands: int, side: int, pin: bool = False) -> dict:
    """What the loader hands over, of random numbers; see ``CMIDDataPreprocessor``.

    The views are crops of half the area of images twice as wide as a view, the second one
    mirrored.

    Args:
        size (int): Samples B.
        bands (int): Bands C.
        side (int): Side S of the views.
        pin (bool): Whether it lies in pinned memory. Defaults to False.

    Returns:
        dict: inputs (B, 2, C, S, S) uint8; view_boxes (B, 2, 5) float32; view_keys (B, 2)
        int64.
    """
    draw = torch.Generator().manual_seed(0)
    crop = round(2 * side * 0.5**0.5)
    boxes = torch.full((size, 2, 5), float(crop))
    boxes[..., :2] = torch.randint(0, 2 * side - crop + 1, (size, 2, 2), generator=draw)
    boxes[..., 4] = torch.tensor([0., 1.])
    keys = [[view_key(0, 0, sample, view) for view in range(2)] for sample in range(size)]
    batch: dict[str, Tensor] = dict(
        inputs=torch.randint(0, 256, (size, 2, bands, side, side), dtype=torch.uint8,
                             generator=draw),
        view_boxes=boxes,
        view_keys=torch.tensor(keys))
    return {name: value.pin_memory() for name, value in batch.items()} if pin else batch
