"""One global order of samples, whatever the number of processes."""
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from cmid_mm.utils.keyed_random import SampleIndex, generator, view_key

# No sample has this index, so the key of the order is the key of no view.
_ORDER = -1


@DATA_SAMPLERS.register_module()
class KeyedSampler(Sampler):
    """Sampler whose indices carry the seed and the epoch for which they are drawn.

    The order is a pure function of (seed, epoch). Of W processes, process r takes the
    positions r, r + W, ... of it, so that step t of training sees the same global batch
    however many processes share it.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether every epoch has its own random order. Defaults to True.
        seed (int, optional): Seed, equal in all processes; the ``Runner`` passes its
            own. None draws one and shares it. Defaults to None.
        round_up (bool): How all processes come to the same number of samples. True
            repeats the first samples at the end, as ``DefaultSampler`` does. False
            leaves out up to W - 1 samples at the end of the order; together with the
            loader's ``drop_last=True`` the steps of an epoch then depend on the global
            batch alone and not on W. Defaults to False.

    Attributes:
        start (int): So many samples of this process are left out of a pass, because a run
            that was cut in the middle of an epoch has seen them.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: int | None = None,
                 round_up: bool = False) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else int(seed)
        self.round_up = round_up
        self.epoch = 0
        self.start = 0

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield this process's :class:`SampleIndex` objects of the current epoch."""
        epoch = self.epoch
        for index in self.order()[self.rank::self.world_size][self.start:]:
            yield SampleIndex(index, self.seed, epoch)

    def __len__(self) -> int:
        """Number of samples of this process, the same in every process."""
        extra = self.world_size - 1 if self.round_up else 0
        return (len(self.dataset) + extra) // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass; mmengine's hook calls it before each."""
        self.epoch = epoch

    def order(self) -> np.ndarray:
        """int64 (W * len(self),): the sample at every position of the global order."""
        count = len(self.dataset)
        if self.shuffle:
            draw = generator(view_key(self.seed, self.epoch, _ORDER, 0))
            order = draw.permutation(count)
        else:
            order = np.arange(count)
        # Repeats from the start where it is longer, cuts the end where it is shorter.
        return np.resize(order, len(self) * self.world_size)
