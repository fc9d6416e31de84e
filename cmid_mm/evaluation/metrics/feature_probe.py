"""Base class of probes: a classifier is fitted to a gallery and scored on held-out queries."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ...utils.errors import CMIDError


class FeatureProbe(BaseMetric):
    """Accuracy on the queries of a classifier that was fitted to the gallery.

    Samples have ``split``, ``'gallery'`` or ``'query'`` (see ``ImageFolder``), a feature and
    ``gt_label``. Samples without a label are passed over, so that images for ``PlaceProbe``
    can be in the same data set.

    Args:
        topk (Sequence[int]): Accuracies to report. A number that is not below the number of
            classes is left out, except 1: it would always be 100 %. Defaults to (1, 5).
        feature (str): Field of the samples that holds the feature, (D,) float32. Defaults
            to 'feature'.
        collect_device (str): Device on which processes exchange results. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the names of the results; that of the class where None.

    Raises:
        CMIDError: There are no gallery or no query images, samples lack the feature, it is
            not finite, or no accuracy of ``topk`` is left.
    """

    def __init__(self,
                 topk: Sequence[int] = (1, 5),
                 feature: str = 'feature',
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.topk = tuple(topk)
        self.feature = feature

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store feature, label and split of every sample."""
        for sample in data_samples:
            if 'gt_label' not in sample:
                # one result per sample, because processes interleave theirs; mmengine drops None,
                # and with it the count by which it finds the samples that fill up the last batch
                self.results.append({})
                continue
            if self.feature not in sample:
                raise CMIDError(
                    f'{type(self).__name__} finds no {self.feature!r} in the samples: '
                    "model.feature_of='both' gives student_feature and teacher_feature, "
                    'any other gives feature alone')
            self.results.append(
                dict(
                    # a copy: a view of the batch would pickle the whole batch for other processes
                    feature=sample[self.feature].cpu().clone(),
                    label=int(sample['gt_label']),
                    query=sample['split'] == 'query'))

    def compute_metrics(self, results: list) -> dict:
        """Accuracies in percent, as ``top1`` and so on."""
        results = [result for result in results if result]
        query = torch.tensor([result['query'] for result in results])
        if not query.any() or query.all():
            raise CMIDError(
                f'{type(self).__name__} needs gallery and query images, but of {len(results)} '
                f"images {int(query.sum())} are queries: use ImageFolder(split='gallery') and "
                "ImageFolder(split='query')")
        features = torch.stack([result['feature'] for result in results])
        broken = len(features) - int(features.isfinite().all(1).sum())
        if broken:
            raise CMIDError(f'{type(self).__name__}: {broken} of {len(features)} features are '
                            'not finite: the weights or the images of the probe are broken')
        labels = torch.tensor([result['label'] for result in results])
        classes = len(labels.unique())
        numbers = [n for n in self.topk if n == 1 or n < classes]
        if not numbers:
            raise CMIDError(f'{type(self).__name__}: topk={self.topk} of {classes} classes is '
                            'always 100 %: give smaller numbers')
        ranking = self.rank(features[~query], labels[~query], features[query])
        hits = ranking == labels[query][:, None]
        return {f'top{n}': 100 * hits[:, :n].any(1).float().mean().item() for n in numbers}

    @abstractmethod
    def rank(self, gallery: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """Classes of every query, the most likely first.

        Args:
            gallery (Tensor): (N, D) float32 features.
            labels (Tensor): (N,) int64 classes of the gallery.
            queries (Tensor): (M, D) float32 features.

        Returns:
            Tensor: (M, number of classes) int64; -1 means no further class.
        """
