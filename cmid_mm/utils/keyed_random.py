"""Random numbers that are a pure function of (seed, epoch, sample, view).

No generator has a state, so neither the number of workers or processes, nor the composition
of a batch, nor a resumed run changes a view. A worker draws from :func:`generator`; the device
draws for a whole batch from the counter-based :func:`uniform` and :func:`normal`, whose integers
are bitwise equal on every device.
"""
import math
import random
from enum import IntEnum, unique
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

# Weyl constants: irregular odd numbers that separate streams and elements.
_STREAM_STEP = 0x9E3779B9
_ELEMENT_STEP = 0x85EBCA6B


@unique
class Stream(IntEnum):
    """Constants that separate the random numbers drawn on the device for one view.

    Numbers from 100 on are reserved for a user's own transforms.
    """

    PHOTOMETRIC_CHOICES = 1
    PHOTOMETRIC_NOISE = 2
    BLOCK_MASK = 3


class SampleIndex(int):
    """Index of a sample, with the seed and epoch for which it is requested.

    A sampler yields it instead of a plain int; every dataset can use it as an index.

    Args:
        index (int): Index of the sample in its dataset.
        seed (int): Seed of the run.
        epoch (int): Epoch, counted from 0.
        sample (int, optional): Index in the outermost data set, that of the sampler;
            wrappers change the index but not this one. None takes ``index``.
    """

    def __new__(cls, index: int, seed: int, epoch: int,
                sample: int | None = None) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        self.epoch = epoch
        self.sample = int(index if sample is None else sample)
        return self

    def __sub__(self, offset: int) -> 'SampleIndex':
        """Keep the attributes when ``ConcatDataset`` subtracts the sizes of earlier data sets."""
        return SampleIndex(int(self) - int(offset), *self._rest())

    def __mod__(self, length: int) -> 'SampleIndex':
        """Keep the attributes when ``RepeatDataset`` takes a remainder of the index."""
        return SampleIndex(int(self) % int(length), *self._rest())

    def _rest(self) -> tuple:
        return self.seed, self.epoch, self.sample

    def __getnewargs__(self) -> tuple:
        return int(self), *self._rest()

    def __repr__(self) -> str:
        return (f'SampleIndex({int(self)}, seed={self.seed}, epoch={self.epoch}, '
                f'sample={self.sample})')


def view_key(seed: int, epoch: int, sample: int, view: int) -> int:
    """Key of one view: a well mixed signed 64-bit integer, equal on every machine."""
    text = ','.join(str(int(part)) for part in (seed, epoch, sample, view))
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little', signed=True)


def seed_globally(key: int, devices: bool = True) -> None:
    """Seed the generators of Python, NumPy and torch of this process.

    Args:
        key (int): A key, for example from :func:`view_key`.
        devices (bool): Whether torch's generators of other devices than the CPU are seeded
            too. torch takes 0.3 ms for this even without such a device, a hundred times as
            long as for all others, too long for every sample. Defaults to True.
    """
    random.seed(key)
    np.random.seed(key % 2**32)
    if devices:
        torch.manual_seed(key)
    else:
        torch.default_generator.manual_seed(key)


def generator(key: int) -> np.random.Generator:
    """Generator for the choices that a worker makes for one view."""
    # A seed of NumPy must not be negative; the two's complement loses nothing.
    return np.random.Generator(np.random.PCG64(int(key) % 2**64))


def uniform(keys: Tensor, stream: int, *shape: int) -> Tensor:
    """Uniform numbers, one independent set per key.

    Args:
        keys (Tensor): Keys of the views, int64 (B,), on any device.
        stream (int): Small constant, a :class:`Stream`.
        *shape (int): Shape of the numbers of one view; none gives one number.

    Returns:
        Tensor: float32 (B, *shape), multiples of 2^-24 in [0, 1).
    """
    bits = _random_bits(keys, stream, math.prod(shape))
    return _unit_interval(bits).view(len(keys), *shape)


def normal(keys: Tensor, stream: int, *shape: int) -> Tensor:
    """Standard normal numbers, one independent set per key.

    Box-Muller: two uniform numbers u, v give sqrt(-2 ln u) times the cosine and the
    sine of 2 pi v. With 24-bit u no number exceeds 5.8 in magnitude.

    Args:
        keys (Tensor): Keys of the views, int64 (B,), on any device.
        stream (int): Small constant, a :class:`Stream`.
        *shape (int): Shape of the numbers of one view; none gives one number.

    Returns:
        Tensor: float32 (B, *shape). Only the integers that it is computed from are bitwise equal on
        every device; logarithm, cosine and sine may differ in the last digit.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    numbers = _unit_interval(_random_bits(keys, stream, 2 * pairs))
    # 1 - u lies in (0, 1], so its logarithm is finite.
    radius = torch.sub(1, numbers[:, :pairs]).log_().mul_(-2).sqrt_()
    angle = numbers[:, pairs:].mul_(2 * math.pi)
    torch.cos(angle, out=numbers[:, :pairs]).mul_(radius)
    angle.sin_().mul_(radius)
    return numbers[:, :count].reshape(len(keys), *shape)


def _random_bits(keys: Tensor, stream: int, count: int) -> Tensor:
    """int32 (B, count): hash of (key, stream, element), all 32 bits random."""
    halves = torch.stack([keys, keys >> 32]).to(torch.int32)
    mixed = _mix_(halves + _signed(stream * _STREAM_STEP))
    start, twist = _mix_(mixed ^ halves.flip(0))
    # The rotation between the two rounds prevents two views whose starts are a few elements
    # apart from having the same shifted sequence.
    bits = torch.arange(count, dtype=torch.int32, device=keys.device)
    bits = bits.mul_(_signed(_ELEMENT_STEP)) + start[:, None]
    bits = _mix_(bits).bitwise_xor_(twist[:, None])
    return _mix_(bits)


def _mix_(bits: Tensor) -> Tensor:
    """Bijection of 32-bit integers, in place: every input bit affects every output bit.

    Constants of the search by C. Wellons, https://nullprogram.com/blog/2018/07/31/,
    "lowbias32". The shift of int32 copies the sign, hence the masks.
    """
    bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    bits.bitwise_xor_((bits >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(0x846CA68B))
    return bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF))


def _signed(number: int) -> int:
    """The int32 with the lowest 32 bits of ``number``."""
    return (number + 2**31) % 2**32 - 2**31


def _unit_interval(bits: Tensor) -> Tensor:
    # The upper 24 bits fit a float32 without rounding, so 1 is never reached.
    return (bits >> 8).bitwise_and_(0xFFFFFF).to(torch.float32).mul_(2.0**-24)
