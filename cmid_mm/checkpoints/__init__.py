"""A weight's way: reading files, comparing, adapting, initialising, exporting, publishing."""
from .initializer import CMIDPretrained

__all__ = ['CMIDPretrained']
