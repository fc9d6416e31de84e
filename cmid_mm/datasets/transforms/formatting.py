"""Packing of two views into a sample of few bytes."""
import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

_FEW_BANDS = 4


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """Keep the views, their boxes, their keys and the number of a broken sample.

    With mmengine's ``default_collate`` a batch is ``inputs`` (B, 2, C, S, S),
    ``view_boxes`` (B, 2, 5), ``view_keys`` (B, 2) and ``broken`` (B,).
    """

    def transform(self, results: dict) -> dict[str, torch.Tensor]:
        """Pack results of :class:`CMIDTwoViews`, ``broken`` and ``empty`` of ``ImageFolder``.

        Returns:
            dict: ``inputs`` uint8 (2, C, S, S); ``view_boxes`` float32 (2, 5), rows
            (top, left, height, width, flip); ``view_keys`` int64 (2,); ``broken`` int64
            (): -1; the sample that is replaced because it is broken; or -2 minus the sample that
            is replaced because it is empty.
        """
        views = results['views']
        height, width, bands = views[0].shape
        inputs = np.empty((len(views), bands, height, width), np.uint8)
        for planes, view in zip(inputs, views, strict=True):
            if bands <= _FEW_BANDS:
                # This is several times faster than NumPy's strided copy.
                cv2.split(view, list(planes))
            else:
                planes[...] = view.transpose(2, 0, 1)
        return dict(
            inputs=torch.from_numpy(inputs),
            view_boxes=torch.from_numpy(results['view_boxes']),
            view_keys=torch.from_numpy(results['view_keys']),
            broken=torch.tensor(results.get('broken', -2 - results.get('empty', -1))))
