from .cmid_pretrained import CMIDPretrained
from .data_preprocessor import CMIDDataPreprocessor

__all__ = ['CMIDDataPreprocessor', 'CMIDPretrained']
