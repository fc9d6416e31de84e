"""Head of a classifier that gives features instead of scores."""
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor


@MODELS.register_module()
class FeatureHead(BaseModule):
    """Hands the pooled features to metrics such as ``WeightedKNN``; nothing is learnt.

    They are the vectors that a linear layer would see, as they are: the metric decides
    about their length.
    """

    def pre_logits(self, feats: tuple) -> Tensor:
        """Features (B, C) of the last stage; ``feats`` is what the neck gives."""
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
        """Raise ValueError: there is nothing to train."""
        raise ValueError('a classifier with a FeatureHead has nothing to train: test it '
                         'with tools/test.py CONFIG backbone.pth')
