"""Matching of the cells of both views by their positions in the image."""
import torch
from torch import Tensor


def location_grid(boxes: Tensor, grid_size: tuple[int, int]) -> Tensor:
    r"""Centres of the feature cells of a cropped, resized and perhaps flipped view.

    Cell (a, b) of an N x M grid is at row :math:`top + (a + 1/2)\,height/N` and column
    :math:`left + (b + 1/2)\,width/M` of the source image; a flip reverses the columns.

    Args:
        boxes (Tensor): (B, 5) float, rows (top, left, height, width, flip) of the crop in
            source pixels, flip 0 or 1.
        grid_size (tuple[int, int]): Rows and columns of the feature map.

    Returns:
        Tensor: (B, rows, columns, 2), (row, column) in source pixels, dtype of ``boxes``.
    """
    top, left, height, width, flip = boxes[:, :, None, None].unbind(1)
    rows, columns = grid_size
    down = torch.arange(rows, device=boxes.device, dtype=boxes.dtype)[:, None] + 0.5
    across = torch.arange(columns, device=boxes.device, dtype=boxes.dtype) + 0.5
    across = torch.where(flip > 0, columns - across, across)
    grid = [top + down * (height / rows), left + across * (width / columns)]
    return torch.stack([part.expand(len(boxes), rows, columns) for part in grid], dim=-1)


@torch.no_grad()
def match_cells(source: Tensor, target: Tensor, num_matches: int = 20) -> tuple[Tensor, Tensor]:
    """Find the source cells that are nearest to a target cell, and those target cells.

    Every source cell is matched with its nearest target cell; the ``num_matches`` source cells with
    the smallest distance are kept.

    Args:
        source (Tensor): (B, n, m, 2), locations of the source cells.
        target (Tensor): (B, p, q, 2), locations of the target cells.
        num_matches (int): Cells to keep, at most all; -1 keeps all. Defaults to 20.

    Returns:
        tuple[Tensor, Tensor]: Two (B, M) int64 tensors, M = min(num_matches, n * m): flat
        indices of the source cells, ascending, and of their target cells.
    """
    source, target = source.flatten(1, 2), target.flatten(1, 2)
    # the usual expansion by matrix product loses 0.1 px of small distances in float32
    distance = (source[:, :, None] - target[:, None]).square().sum(-1)
    distance, nearest = distance.min(2)
    cells = source.shape[1]
    kept = cells if num_matches == -1 else min(num_matches, cells)
    index = distance.topk(kept, dim=1, largest=False).indices.sort(1).values
    return index, nearest.gather(1, index)


def take_cells(features: Tensor, index: Tensor) -> Tensor:
    """Features of chosen cells: (B, C, h, w) and (B, M) int64 to (B, C, M)."""
    return features.flatten(2).gather(2, index[:, None].expand(-1, features.shape[1], -1))
