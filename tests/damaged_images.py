"""Folders of small images, some of them damaged in every way that occurs in practice."""
import os
import re
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
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


def png(width, height, data=b''):
    """A grey PNG whose header may contradict its compressed rows."""
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)),
              (b'IDAT', data), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data
        + struct.pack('>I', zlib.crc32(kind + data)) for kind, data in chunks)


def refused(call, error, match, *culprits):
    """Assert that a call raises an error of one line that names the culprits."""
    with pytest.raises(error, match=match) as raised:
        call()
    message = str(raised.value)
    assert len(message.splitlines()) == 1 and all(str(name) in message for name in culprits)


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
    path.write_bytes(png(60000, 60000, zlib.compress(bytes(10**6))))


def link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name('gone'))


def without_rights(path):
    path.chmod(0)


#: Damage -> part of the reason that must be reported.
DAMAGES = {
    truncated: 'is damaged or cut off', empty: r'is empty \(0 bytes\)',
    text: 'is not a JPEG, PNG', of_five_bands: r'has 5 band', bomb: '60000 x 60000 pixels',
    link_to_nothing: 'cannot be read: No such file'}
if os.geteuid() != 0:
    # root may read everything
    DAMAGES[without_rights] = 'cannot be read: Permission denied'


def damage(paths):
    """Damage the first files, one of each kind; return {path: reason to be reported}."""
    reasons = {}
    for (harm, reason), path in zip(DAMAGES.items(), paths):
        harm(path)
        reasons[str(path)] = reason
    return reasons


def agree(found, reasons):
    """Whether {path: reason} agrees with the result of :func:`damage`."""
    return set(found) == set(reasons) and all(
        re.search(reasons[path], reason) for path, reason in found.items())
