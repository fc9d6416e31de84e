"""Generator of remote sensing scenes with the labels of every downstream task."""
from .materials import OBJECT_CLASSES, SEGMENTATION_CLASSES, SEGMENTATION_PALETTE
from .scene import SCENE_CLASSES, Scene, generate_scene
from .writing import write_scenes

__all__ = ['OBJECT_CLASSES', 'SCENE_CLASSES', 'SEGMENTATION_CLASSES',
           'SEGMENTATION_PALETTE', 'Scene', 'generate_scene', 'write_scenes']
