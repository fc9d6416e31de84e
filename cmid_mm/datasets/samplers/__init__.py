"""Order of the samples; :class:`BaseKeyedSampler` states what a sampler must provide."""
from .base_sampler import BaseKeyedSampler
from .keyed_sampler import KeyedSampler

__all__ = ['BaseKeyedSampler', 'KeyedSampler']
