from .change_metric import ChangeMetric
from .weighted_knn import WeightedKNN

__all__ = ['ChangeMetric', 'WeightedKNN']
