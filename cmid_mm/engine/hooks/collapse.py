"""Numbers that show whether a run still learns something."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.selfsup.cell_matching import take_cells
from ...utils.precision import widen


@torch.no_grad()
def feature_spread(vectors: Tensor) -> Tensor:
    r"""How differently scenes are seen: 0 where all vectors are one, near 1 on a sphere.

    :math:`\sqrt{D}` times the standard deviation of unit vectors over the batch, mean over
    the dimensions; unit vectors without any order have about 1. Source: Chen and He, arXiv
    2011.10566, section 4.1.

    Args:
        vectors (Tensor): (B, D), any length.

    Returns:
        Tensor: Scalar.
    """
    unit = F.normalize(widen(vectors), dim=1)
    return unit.std(0, unbiased=False).mean() * math.sqrt(unit.shape[1])


@torch.no_grad()
def assignment_entropies(probability: Tensor) -> tuple[Tensor, Tensor]:
    r"""Entropies of the teacher's assignment of places to prototypes, as shares of log P.

    Args:
        probability (Tensor): (B, P, M), sums to 1 over the prototypes.

    Returns:
        tuple[Tensor, Tensor]: Scalars in [0, 1]. Of a single place, mean over places: 1
        says that the teacher has no opinion. Of the mean over all places: 0 says that all
        places are the same prototype. Source: the two ways of collapse in Caron et al.,
        arXiv 2104.14294, section 5.3.
    """
    most = math.log(probability.shape[1])
    return (_entropy(probability, 1).mean() / most,
            _entropy(probability.mean((0, 2)), 0) / most)


def _entropy(probability: Tensor, dim: int) -> Tensor:
    return torch.special.entr(probability).sum(dim)


@torch.no_grad()
def match_distance(source: Tensor, target: Tensor, match: tuple) -> Tensor:
    """Mean distance of matched cells, in cells of the source view.

    Args:
        source (Tensor): (B, n, m, 2), locations of the source cells.
        target (Tensor): (B, p, q, 2), locations of the target cells.
        match (tuple[Tensor, Tensor]): (B, M) flat indices of both, see ``match_cells``.

    Returns:
        Tensor: Scalar; below 1 where the matched cells overlap.
    """
    places = [take_cells(grid.permute(0, 3, 1, 2), index)
              for grid, index in zip((source, target), match)]
    cell = (source[:, 1, 0, 0] - source[:, 0, 0, 0]).abs()
    return ((places[0] - places[1]).norm(dim=1) / cell[:, None]).mean()
