"""Images in one memory-mapped file that tools/pack_dataset.py has written.

The file is an LMDB database. The keys of images are ``/`` and their path in the folder; LMDB
sorts keys by their bytes, which is the order of ``scan_folder``. A value is a CRC-32 of its key
and of the rest (4 bytes), the number of the image (4 bytes) and the bytes of an image file. One
more entry, ``FORMAT``, names the format.
"""
import os
import re
import struct
import zlib
from collections.abc import Sequence

from cmid_mm.utils.errors import CMIDError

from .file_limits import check_file_size, open_file
from .raster_paths import files_of

ENDING = '.lmdb'
FORMAT = b'cmid_mm packed images 3'
# LMDB limits keys to 511 bytes, one of which is the slash.
MAX_PATH_BYTES = 510
_HEAD = struct.Struct('<II')
# LMDB's magic number, at this offset of the file.
_MAGIC, _MAGIC_AT = struct.pack('=I', 0xBEEFC0DE), 16
_FIX = 'pack the folder again with tools/pack_dataset.py'


def encode(name: str, number: int, content: bytes) -> tuple[bytes, bytes]:
    """Key and value of image ``number``."""
    key, numbered = _key(name), struct.pack('<I', number) + content
    return key, struct.pack('<I', zlib.crc32(numbered, zlib.crc32(key))) + numbered


def _key(name: str) -> bytes:
    return b'/' + os.fsencode(name)


class PackedImages:
    """Images of one packed file.

    The checksum of an image is verified when a process first reads it, to detect damage by a
    copy or a disk; CRC-32 of a large image takes as long as cropping both views.

    The database stays open until the process ends. A forked child uses that of its parent,
    which is safe for reading without locks; other children open it themselves, because it is
    never pickled.

    Raises:
        ImportError: The library is missing.
        OSError: The file cannot be read.
        CMIDError: It is not a packed data set, or is cut off.
    """

    def __init__(self, path: str) -> None:
        lmdb = import_lmdb()
        with open(path, 'rb') as file:
            if file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC:
                raise CMIDError(f'{path} is no packed data set: give a folder of images, or '
                                'create one with tools/pack_dataset.py')
        try:
            # With read-ahead: without it, large images are read in pages of 4 kB, which
            # takes 20 times as long from a disk.
            environment = lmdb.open(path, subdir=False, readonly=True, lock=False,
                                    create=False, readahead=True)
            pages = environment.info()['last_pgno'] + 1
            needed, size = pages * environment.stat()['psize'], os.path.getsize(path)
            # Reading beyond the end of a mapped file would kill the process.
            if size < needed:
                raise CMIDError(f'{path} is cut off: {size:,} bytes of {needed:,}: {_FIX}, '
                                'or copy it again')
            self._reader = environment.begin(buffers=True)
            if self._reader.get(FORMAT) is None:
                raise CMIDError(f'{path} is an LMDB database, but no packed data set of this '
                                f'version of cmid_mm, or damaged: {_FIX}')
        except lmdb.Error as error:
            raise CMIDError(f'{path} cannot be opened ({error}): {_FIX}') from error
        self._failure = lmdb.Error
        self._checked = bytearray(environment.stat()['entries'])

    def names(self) -> list[str]:
        """Paths of the images, relative to the packed folder, in its order."""
        keys = map(bytes, self._reader.cursor().iternext(values=False))
        return [os.fsdecode(key[1:]) for key in keys if key.startswith(b'/')]

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        return len(key) <= MAX_PATH_BYTES + 1 and self._reader.get(key) is not None

    def read(self, name: str) -> memoryview:
        """Content of the image with this path, on the mapped memory: without a copy.

        Raises:
            ValueError: It is absent or damaged; the message follows the file's name.
        """
        key = _key(name)
        try:
            value = self._reader.get(key)
        except self._failure as error:
            raise ValueError(f'cannot be read ({error}): {_FIX}') from error
        if value is None:
            raise ValueError(f'is not in the packed data set: {_FIX}')
        checksum, number = _HEAD.unpack(value[:_HEAD.size].tobytes().ljust(_HEAD.size, b'\xff'))
        intact = number < len(self._checked)
        if intact and not self._checked[number]:
            intact = zlib.crc32(value[4:], zlib.crc32(key)) == checksum
            self._checked[number] = intact
        if not intact:
            raise ValueError('is damaged in the packed data set (its checksum is wrong): '
                             f'{_FIX}, or copy it again')
        return value[_HEAD.size:]


# Data sets that this process has opened, by path, each with device and inode of its file.
_opened: dict[str, tuple[tuple[int, int], PackedImages]] = {}


def find_packed(path: str, renew: bool = False) -> tuple[PackedImages, str] | None:
    """Find the packed data set of a path; errors as from :class:`PackedImages`.

    Args:
        path (str): For example ``images.lmdb`` or ``images.lmdb/field/1.jpg``.
        renew (bool): Whether to open a file that has replaced the one opened before under
            this path. Defaults to False.

    Returns:
        tuple | None: The data set, opened once per process, and the rest of the path ('' for
        the file itself). None where no part of the path is a file that ends in ``.lmdb``.
    """
    path = path.replace(os.sep, '/')
    for match in re.finditer(rf'\{ENDING}(?=/|$)', path):
        file, name = path[:match.end()], path[match.end() + 1:]
        if renew or file not in _opened:
            if not os.path.isfile(file):
                continue
            status = os.stat(file)
            identity = status.st_dev, status.st_ino
            # LMDB must not open one file twice in a process.
            same = [packed for known, packed in _opened.values() if known == identity]
            _opened[file] = identity, same[0] if same else PackedImages(file)
        return _opened[file][1], name
    return None


def list_packed(root: str, extensions: Sequence[str]) -> list[str] | None:
    """As ``scan_folder``; None where ``root`` is neither packed nor a folder of a packed one."""
    found = find_packed(root, renew=True)
    if found is None:
        return None
    packed, folder = found
    folder = f'{folder}/' if folder else ''
    return [name[len(folder):] for name in packed.names()
            if name.startswith(folder) and name.lower().endswith(tuple(extensions))]


def is_image_file(path: str) -> bool:
    """Whether a path leads to a file, in a folder or packed; to all where there are several."""
    if len(files := files_of(path)) > 1 or files[0] != path:
        return all(map(is_image_file, files))
    found = find_packed(path)
    return os.path.isfile(path) if found is None else found[1] in found[0]


def read_bytes(path: str, max_pixels: int) -> bytes | memoryview:
    """Content of an image file in a folder or a packed data set; errors as by its reader."""
    packed = find_packed(path)
    if packed is None:
        with open_file(path, max_pixels) as file:
            return file.read()
    data = packed[0].read(packed[1])
    check_file_size(len(data), max_pixels)
    return data


def import_lmdb():
    """The module ``lmdb``; where it is missing, the ImportError names the fix."""
    try:
        import lmdb
    except ImportError as error:
        raise ImportError('packed data sets need the library lmdb: install it with "pip '
                          'install lmdb", or train on the folder') from error
    return lmdb
