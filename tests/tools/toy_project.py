"""A least-squares model on eight numbers, for the launchers' tests."""
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmpretrain.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module(force=True)
class ToyData(torch.utils.data.Dataset):
    metainfo = dict()

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(inputs=torch.tensor([float(i), 1.0]))


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def forward(self, inputs, mode='tensor'):
        error = inputs @ self.weight - 1
        return dict(loss=error.square().mean()) if mode == 'loss' else list(error)


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(e.abs()) for e in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results), images=len(results))
