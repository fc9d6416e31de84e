"""Sampler of every sample once per epoch, in an order drawn from seed and epoch."""
from collections.abc import Sized

import numpy as np
from mmpretrain.registry import DATA_SAMPLERS

from cmid_mm.utils.keyed_random import generator, view_key

from .base_sampler import BaseKeyedSampler

# Samples count from 0, so the key of the order differs from those of all views.
_ORDER = -1


@DATA_SAMPLERS.register_module()
class KeyedSampler(BaseKeyedSampler):
    """Sampler of all samples of a data set, once per epoch.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether every epoch has its own random order. Defaults to True.
        **kwargs: ``seed`` and ``round_up``, see :class:`BaseKeyedSampler`.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, **kwargs) -> None:
        super().__init__(dataset, **kwargs)
        self.shuffle = shuffle

    def epoch_samples(self) -> np.ndarray:
        """int64 (len(dataset),): a permutation, or 0, 1, 2, ... without ``shuffle``."""
        if not self.shuffle:
            return np.arange(self.num_samples())
        draw = generator(view_key(self.seed, self.epoch, _ORDER, 0))
        return draw.permutation(self.num_samples())
