"""Scene classification by nearest neighbours, without any training."""
import torch
import torch.nn.functional as F
from mmpretrain.registry import METRICS
from torch import Tensor

from ...utils.errors import CMIDError
from .feature_probe import FeatureProbe


@METRICS.register_module()
class WeightedKNN(FeatureProbe):
    r"""Accuracy of a weighted k-nearest-neighbour vote.

    Each query is compared with all images of the gallery; the k most similar ones vote for
    their class with weight :math:`e^{\cos/T}`. Source: Wu et al., arXiv 1805.01978.

    Args:
        k (int): Neighbours that vote; at most the size of the gallery. Defaults to 20.
        temperature (float): T. Defaults to 0.07.
        **kwargs: Passed to ``FeatureProbe``. The prefix is 'knn' by default.

    Raises:
        CMIDError: k is below 1, or the temperature is not positive.
    """
    default_prefix = 'knn'

    def __init__(self, k: int = 20, temperature: float = 0.07, **kwargs):
        super().__init__(**kwargs)
        if k < 1:
            raise CMIDError(f'k must be at least 1, not {k}')
        if temperature <= 0:
            raise CMIDError(f'temperature must be positive, not {temperature}')
        self.k = k
        self.temperature = temperature

    def rank(self, gallery: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """As ``weighted_knn``."""
        return weighted_knn(gallery, labels, queries, self.k, self.temperature)


def weighted_knn(gallery: Tensor,
                 labels: Tensor,
                 queries: Tensor,
                 k: int = 20,
                 temperature: float = 0.07,
                 chunk: int = 1024) -> Tensor:
    """Classes of every query, the most voted first.

    Args:
        gallery (Tensor): (N, D) features.
        labels (Tensor): (N,) int64 classes of the gallery.
        queries (Tensor): (M, D) features.
        k (int): Neighbours that vote.
        temperature (float): Temperature of the weights.
        chunk (int): Queries per matrix product, which bounds the memory.

    Returns:
        Tensor: (M, number of classes) int64; -1 in place of classes without a vote.
    """
    gallery = F.normalize(gallery.float(), dim=1)
    classes = int(labels.max()) + 1
    rankings = []
    for part in F.normalize(queries.float(), dim=1).split(chunk):
        similarity, index = (part @ gallery.t()).topk(min(k, len(gallery)), dim=1)
        votes = torch.zeros(len(part), classes)
        # relative to the most similar one: the order is the same, and nothing overflows
        weights = ((similarity - similarity[:, :1]) / temperature).exp()
        votes.scatter_add_(1, labels[index], weights)
        votes, ranking = votes.sort(dim=1, descending=True, stable=True)
        rankings.append(ranking.masked_fill(votes == 0, -1))
    return torch.cat(rankings)
