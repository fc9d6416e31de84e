"""Scene classification by nearest neighbours, without any training."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS
from torch import Tensor


@METRICS.register_module()
class WeightedKNN(BaseMetric):
    r"""Accuracy of a weighted k-nearest-neighbour vote.

    Each query is compared with all images of the bank; the k most similar ones vote for
    their class with weight :math:`e^{\cos/T}`. Source: Wu et al., arXiv 1805.01978.

    Samples say in ``split`` whether they are of the ``'bank'`` or a ``'query'`` (see
    ``ImageFolder``) and carry ``feature`` and ``gt_label``.

    Args:
        k (int): Neighbours that vote; at most the size of the bank. Defaults to 20.
        temperature (float): T. Defaults to 0.07.
        topk (Sequence[int]): Accuracies to report. Defaults to (1, 5).
        collect_device (str): Where processes exchange results. Defaults to 'cpu'.
        prefix (str, optional): Defaults to 'knn'.

    Raises:
        ValueError: k is below 1, or there are no bank or query images.
    """
    default_prefix = 'knn'

    def __init__(self,
                 k: int = 20,
                 temperature: float = 0.07,
                 topk: Sequence[int] = (1, 5),
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if k < 1:
            raise ValueError(f'k must be at least 1, not {k}')
        self.k = k
        self.temperature = temperature
        self.topk = tuple(topk)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep feature, label and split of every sample."""
        for sample in data_samples:
            self.results.append(
                dict(
                    feature=sample['feature'].cpu(),
                    label=int(sample['gt_label']),
                    query=sample['split'] == 'query'))

    def compute_metrics(self, results: list) -> dict:
        """Accuracies in percent, as ``top1`` and so on."""
        query = torch.tensor([result['query'] for result in results])
        if not query.any() or query.all():
            raise ValueError(
                f'k-NN needs bank and query images, but of {len(results)} images '
                f"{int(query.sum())} are queries: use ImageFolder(split='bank') and "
                "ImageFolder(split='query')")
        features = torch.stack([result['feature'] for result in results])
        labels = torch.tensor([result['label'] for result in results])
        ranking = weighted_knn(features[~query], labels[~query], features[query], self.k,
                               self.temperature)
        hits = ranking == labels[query][:, None]
        return {f'top{n}': 100 * hits[:, :n].any(1).float().mean().item() for n in self.topk}


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
