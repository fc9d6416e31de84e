"""Reading images: folder, order, transforms. Importing it fills mmpretrain's registries."""
from .image_folder import ImageFolder
from .samplers import *  # noqa: F401,F403
from .transforms import *  # noqa: F401,F403

__all__ = ['ImageFolder']
