"""Records of inspected images, and a table of them."""
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Two of a million files share a digest by chance with a probability of 10^-27.
DIGEST_BYTES = 16


class Kind(NamedTuple):
    """Bands of a file (alpha included), whether the last one is alpha, and the number type."""
    bands: int
    alpha: bool
    dtype: str


class ImageRecord(NamedTuple):
    """Properties of an inspected image.

    Attributes:
        kind (Kind): Bands and number type.
        format (str): 'JPEG', 'PNG', ...
        height, width (int): Size in pixels.
        size (int): Size of the file in bytes.
        digest (bytes): Digest of the file's content, 16 bytes.
        constant (bool): Whether all valid pixels have one colour.
        empty (bool): Whether a band has no valid pixel: all are NaN or nodata.
    """
    kind: Kind
    format: str
    height: int
    width: int
    size: int
    digest: bytes
    constant: bool
    empty: bool


class RecordTable:
    """Records of all images, about sixty bytes for each."""

    _ROW = np.dtype([('usable', '?'), ('kind', 'i4'), ('format', 'i4'), ('height', 'i4'),
                     ('width', 'i4'), ('size', 'i8'), ('digest', f'V{DIGEST_BYTES}'),
                     ('constant', '?'), ('empty', '?')])

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.rows = np.zeros(len(files), self._ROW)
        self.reasons = {}
        # There are few kinds and formats; a row contains their numbers.
        self.values = dict(kind=[], format=[])

    def add(self, place: int, record: ImageRecord | str) -> None:
        """Add the record of an image, or the reason why it cannot be used."""
        if isinstance(record, str):
            self.reasons[place] = record
            return
        numbers = {}
        for name, known in self.values.items():
            value = getattr(record, name)
            if value not in known:
                known.append(value)
            numbers[name] = known.index(value)
        self.rows[place] = (True, *record._replace(**numbers))

    def refuse(self, judge: Callable[[Kind], str | bool | None]) -> None:
        """Exclude the images of the kinds for which ``judge`` returns a reason."""
        for number, kind in enumerate(self.values['kind']):
            reason = judge(kind)
            if reason:
                places = np.flatnonzero(self.rows['usable'] & (self.rows['kind'] == number))
                self.reasons.update(dict.fromkeys(places.tolist(), reason))
                self.rows['usable'][places] = False

    def usable_rows(self) -> np.ndarray:
        return self.rows[self.rows['usable']]

    def names(self, chosen: np.ndarray | None = None) -> list[str]:
        """Files of the usable images, or of those that a mask selects."""
        places = np.flatnonzero(self.rows['usable'])
        return [self.files[i] for i in (places if chosen is None else places[chosen])]

    def unusable(self) -> list[list[str]]:
        return [[self.files[place], self.reasons[place]] for place in sorted(self.reasons)]

    def count(self, name: str) -> Counter:
        """Usable images of every kind or format."""
        values = self.values[name]
        return Counter(values[number] for number in self.usable_rows()[name])

    def duplicates(self) -> tuple[list[list[str]], int]:
        """Groups of usable files of equal content, and the bytes of all but the first of each."""
        rows = self.usable_rows()
        order = np.argsort(rows['digest'], kind='stable')
        digests = rows['digest'][order]
        starts = np.flatnonzero(np.append(True, digests[1:] != digests[:-1]))
        groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
        groups.sort(key=lambda group: group[0])
        names = self.names()
        wasted = sum(int(rows['size'][group[1:]].sum()) for group in groups)
        return [[names[i] for i in group] for group in groups], wasted
