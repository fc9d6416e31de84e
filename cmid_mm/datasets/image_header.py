"""Size of a JPEG, PNG, BMP or WebP image from its first bytes, before any decoding.

A file of some kilobytes may unfold into gigabytes of pixels; its header tells.
"""
import struct
from typing import NamedTuple

_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_PNG_GREY_ALPHA = 4
# Colour type of a PNG -> numbers a pixel.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, _PNG_GREY_ALPHA: 2, 6: 4}
# Deflate makes at most so many bytes of one.
_DEFLATE = 1032


class Header(NamedTuple):
    """What a header says.

    Attributes:
        width (int): In pixels.
        height (int): In pixels.
        grey (bool): Whether a JPEG has one component. Of other formats it is not asked.
        grey_alpha (bool): Whether the bands are grey and alpha.
        least_bytes (int): A file that holds so many pixels cannot be smaller.
    """
    width: int
    height: int
    grey: bool = False
    grey_alpha: bool = False
    least_bytes: int = 0


def file_format(data: bytes) -> str:
    """Name of the format: 'JPEG', 'PNG', 'BMP', 'WebP' or 'TIFF' (BigTIFF too).

    Args:
        data (bytes): The first twelve bytes of the file, or more.

    Raises:
        ValueError: It is none of these.
    """
    for name, begins in _FORMATS.items():
        if begins(data):
            return name
    raise ValueError('is not a JPEG, PNG, TIFF, BMP or WebP image')


def read_header(data: bytes) -> Header:
    """Read the header of a JPEG, PNG, BMP or WebP file.

    Args:
        data (bytes): The whole file: the size in a JPEG may stand behind long comments.

    Raises:
        ValueError: It is none of these formats, or its header is damaged.
    """
    try:
        return _READERS[file_format(data)](data)
    except (struct.error, IndexError) as error:
        raise ValueError('is cut off within its header') from error


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
        if marker == 0:
            # A decoder passes over it and looks on. Jumping as behind other markers, this
            # function would miss the frame that the decoder then finds.
            raise ValueError('has a damaged JPEG header')
        if marker in _JPEG_FRAMES:
            height, width, components = struct.unpack_from('>HHB', data, position + 3)
            return Header(width, height, components == 1)
        if marker not in _JPEG_BARE_MARKERS:
            position += struct.unpack_from('>H', data, position)[0]


def _read_png(data: bytes) -> Header:
    width, height, bits, colour = struct.unpack_from('>IIBB', data, 16)
    position, kind = 8, b''
    while kind != b'IEND' and position + 8 <= len(data):
        # A decoder may ask for memory for a chunk before it looks for its bytes.
        length, kind = struct.unpack_from('>I4s', data, position)
        position += 12 + length
    if position > len(data):
        raise ValueError('is damaged or cut off: it ends within a chunk; repair or remove it')
    row = width * bits * _PNG_CHANNELS.get(colour, 0) // 8
    return Header(width, height, grey_alpha=colour == _PNG_GREY_ALPHA,
                  least_bytes=row * height // _DEFLATE)


def _read_bmp(data: bytes) -> Header:
    # The header of OS/2, of 12 bytes, has shorter numbers.
    short = struct.unpack_from('<I', data, 14)[0] == 12
    width, height = struct.unpack_from('<HH' if short else '<ii', data, 18)
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


_FORMATS = dict(
    JPEG=lambda data: data[:2] == b'\xff\xd8',
    PNG=lambda data: data[:8] == b'\x89PNG\r\n\x1a\n',
    BMP=lambda data: data[:2] == b'BM',
    WebP=lambda data: data[:4] == b'RIFF' and data[8:12] == b'WEBP',
    TIFF=lambda data: data[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'))
_READERS = dict(JPEG=_read_jpeg, PNG=_read_png, BMP=_read_bmp, WebP=_read_webp)
