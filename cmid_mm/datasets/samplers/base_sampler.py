"""The protocol of samplers: order by key, epochs, resuming, any number of processes."""
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex


class BaseKeyedSampler(Sampler):
    """Base class of the samplers of a training.

    A sampler of your own implements :meth:`epoch_samples` and is registered in ``DATA_SAMPLERS``.
    This class provides what a training relies on:

    - *Order by key.* ``epoch_samples()`` is a pure function of ``seed`` and ``epoch``, equal in
      all processes; draw from ``generator(view_key(seed, epoch, number, 0))`` with a negative
      number of your own, so that the key differs from those of all views. The indices are
      ``SampleIndex`` objects, so that views, too, depend on (seed, epoch, sample) alone.
    - *Epochs.* mmengine calls :meth:`set_epoch` before each pass. A change during a pass
      takes effect in the next pass.
    - *Resuming.* The training loop sets ``start`` to the number of samples of this process
      that a resumed epoch has used already, and back to 0 after it. ``CMIDRunner`` sets
      ``seed`` to that of the checkpoint.
    - *Any number of processes.* Of W processes, process r takes the positions r, r + W, ...
      of the order, so that a step of the training uses the same global batch for any number of
      processes.

    Args:
        dataset (Sized): The data set.
        seed (int, optional): Seed, equal in all processes; the ``Runner`` passes its
            own. With None, one is drawn and shared. Defaults to None.
        round_up (bool): How all processes get the same number of samples. True repeats the
            first samples at the end, as ``DefaultSampler`` does. False leaves out up to W - 1
            samples at the end; with the loader's ``drop_last=True`` the steps of an epoch then
            depend on the global batch alone and not on W. Defaults to False.

    Attributes:
        epoch (int): Epoch of the next pass, counted from 0.
        start (int): Number of samples of this process that the next pass leaves out.

    Raises:
        CMIDError: The data set has no length, so that there is no order of its samples.
    """

    def __init__(self, dataset: Sized, seed: int | None = None, round_up: bool = False) -> None:
        if not hasattr(dataset, '__len__'):
            raise CMIDError(f'{type(dataset).__name__} has no length, but {type(self).__name__} '
                            'orders the samples of a whole epoch: use a data set with __len__ '
                            'and __getitem__')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else int(seed)
        self.round_up = round_up
        self.epoch = 0
        self.start = 0

    def epoch_samples(self) -> np.ndarray:
        """int64 (N,): indices of the current epoch, for all processes together.

        N is :meth:`num_samples`, in every epoch.
        """
        raise NotImplementedError

    def num_samples(self) -> int:
        """Length of :meth:`epoch_samples`; override it where that is not one pass of the data."""
        return len(self.dataset)

    def order(self) -> np.ndarray:
        """int64 (W * len(self),): the samples, cut or repeated at the end for W processes."""
        return np.resize(self.epoch_samples(), len(self) * self.world_size)

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield this process's :class:`SampleIndex` objects of the current epoch."""
        epoch = self.epoch
        for index in self.order()[self.rank::self.world_size][self.start:]:
            yield SampleIndex(index, self.seed, epoch)

    def __len__(self) -> int:
        """Number of samples of this process, the same in every process."""
        extra = self.world_size - 1 if self.round_up else 0
        return (self.num_samples() + extra) // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch
