"""The files of a download, unpacked or in its zip archives."""
import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _preparation import UserError
from PIL import Image

# far more than any file of these sets that is read at once
MAX_BYTES = 2**30


class Entry(NamedTuple):
    """A file of a download.

    Attributes:
        place (str): Path below the download, from '/' on; an archive counts as a folder
            of its name without the ending.
        file (Path): The file, or the archive that contains it.
        member (str): Name in the archive, '' for a file.
    """
    place: str
    file: Path
    member: str

    def __str__(self):
        return f'{self.file}, {self.member}' if self.member else str(self.file)

    @property
    def gdal_path(self):
        """Path for rasterio."""
        path = self.file.resolve()
        return f'/vsizip/{{{path}}}/{self.member}' if self.member else str(path)

    def read(self):
        """Content of the file, bytes."""
        if not self.member:
            return self.file.read_bytes()
        try:
            with zipfile.ZipFile(self.file) as archive:
                size = archive.getinfo(self.member).file_size
                if size > MAX_BYTES:
                    raise UserError(f'{self} has {size:,} bytes, more than any file of these '
                                    'sets; download it again')
                return archive.read(self.member)
        except (zipfile.BadZipFile, EOFError) as error:
            raise UserError(f'{self} is damaged ({error}); download it again') from error

    def decode(self):
        """Pixels of a PNG or JPEG, (H, W) or (H, W, 3) in the order RGB, and the bytes."""
        data = self.read()
        try:
            with Image.open(io.BytesIO(data), formats=('PNG', 'JPEG')) as picture:
                return np.asarray(picture), data
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f'{self} is damaged or cut off ({error}); download or unpack it '
                            'again') from error


def find(folder, patterns):
    """Find the files of a download by their places.

    Args:
        folder (Path): The download: files, and archives that are not unpacked.
        patterns (list[str]): Regular expressions with groups; case is ignored.

    Returns:
        list[dict[tuple[str], Entry]]: For each pattern, groups of the match -> file. Of
        several files with equal groups, an unpacked one is preferred, then the first.

    Raises:
        UserError: An archive is cut off.
    """
    files, members = [], []
    for path in sorted(folder.rglob('*')):
        if not path.is_file() or path.name.startswith('.'):
            continue
        place = f'/{path.relative_to(folder).as_posix()}'
        if path.suffix.lower() != '.zip':
            files.append(Entry(place, path, ''))
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                names = sorted(archive.namelist())
        except zipfile.BadZipFile as error:
            raise UserError(f'{path} is no complete zip archive; download it again') from error
        members += [Entry(f'{place[:-len(path.suffix)]}/{name}', path, name)
                    for name in names if not name.endswith('/')]
    found = [{} for _ in patterns]
    for entry in files + members:
        for entries, pattern in zip(found, patterns):
            match = re.search(pattern, entry.place, re.IGNORECASE)
            if match and '/__MACOSX/' not in entry.place:
                entries.setdefault(match.groups(), entry)
    return found
