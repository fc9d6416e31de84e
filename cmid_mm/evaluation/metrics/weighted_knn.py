"""Scene classification by nearest neighbours, without any training."""
import torch
import torch.nn.functional as F
from mmpretrain.registry import METRICS
from torch import Tensor

from .feature_probe import FeatureProbe


@METRICS.register_module()
class WeightedKNN(FeatureProbe):
    r"""Accuracy of a weighted k-nearest-neighbour vote.

    Each query is compared with all images of the bank; the k most similar ones vote for
    their class with weight :math:`e^{\cos/T}`. Source: Wu et al., arXiv 1805.01978.

    Args:
        k (int): Neighbours that vote; at most the size of the bank. Defaults to 20.
        temperature (float): T. Defaults to 0.07.
        **kwargs: Of ``FeatureProbe``. The prefix is 'knn' by default.

    Raises:
        ValueError: k is below 1.
    """
    default_prefix = 'knn'

    def __init__(self, k: int = 20, temperature: float = 0.07, **kwargs):
        super().__init__(**kwargs)
        if k < 1:
            raise ValueError(f'k must be at least 1, not {k}')
        self.k = k
        self.temperature = temperature

    def rank(self, bank: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """As ``weighted_knn``."""
        return weighted_knn(bank, labels, queries, self.k, self.temperature)


def weighted_knn(bank: Tensor,
                 labels: Tensor,
                 queries: Tensor,
                 k: int = 20,
                 temperature: float = 0.07,
                 chunk: int = 1024) -> Tensor:
    """Classes of every query, the most voted first.

    Args:
        bank (Tensor): (N, D) features.
        labels (Tensor): (N,) int64 classes of the bank.
        queries (Tensor): (M, D) features.
        k (int): Neighbours that vote.
        temperature (float): Of the weights.
        chunk (int): Queries that are compared at a time, to bound the memory.

    Returns:
        Tensor: (M, number of classes) int64.
    """
    bank = F.normalize(bank.float(), dim=1)
    classes = int(labels.max()) + 1
    rankings = []
    for part in F.normalize(queries.float(), dim=1).split(chunk):
        similarity, index = (part @ bank.t()).topk(min(k, len(bank)), dim=1)
        votes = torch.zeros(len(part), classes)
        votes.scatter_add_(1, labels[index], (similarity / temperature).exp())
        rankings.append(votes.argsort(dim=1, descending=True, stable=True))
    return torch.cat(rankings)
