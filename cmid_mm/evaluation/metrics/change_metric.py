"""Accuracy of change detection, counted over all pixels of the set."""
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ...utils.errors import CMIDError


@METRICS.register_module()
class ChangeMetric(BaseMetric):
    """Precision, recall, F1 and IoU of the changed class, in percent.

    The pixels of the whole set are counted first and the ratios taken once, so neither
    batches nor processes nor the sizes of images change the result; a mean over batches
    would give another number. Class 1 is changed, class 0 unchanged.

    Samples carry ``pred_sem_seg`` and ``gt_sem_seg`` with ``data`` (1, H, W), as mmseg and
    open-cd create them; their configs use ``type='mmpretrain.ChangeMetric'``.

    A ratio with a zero denominator is 100 where the set has no mistake (nothing changed and no
    change was predicted), otherwise 0.

    Args:
        ignore_index (int): Label of pixels that are not scored. Defaults to 255.
        collect_device (str): Device on which processes exchange results. Defaults to 'cpu'.
        prefix (str, optional): Defaults to 'change'.

    Raises:
        CMIDError: A label or a prediction is of a third class, or no pixel is labelled.
    """
    default_prefix = 'change'

    def __init__(self,
                 ignore_index: int = 255,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
        self.ignore_index = ignore_index

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Count every sample: (truth, prediction) = (0, 0), (0, 1), (1, 0), (1, 1)."""
        for sample in data_samples:
            truth = sample['gt_sem_seg']['data'].cpu().numpy().ravel()
            prediction = sample['pred_sem_seg']['data'].cpu().numpy().ravel()
            scored = truth != self.ignore_index
            truth, prediction = truth[scored], prediction[scored].astype(truth.dtype)
            for values, what in ((truth, 'label'), (prediction, 'prediction')):
                if values.size and not 0 <= values.min() <= values.max() <= 1:
                    raise CMIDError(
                        f'ChangeMetric takes 0 and 1, but a {what} has values from '
                        f'{values.min()} to {values.max()}: load masks with '
                        'LoadChangeMask, and give the model two classes')
            self.results.append(np.bincount(2 * truth + prediction, minlength=4))

    def compute_metrics(self, results: list) -> dict:
        """``precision``, ``recall``, ``f1`` and ``iou``."""
        counts = np.sum(results, axis=0)
        if not counts.sum():
            raise CMIDError('ChangeMetric has no labelled pixel to score: every label is '
                            f'{self.ignore_index}')
        _, false_alarms, missed, found = (int(count) for count in counts)
        mistakes = false_alarms + missed

        def percent(part, whole):
            return 100 * part / whole if whole else 100.0 * (mistakes == 0)

        return dict(
            precision=percent(found, found + false_alarms),
            recall=percent(found, found + missed),
            f1=percent(2 * found, 2 * found + mistakes),
            iou=percent(found, found + mistakes))
