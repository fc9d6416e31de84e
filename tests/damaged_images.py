"""Folders of small images, some of them damaged in every way that files come in."""
import os
import re
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning


def write_images(folder, count, size=(48, 40)):
    """Textured JPEGs of changing brightness; their paths, sorted."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for i in range(count):
        coarse = draw.integers(i % 100, 120 + i % 100, (6, 6, 3)).astype(np.uint8)
        assert cv2.imwrite(str(folder / f'{i:03}.jpg'), cv2.resize(coarse, size))
    return sorted(folder.glob('*.jpg'))


def truncated(path):
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])


def empty(path):
    path.write_bytes(b'')


def text(path):
    path.write_text('<html>404 not found</html>')


def of_five_bands(path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', driver='GTiff', height=40, width=48, count=5,
                           dtype='uint8') as file:
            file.write(np.full((5, 40, 48), 90, np.uint8))


def bomb(path):
    """A PNG of kilobytes that would unfold to 3.6 gigabytes."""
    rows = zlib.compress(bytes(10**6))
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', 60000, 60000, 8, 0, 0, 0, 0)),
              (b'IDAT', rows), (b'IEND', b'')]
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data
        + struct.pack('>I', zlib.crc32(kind + data)) for kind, data in chunks))


def link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name('gone'))


def without_rights(path):
    path.chmod(0)


#: What is done to a file: what is said of it.
DAMAGES = {
    truncated: 'is damaged or cut off', empty: r'is empty \(0 bytes\)',
    text: 'is not a JPEG, PNG', of_five_bands: r'has 5 band', bomb: '60000 x 60000 pixels',
    link_to_nothing: 'cannot be read: No such file'}
if os.geteuid() != 0:
    # who is root may read everything
    DAMAGES[without_rights] = 'cannot be read: Permission denied'


def damage(paths):
    """Damage the first files in turn, each kind once; {path: what is said of it}."""
    said = {}
    for (harm, reason), path in zip(DAMAGES.items(), paths):
        harm(path)
        said[str(path)] = reason
    return said


def agree(found, said):
    """Whether {path: reason} is what :func:`damage` announced."""
    return set(found) == set(said) and all(
        re.search(said[path], reason) for path, reason in found.items())
