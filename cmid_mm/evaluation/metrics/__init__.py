from .change_metric import ChangeMetric
from .linear_probe import LinearProbe
from .place_probe import PlaceProbe
from .weighted_knn import WeightedKNN

__all__ = ['ChangeMetric', 'LinearProbe', 'PlaceProbe', 'WeightedKNN']
