"""Utilities that several parts of the package use."""
from .keyed_random import SampleIndex, Stream, generator, normal, uniform, view_key

__all__ = ['SampleIndex', 'Stream', 'generator', 'normal', 'uniform', 'view_key']
