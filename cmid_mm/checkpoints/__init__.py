"""Checkpoints: reading, comparing, adapting, initialising, exporting and publishing weights."""
from .initializer import CMIDPretrained

__all__ = ['CMIDPretrained']
