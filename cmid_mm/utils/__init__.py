"""Tools that no single part of the package owns."""
from .keyed_random import SampleIndex, Stream, generator, normal, uniform, view_key

__all__ = ['SampleIndex', 'Stream', 'generator', 'normal', 'uniform', 'view_key']
