from .change_metric import ChangeMetric
from .linear_probe import LinearProbe
from .weighted_knn import WeightedKNN

__all__ = ['ChangeMetric', 'LinearProbe', 'WeightedKNN']
