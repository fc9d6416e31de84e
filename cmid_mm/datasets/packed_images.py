"""Images in one memory-mapped file that tools/pack_dataset.py has written.

The file is an LMDB database. Every value is a CRC-32 of the rest (4 bytes), the number of the
image (4 bytes) and the content. The keys are

- ``/`` and the path of an image in the folder; the content is an image file. LMDB sorts keys
  by their bytes, which is the order of ``scan_folder``;
- ``index``: a line that names the format, then all paths in order, each followed by a zero
  byte, so that listing them does not read the whole file.
"""
import os
import re
import struct
import zlib
from collections.abc import Sequence

from cmid_mm.utils.errors import CMIDError

ENDING = '.lmdb'
INDEX = b'index'
FORMAT = b'cmid_mm packed images 2\n'
# LMDB limits keys to 511 bytes, one of which is the slash.
MAX_PATH_BYTES = 510
_HEAD = struct.Struct('<II')
# LMDB's magic number, at this offset of the file.
_MAGIC, _MAGIC_AT = struct.pack('=I', 0xBEEFC0DE), 16
_FIX = 'pack the folder again with tools/pack_dataset.py'


def encode(number: int, content: bytes) -> bytes:
    """Value of image ``number``: checksum, number, content."""
    numbered = struct.pack('<I', number) + content
    return struct.pack('<I', zlib.crc32(numbered)) + numbered


class PackedImages:
    """Images of one packed file.

    The checksum of an image is verified when a process first reads it, to detect damage by a
    copy or a disk; CRC-32 of a large image takes as long as cropping both views.

    The database stays open until the process ends. A forked child uses that of its parent,
    which is safe for reading without locks; other children open it themselves, because it is
    never pickled.

    Args:
        path (str): The file.

    Raises:
        ImportError: The library is missing.
        OSError: The file cannot be read.
        CMIDError: It is not a packed data set, or is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        lmdb = import_lmdb()
        with open(path, 'rb') as file:
            if file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC:
                raise CMIDError(f'{path} is no packed data set: give a folder of images, or '
                                'create one with tools/pack_dataset.py')
        try:
            # With read-ahead: without it, large images are read in pages of 4 kB, which
            # takes 20 times as long from a disk.
            self._environment = lmdb.open(path, subdir=False, readonly=True, lock=False,
                                          create=False, readahead=True)
            pages = self._environment.info()['last_pgno'] + 1
            needed, size = pages * self._environment.stat()['psize'], os.path.getsize(path)
            # Reading beyond the end of a mapped file would kill the process.
            if size < needed:
                raise CMIDError(f'{path} is cut off: {size:,} bytes of {needed:,}: {_FIX}, '
                                'or copy it again')
            self._reader = self._environment.begin(buffers=True)
            index = self._reader.get(INDEX)
        except lmdb.Error as error:
            raise CMIDError(f'{path} cannot be opened ({error}): {_FIX}') from error
        if index is None or index[_HEAD.size:_HEAD.size + len(FORMAT)] != FORMAT:
            raise CMIDError(f'{path} is an LMDB database, but no packed data set of this '
                            f'version of cmid_mm, or damaged: {_FIX}')
        self._failure = lmdb.Error
        # All entries but the index are images.
        self._checked = bytearray(self._environment.stat()['entries'] - 1)

    def names(self) -> list[str]:
        """Paths of the images, relative to the packed folder, in its order.

        Raises:
            CMIDError: The list is damaged.
        """
        try:
            names = bytes(self._content(INDEX))[len(FORMAT):].split(b'\0')[:-1]
            if len(names) != len(self._checked):
                raise ValueError(f'lists {len(names)} images but holds {len(self._checked)}: '
                                 f'{_FIX}')
        except ValueError as error:
            raise CMIDError(f'{self.path} (its list of paths) {error}') from error
        return [os.fsdecode(name) for name in names]

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        return len(key) <= MAX_PATH_BYTES + 1 and self._reader.get(key) is not None

    def read(self, name: str) -> memoryview:
        """Content of an image file, on the mapped memory: read-only, without a copy.

        Args:
            name (str): Its path, relative to the packed folder.

        Raises:
            ValueError: It is absent or damaged; the message follows the file's name.
        """
        return self._content(_key(name))

    def _content(self, key: bytes) -> memoryview:
        try:
            value = self._reader.get(key)
        except self._failure as error:
            raise ValueError(f'cannot be read ({error}): {_FIX}') from error
        if value is None:
            raise ValueError(f'is not in the packed data set: {_FIX}')
        if len(value) < _HEAD.size:
            raise ValueError(f'is cut off in the packed data set: {_FIX}')
        checksum, number = _HEAD.unpack_from(value)
        counted = key != INDEX and number < len(self._checked)
        if not (counted and self._checked[number]):
            if zlib.crc32(value[4:]) != checksum:
                raise ValueError('is damaged in the packed data set (its checksum is wrong): '
                                 f'{_FIX}, or copy it again')
            if counted:
                self._checked[number] = 1
        return value[_HEAD.size:]


# By path; and by device and inode, because LMDB must not open one file twice in a process.
_by_path: dict[str, PackedImages] = {}
_by_file: dict[tuple[int, int], PackedImages] = {}


def find_packed(path: str, renew: bool = False) -> tuple[PackedImages, str] | None:
    """Find the packed data set of a path.

    Args:
        path (str): For example ``images.lmdb`` or ``images.lmdb/field/1.jpg``.
        renew (bool): Whether to open a file that has replaced the one opened before under
            this path. Defaults to False.

    Returns:
        tuple | None: The data set, opened once per process, and the rest of the path ('' for
        the file itself). None where no part of the path is a file that ends in ``.lmdb``.

    Raises:
        ImportError, OSError, CMIDError: As from :class:`PackedImages`.
    """
    if ENDING not in path:
        return None
    path = path.replace(os.sep, '/')
    for match in re.finditer(rf'\{ENDING}(?=/|$)', path):
        file, name = path[:match.end()], path[match.end() + 1:]
        if file in _by_path and not renew:
            return _by_path[file], name
        if os.path.isfile(file):
            status = os.stat(file)
            identity = status.st_dev, status.st_ino
            if identity not in _by_file:
                _by_file[identity] = PackedImages(file)
            _by_path[file] = _by_file[identity]
            return _by_path[file], name
    return None


def list_packed(root: str, extensions: Sequence[str]) -> list[str] | None:
    """List the images of a packed data set, or of a folder in it, as ``scan_folder`` does.

    Args:
        root (str): ``images.lmdb``, or ``images.lmdb/field``.
        extensions (Sequence[str]): Endings of images, in lower case.

    Returns:
        list[str] | None: Paths relative to ``root``, in order. None where ``root`` is not
        packed.
    """
    found = find_packed(root, renew=True)
    if found is None:
        return None
    packed, folder = found
    folder = f'{folder}/' if folder else ''
    return [name[len(folder):] for name in packed.names()
            if name.startswith(folder) and name.lower().endswith(tuple(extensions))]


def is_image_file(path: str) -> bool:
    """Whether a path leads to a file, in a folder or packed."""
    found = find_packed(path)
    return os.path.isfile(path) if found is None else found[1] in found[0]


def import_lmdb():
    """Import the module ``lmdb``.

    Raises:
        ImportError: It is missing.
    """
    try:
        import lmdb
    except ImportError as error:
        raise ImportError('packed data sets need the library lmdb: install it with "pip '
                          'install lmdb", or train on the folder') from error
    return lmdb


def _key(name: str) -> bytes:
    return b'/' + os.fsencode(name)
