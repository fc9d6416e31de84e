"""Data sets, samplers and transforms, registered in mmpretrain's registries."""
from .coco_boxes import CheckedCocoDataset
from .dota_text import CheckedDOTADataset
from .image_folder import ImageFolder
from .label_fraction import LabelFraction
from .mask_folder import MaskFolder
from .samplers import *  # noqa: F401,F403
from .transforms import *  # noqa: F401,F403

__all__ = [
    'CheckedCocoDataset', 'CheckedDOTADataset', 'ImageFolder', 'LabelFraction', 'MaskFolder'
]
