from .data_preprocessor import CMIDDataPreprocessor

__all__ = ['CMIDDataPreprocessor']
