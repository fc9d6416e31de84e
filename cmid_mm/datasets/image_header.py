"""Size of a JPEG, PNG, BMP or WebP image from its first bytes, before any decoding.

A file of some kilobytes may unfold into gigabytes of pixels; its header tells.
"""
import struct
from typing import NamedTuple

_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_PNG_GREY_ALPHA = 4


class Header(NamedTuple):
    """What a header says.

    Attributes:
        width (int): In pixels.
        height (int): In pixels.
        grey_alpha (bool): Whether the bands are grey and alpha.
    """
    width: int
    height: int
    grey_alpha: bool = False


def is_tiff(data: bytes) -> bool:
    """Whether the bytes begin a TIFF or a BigTIFF file."""
    return data[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


def read_header(data: bytes) -> Header:
    """Read the header of a JPEG, PNG, BMP or WebP file.

    Args:
        data (bytes): The whole file: the size in a JPEG may stand behind long comments.

    Raises:
        ValueError: It is none of these formats, or its header is damaged.
    """
    for is_format, read in _FORMATS:
        if is_format(data):
            try:
                return read(data)
            except (struct.error, IndexError) as error:
                raise ValueError('is cut off within its header') from error
    raise ValueError('is not a JPEG, PNG, TIFF, BMP or WebP image')


def _read_jpeg(data: bytes) -> Header:
    position = 2
    while True:
        if data[position] != 0xFF:
            raise ValueError('has a damaged JPEG header')
        # Any number of 0xFF may fill the space before a marker.
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from('>HH', data, position + 3)
            return Header(width, height)
        if marker not in _JPEG_BARE_MARKERS:
            position += struct.unpack_from('>H', data, position)[0]


def _read_png(data: bytes) -> Header:
    width, height, _, colour = struct.unpack_from('>IIBB', data, 16)
    return Header(width, height, colour == _PNG_GREY_ALPHA)


def _read_bmp(data: bytes) -> Header:
    width, height = struct.unpack_from('<ii', data, 18)
    # A negative height says that the rows run from top to bottom.
    return Header(width, abs(height))


def _read_webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b'VP8X':
        width, height = (int.from_bytes(data[at:at + 3], 'little') for at in (24, 27))
        return Header(width + 1, height + 1)
    if kind == b'VP8L':
        bits = struct.unpack_from('<I', data, 21)[0]
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from('<HH', data, 26)
    return Header(width & 0x3FFF, height & 0x3FFF)


_FORMATS = (
    (lambda data: data[:2] == b'\xff\xd8', _read_jpeg),
    (lambda data: data[:8] == b'\x89PNG\r\n\x1a\n', _read_png),
    (lambda data: data[:2] == b'BM', _read_bmp),
    (lambda data: data[:4] == b'RIFF' and data[8:12] == b'WEBP', _read_webp),
)
