from .weighted_knn import WeightedKNN

__all__ = ['WeightedKNN']
