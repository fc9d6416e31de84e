"""Images in one memory-mapped file, as tools/pack_dataset.py writes it.

The file is an LMDB database. Below its keys lie entries, whose form packed_entry.py says.

- ``/`` and the path of an image in the folder: the bytes of its file, or its pixels. LMDB
  keeps keys in the order of their bytes, which is the order of ``scan_folder``.
- ``about``: JSON, with the version of this form and the number of images.
- ``paths``: all paths in their order, a zero byte behind each, so that a list of them needs
  no walk through the file.
"""
import json
import os
import struct
from collections.abc import Sequence

from .packed_entry import Entry, number_of, unseal

ENDING = '.lmdb'
ABOUT, PATHS = b'about', b'paths'
VERSION = 1
# LMDB takes keys of at most 511 bytes, of which one is the slash.
LONGEST_PATH = 510
_MAGIC = struct.pack('=I', 0xBEEFC0DE)
_MAGIC_AT = 16
_CURE = 'pack the folder again with tools/pack_dataset.py'


class PackedImages:
    """Images of one packed file.

    A checksum is compared once in a process, when its image is read first: it is to find
    what a copy or a disk has spoilt. CRC-32 takes 0.2 ms for 473 x 473 pixels of three
    bytes, as long as cutting both views; after the first epoch it takes nothing.

    The database stays open until the process ends, because arrays lie on its memory. A child
    by fork goes on with that of its parent: reading without locks leaves nothing that the
    two could disturb. Other children open it when they need it, for it is never pickled.

    Args:
        path (str): The file.

    Raises:
        ImportError: The library is missing.
        OSError: The file cannot be read.
        ValueError: It is no packed data set, or damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.identity = _identity(path)
        lmdb = lmdb_library()
        with open(path, 'rb') as file:
            if file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC:
                raise ValueError(f'{path} is no packed data set: give a folder of images, or '
                                 'make one with tools/pack_dataset.py')
        try:
            # Reading ahead: without it, pages of 4 kB come one by one from the disk, which
            # takes 20 times as long for images of 700 kB, and as long for those of 13 kB.
            self._environment = lmdb.open(path, subdir=False, readonly=True, lock=False,
                                          create=False, readahead=True)
            self._check_size()
            self._reader = self._environment.begin(buffers=True)
        except lmdb.Error as error:
            raise ValueError(f'{path} cannot be opened ({error}): {_CURE}') from error
        self._failure = lmdb.Error
        self._checked = bytearray(0)
        # beside the images there are two entries: what this is, and the list of paths
        images = self._environment.stat()['entries'] - 2
        self._check_about(images)
        self._checked = bytearray(images)

    def names(self) -> list[str]:
        """Paths of the images, relative to the folder, in its order."""
        data = self._entry(PATHS, f'{self.path} (its list of paths)').data
        names = bytes(data).split(b'\0')[:-1]
        if len(names) != len(self._checked):
            raise ValueError(f'{self.path} lists {len(names)} images where it should hold '
                             f'{len(self._checked)}: {_CURE}')
        return [os.fsdecode(name) for name in names]

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        return len(key) <= LONGEST_PATH + 1 and self._reader.get(key) is not None

    def entry(self, name: str) -> Entry:
        """One image.

        Args:
            name (str): Its path, relative to the folder.

        Raises:
            ValueError: It is not there or damaged; the message goes behind its name.
        """
        return self._entry(_key(name))

    def _entry(self, key: bytes, culprit: str = '') -> Entry:
        """The entry below a key; ``culprit`` begins the message of an error."""
        culprit += ' ' * bool(culprit)
        try:
            value = self._reader.get(key)
        except self._failure as error:
            raise ValueError(f'{culprit}cannot be read ({error}): {_CURE}') from error
        if value is None:
            raise ValueError(f'{culprit}is not in the packed data set: {_CURE}')
        try:
            number = number_of(value) if key.startswith(b'/') else None
            known = number is not None and self._checked[number:number + 1] == b'\1'
            entry = unseal(value, not known)
        except ValueError as error:
            raise ValueError(f'{culprit}is damaged in the packed data set ({error}): {_CURE}, '
                             'or copy it again') from error
        if number is not None and number < len(self._checked):
            self._checked[number] = 1
        return entry

    def _check_about(self, images: int) -> None:
        try:
            about = json.loads(bytes(self._entry(ABOUT).data))
            version = about['version']
            if version == VERSION and not 0 < about['images'] == images:
                raise ValueError('it has not the images that it should have')
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{self.path} is an LMDB database, but no packed data set, or '
                             f'damaged: {_CURE}') from error
        if version != VERSION:
            raise ValueError(f'{self.path} has the form {version}, this version of cmid_mm '
                             f'reads form {VERSION}: {_CURE}')

    def _check_size(self) -> None:
        # Reading beyond the end of a mapped file kills the process.
        pages = self._environment.info()['last_pgno'] + 1
        needed = pages * self._environment.stat()['psize']
        size = os.path.getsize(self.path)
        if size < needed:
            raise ValueError(f'{self.path} is cut off: {size:,} bytes of {needed:,}: {_CURE}, '
                             'or copy it again')


def find_packed(path: str) -> tuple[PackedImages, str] | None:
    """The packed data set that a path leads into.

    Args:
        path (str): For example ``images.lmdb`` or ``images.lmdb/field/1.jpg``.

    Returns:
        tuple | None: The data set, opened once in a process, and what stands behind its name
        ('' for itself). None where no part of the path is a file that ends in ``.lmdb``.

    Raises:
        ImportError, OSError, ValueError: As of :class:`PackedImages`.
    """
    if ENDING not in path:
        return None
    path = path.replace(os.sep, '/')
    end = 0
    while (start := path.find(ENDING, end)) >= 0:
        end = start + len(ENDING)
        if path[end:end + 1] in ('', '/'):
            packed = _open_once(path[:end])
            if packed is not None:
                return packed, path[end + 1:]
    return None


def packed_images(root: str, extensions: Sequence[str]) -> list[str] | None:
    """What ``scan_folder`` lists, of a packed data set or of a folder in it.

    Args:
        root (str): ``images.lmdb``, or ``images.lmdb/field``.
        extensions (Sequence[str]): Endings of images, in lower case.

    Returns:
        list[str] | None: Paths relative to ``root``, in order. None where ``root`` is not
        packed.
    """
    _forget_replaced()
    found = find_packed(root)
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


def lmdb_library():
    """The module ``lmdb``.

    Raises:
        ImportError: It is missing.
    """
    try:
        import lmdb
    except ImportError as error:
        raise ImportError('packed data sets need the library lmdb: install it with "pip '
                          'install lmdb", or train on the folder') from error
    return lmdb


# By path; and what lies under a path no more but may still be in use.
_opened: dict[str, PackedImages] = {}
_replaced: list[PackedImages] = []


def _open_once(path: str) -> PackedImages | None:
    packed = _opened.get(path)
    if packed is None and os.path.isfile(path):
        packed = _opened[path] = _same_file(path) or PackedImages(path)
    return packed


def _same_file(path: str) -> PackedImages | None:
    """One file under two names may be opened only once."""
    identity = _identity(path)
    return next((packed for packed in (*_opened.values(), *_replaced)
                 if packed.identity == identity), None)


def _forget_replaced() -> None:
    for path, packed in list(_opened.items()):
        if not os.path.exists(path) or _identity(path) != packed.identity:
            _replaced.append(_opened.pop(path))


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _key(name: str) -> bytes:
    return b'/' + os.fsencode(name)
