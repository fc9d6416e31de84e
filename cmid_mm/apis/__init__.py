"""Inferencers of trained models; from the shell: ``tools/inference``."""
from .detection_inferencer import DetectionInferencer
from .feature_inferencer import FeatureInferencer
from .map_inferencer import ChangeInferencer, SegmentationInferencer
from .scene_index import SceneIndex

__all__ = [
    'ChangeInferencer', 'DetectionInferencer', 'FeatureInferencer', 'SceneIndex',
    'SegmentationInferencer'
]
