"""The inks of a scene: which material, variant, roof slope and rows a pixel shows."""
import math
from typing import NamedTuple

import numpy as np

from .materials import LABELS, MATERIAL_INDEX

_ASPECTS = 16
_LIMIT = 256
_LABELS = LABELS.tolist()
#: Channels for rows (crops, ribs of roofs) beside the channels of the materials.
ROW_CHANNELS = 4


class Columns(NamedTuple):
    """Arrays of one value per ink: number of the material, number of the content,
    direction of the slope in radians (nan for flat), row channel (-1 for none) and the
    rows' strength.
    """

    material: np.ndarray
    content: np.ndarray
    aspect: np.ndarray
    row: np.ndarray
    row_strength: np.ndarray


class Inks:
    """Numbers that the label map of a scene holds, at most 256.

    Two inks of equal ``content`` show the same thing and differ by their slope only,
    which is a matter of light.

    Args:
        generator (numpy.random.Generator): draws the tint of every variant.
    """

    def __init__(self, generator):
        #: (256, 3) standard normal: brightness, warmth and greenness of a variant.
        self.tints = generator.standard_normal((_LIMIT, 3)).astype(np.float32)
        #: Position in ``SEGMENTATION_CLASSES`` of every ink.
        self.label = []
        self._rows = []
        self._known, self._contents, self._first = {}, {}, {}

    def __call__(self, material, variant=0, aspect=None, row=-1, row_strength=0.0):
        """Number of an ink, a new one where it is not known yet.

        Args:
            material (str): name in ``MATERIALS``.
            variant (int): tells individuals of one material apart.
            aspect (float, optional): direction in radians that a roof falls to, in
                pixels; rounded to 16 directions. None for flat things.
            row (int): channel of the rows, -1 for none.
            row_strength (float): contrast of the rows, relative to the brightness.

        Returns:
            int: in [0, 256). When few are left they are kept for materials that have none
            yet, and this is the first ink of the material.
        """
        if aspect is not None:
            aspect = round(aspect / (2 * math.pi) * _ASPECTS) % _ASPECTS
        key = (material, variant, aspect, row)
        number = self._known.get(key)
        if number is None:
            number = self._add(key, row_strength)
        return number

    def _add(self, key, row_strength):
        material, variant, aspect, row = key
        if len(self._rows) >= _LIMIT - len(MATERIAL_INDEX) and material in self._first:
            return self._first[material]
        number = self._known[key] = len(self._rows)
        self._first.setdefault(material, number)
        index = MATERIAL_INDEX[material]
        content = self._contents.setdefault((material, variant, row), len(self._contents))
        slope = math.nan if aspect is None else aspect / _ASPECTS * 2 * math.pi
        self._rows.append((index, content, slope, row, row_strength))
        self.label.append(_LABELS[index])
        return number

    def columns(self):
        """What is known of the inks, for arithmetic over all of them.

        Returns:
            Columns: arrays of one value per ink.
        """
        material, content, aspect, row, strength = np.array(self._rows).T
        return Columns(material.astype(int), content.astype(int), aspect,
                       row.astype(int), strength)


def table(values, dtype=np.float32):
    """(256,) look-up table from one value per ink."""
    full = np.zeros(_LIMIT, dtype)
    full[:len(values)] = values
    return full
