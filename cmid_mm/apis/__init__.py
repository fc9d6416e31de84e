"""Using what was trained, without a config of one's own; see ``tools/inference``."""
from .feature_inferencer import FeatureInferencer

__all__ = ['FeatureInferencer']
