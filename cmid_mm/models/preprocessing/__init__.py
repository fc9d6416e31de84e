from .data_preprocessor import CMIDDataPreprocessor
from .photometric import PhotometricDistortion
from .view_transform import ViewTransform

__all__ = ['CMIDDataPreprocessor', 'PhotometricDistortion', 'ViewTransform']
