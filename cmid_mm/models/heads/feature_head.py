"""Head of a classifier that returns features instead of scores."""
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cmid_mm.utils.errors import CMIDError


@MODELS.register_module()
class FeatureHead(BaseModule):
    """Passes the pooled features to metrics such as ``WeightedKNN``; nothing is trained.

    They are the inputs that a linear layer would have, not normalised: that is left to the
    metric.
    """

    def pre_logits(self, feats: tuple) -> Tensor:
        """Features (B, C) of the last stage; ``feats`` is the output of the neck."""
        return feats[-1]

    def forward(self, feats: tuple) -> Tensor:
        """As :meth:`pre_logits`."""
        return self.pre_logits(feats)

    def predict(self, feats: tuple, data_samples: list[DataSample]) -> list[DataSample]:
        """Set ``feature``, (C,) float32, of each sample."""
        for sample, feature in zip(data_samples, self(feats).float()):
            sample.set_field(feature, 'feature', dtype=Tensor)
        return data_samples

    def loss(self, feats: tuple, data_samples: list[DataSample]) -> dict:
        """Raise CMIDError: there is nothing to train."""
        raise CMIDError('a classifier with a FeatureHead has nothing to train: test it '
                         'with tools/test.py CONFIG backbone.pth')
