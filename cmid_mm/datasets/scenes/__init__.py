"""Generator of remote-sensing-like scenes with labels."""
from .materials import OBJECT_CLASSES, SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
from .scene import SCENE_CLASSES, Scene, generate_scene

__all__ = ['OBJECT_CLASSES', 'SCENE_CLASSES', 'SEGMENTATION_CLASSES',
           'SEGMENTATION_PALETTE', 'Scene', 'generate_scene']
