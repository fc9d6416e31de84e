"""The form in which one image lies in a packed data set: guarded by a checksum, no code in it."""
import json
import struct
import zlib
from typing import NamedTuple

import numpy as np

# What a length of 32 bits can say, less this form's own share.
LARGEST_ENTRY = 2**32 - 2**20
DTYPES = ('uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64',
          'float32', 'float64')

# CRC-32 of what stands behind it, number of the image, bytes of the description.
_HEAD = struct.Struct('<IIQ')


class Entry(NamedTuple):
    """What lies below one key.

    Attributes:
        data (memoryview): Bytes of an image file, or pixels. They are those of the mapped
            file, are not copied and cannot be written to.
        shape (tuple[int, int, int] | None): Of pixels, (H, W, bands); None for a file.
        dtype (str): Type of the pixels, one of ``DTYPES``, little-endian.
        alpha (bool): Whether the last band is alpha.
        nodata (tuple[float | None]): Per band, the value that marks missing pixels.
    """
    data: memoryview
    shape: tuple | None = None
    dtype: str = ''
    alpha: bool = False
    nodata: tuple = ()

    def pixels(self) -> np.ndarray:
        """(H, W, bands), on the mapped memory: read-only, without a copy."""
        dtype = np.dtype(self.dtype).newbyteorder('<')
        return np.frombuffer(self.data, dtype).reshape(self.shape)


def seal(number: int, description: dict | None, data: bytes) -> bytes:
    """Value of an entry.

    Args:
        number (int): Position of the image among all.
        description (dict, optional): ``shape``, ``dtype``, ``alpha`` and ``nodata`` where
            ``data`` are pixels; None for the bytes of a file.
        data (bytes): The content.

    Returns:
        bytes: Checksum, number and size of the description, the description, the content.
    """
    text = b'' if description is None else json.dumps(description).encode()
    # the content starts at a multiple of 16 bytes, where numbers of any size may lie
    text += b' ' * (-len(text) % _HEAD.size)
    body = _HEAD.pack(0, number, len(text))[4:] + text
    checksum = zlib.crc32(data, zlib.crc32(body))
    return b''.join((struct.pack('<I', checksum), body, data))


def number_of(value: memoryview) -> int:
    """Position of an image among all, from the value of its entry.

    Raises:
        ValueError: It is too short for an entry.
    """
    if len(value) < _HEAD.size:
        raise ValueError('it is cut off')
    return _HEAD.unpack_from(value)[1]


def unseal(value: memoryview, check: bool = True) -> Entry:
    """What :func:`seal` has sealed.

    Args:
        value (memoryview): The value.
        check (bool): Whether the checksum is compared. Defaults to True.

    Raises:
        ValueError: The checksum is wrong, or the description is that of other pixels.
    """
    if len(value) < _HEAD.size:
        raise ValueError('it is cut off')
    checksum, _, length = _HEAD.unpack_from(value)
    if check and zlib.crc32(value[4:]) != checksum:
        raise ValueError('its checksum is wrong')
    if not length:
        return Entry(value[_HEAD.size:])
    try:
        about = json.loads(bytes(value[_HEAD.size:_HEAD.size + length]))
        return _described(about, value[_HEAD.size + length:])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError('its description is wrong') from error


def _described(about: dict, data: memoryview) -> Entry:
    """Pixels whose description agrees with their bytes.

    Raises:
        KeyError, TypeError, ValueError: It does not.
    """
    height, width, bands = about['shape']
    dtype, nodata = about['dtype'], tuple(about['nodata'])
    numbers = all(value is None or isinstance(value, int | float) for value in nodata)
    if (dtype not in DTYPES or not all(type(side) is int for side in about['shape'])
            or min(height, width, bands) < 1 or len(nodata) != bands or not numbers
            or height * width * bands * np.dtype(dtype).itemsize != len(data)):
        raise ValueError('it contradicts itself')
    return Entry(data, (height, width, bands), dtype, about['alpha'] is True, nodata)
