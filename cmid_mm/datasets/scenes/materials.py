"""What the ground is made of: spectra, texture strengths and label of each material.

A spectrum is a reflectance in [0, 1] at the wavelengths of ``NODES``, rounded from the
shapes that spectral libraries show (the red edge of leaves, the dark infrared of water,
the slow rise of soil); any number of bands is interpolated from it.
"""
import functools
from typing import NamedTuple

import numpy as np

#: Classes of the segmentation mask; the pixel value is the position.
SEGMENTATION_CLASSES = (
    'bare', 'grass', 'field', 'wood', 'water', 'road', 'building', 'vehicle')
SEGMENTATION_PALETTE = (
    (190, 160, 120), (150, 210, 110), (235, 220, 80), (20, 110, 40),
    (40, 110, 220), (140, 140, 140), (220, 60, 50), (250, 0, 250))
#: Classes of the boxes; the label is the position. Vehicles, ships and planes are all
#: ``vehicle`` in the mask, tanks are ``building``.
OBJECT_CLASSES = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

#: Wavelengths in nanometres at which the spectra below are given.
NODES = (450, 550, 650, 720, 850, 1200, 1650, 2200)
_RED, _GREEN, _BLUE, _NEAR_INFRARED = 650, 550, 450, 850
_FURTHER = (1650, 720, 2200, 1200)
_VISIBLE = (450, 550, 650, 720)

#: Heights decide which shadows a surface receives: all, only tall ones, none.
GROUND, LOW, TALL = 0, 1, 2


class Material(NamedTuple):
    """Look of a material.

    Args:
        label: position in ``SEGMENTATION_CLASSES``.
        spectrum: reflectance at ``NODES``.
        grain, mottle, canopy, wave: strength of the texture channels, relative to the
            brightness.
        dry: strength of the yellowish patches of dry or thin vegetation.
        turn: how far the season turns it from green to brown, 0 to 1.
        spread: how far the brightness of variants differs (log standard deviation).
        height: ``GROUND``, ``LOW`` or ``TALL``.
    """

    label: int
    spectrum: tuple
    grain: float = 0.04
    mottle: float = 0.05
    canopy: float = 0.0
    wave: float = 0.0
    dry: float = 0.0
    turn: float = 0.0
    spread: float = 0.1
    height: int = GROUND


BARE, GRASS, FIELD, WOOD, WATER, ROAD, BUILDING, VEHICLE = range(8)


def _paint(blue, green, red, label=VEHICLE, height=LOW, spread=0.1, grain=0.02):
    infrared = max(blue, green, red)
    spectrum = (blue, green, red, red, infrared, infrared, infrared, infrared * 0.9)
    return Material(label, spectrum, grain, 0.0, spread=spread, height=height)


def _roof(blue, green, red, grain=0.04):
    return Material(BUILDING, (blue, green, red, red * 1.02, red * 1.05, red * 1.08,
                               red * 1.08, red), grain, 0.05, spread=0.18, height=TALL)


_LEAF = (0.030, 0.062, 0.036, 0.17, 0.38, 0.32, 0.16, 0.07)
_NEEDLE = (0.024, 0.043, 0.028, 0.11, 0.25, 0.20, 0.10, 0.05)
_LAWN = (0.045, 0.100, 0.065, 0.22, 0.42, 0.37, 0.22, 0.12)
_CONCRETE = (0.25, 0.28, 0.30, 0.31, 0.33, 0.35, 0.36, 0.34)
_ASPHALT = (0.095, 0.105, 0.115, 0.12, 0.13, 0.15, 0.16, 0.15)

#: Brown that a vegetation spectrum turns to.
WITHERED = (0.085, 0.13, 0.165, 0.23, 0.31, 0.35, 0.31, 0.23)

MATERIALS = {
    # bare ground
    'soil': Material(BARE, (0.11, 0.16, 0.22, 0.26, 0.31, 0.37, 0.41, 0.37), 0.07, 0.12),
    'sand': Material(BARE, (0.27, 0.35, 0.42, 0.45, 0.48, 0.53, 0.55, 0.52), 0.04, 0.08),
    'wet_sand': Material(BARE, (0.16, 0.20, 0.23, 0.25, 0.26, 0.26, 0.24, 0.2), 0.03, 0.06),
    'mud': Material(BARE, (0.10, 0.13, 0.16, 0.18, 0.20, 0.22, 0.2, 0.17), 0.04, 0.1),
    'gravel': Material(BARE, (0.19, 0.22, 0.25, 0.27, 0.29, 0.32, 0.34, 0.32), 0.09, 0.08),
    'rock': Material(BARE, (0.12, 0.14, 0.16, 0.17, 0.19, 0.22, 0.24, 0.22), 0.2, 0.12),
    # low vegetation
    'grass': Material(GRASS, _LAWN, 0.06, 0.12, dry=0.055, turn=0.7),
    'lawn': Material(GRASS, _LAWN, 0.04, 0.07, dry=0.028, turn=0.35),
    'scrub': Material(GRASS, (0.05, 0.09, 0.08, 0.18, 0.32, 0.32, 0.22, 0.14),
                      0.08, 0.14, 0.16, dry=0.066, turn=0.6),
    'reed': Material(GRASS, (0.05, 0.10, 0.09, 0.17, 0.30, 0.28, 0.2, 0.1),
                     0.16, 0.14, dry=0.055, turn=0.7),
    # fields
    'crop': Material(FIELD, (0.035, 0.085, 0.048, 0.23, 0.47, 0.40, 0.22, 0.10),
                     0.04, 0.08, dry=0.033, turn=0.5, spread=0.2),
    'sprout': Material(FIELD, (0.07, 0.13, 0.12, 0.24, 0.36, 0.36, 0.28, 0.2),
                       0.05, 0.12, dry=0.055, turn=0.4, spread=0.15),
    'ripe': Material(FIELD, (0.10, 0.19, 0.25, 0.30, 0.37, 0.41, 0.36, 0.26),
                     0.04, 0.07, dry=0.028, spread=0.15),
    'stubble': Material(FIELD, (0.15, 0.21, 0.27, 0.30, 0.34, 0.40, 0.40, 0.33),
                        0.05, 0.08, dry=0.022, spread=0.15),
    'plough': Material(FIELD, (0.075, 0.10, 0.135, 0.16, 0.20, 0.25, 0.28, 0.25),
                       0.08, 0.13, spread=0.25),
    'blossom': Material(FIELD, (0.06, 0.27, 0.27, 0.36, 0.46, 0.40, 0.24, 0.12),
                        0.04, 0.08, dry=0.028, turn=0.3),
    # woods and single trees
    'leaf': Material(WOOD, _LEAF, 0.08, 0.10, 0.34, dry=0.022, turn=1.0, spread=0.15,
                     height=TALL),
    'needle': Material(WOOD, _NEEDLE, 0.10, 0.08, 0.42, dry=0.011, turn=0.12, spread=0.15,
                       height=TALL),
    'young_wood': Material(WOOD, (0.035, 0.075, 0.045, 0.19, 0.40, 0.33, 0.18, 0.09),
                           0.1, 0.1, 0.18, dry=0.022, turn=0.6, height=TALL),
    # water
    'sea': Material(WATER, (0.055, 0.058, 0.032, 0.015, 0.009, 0.005, 0.004, 0.003),
                    0.02, 0.05, wave=0.13, spread=0.3),
    'shoal': Material(WATER, (0.12, 0.15, 0.08, 0.03, 0.014, 0.006, 0.004, 0.003),
                      0.02, 0.08, wave=0.08, spread=0.2),
    'foam': Material(WATER, (0.45, 0.47, 0.46, 0.44, 0.40, 0.2, 0.1, 0.06), 0.22, 0.2),
    'river': Material(WATER, (0.055, 0.075, 0.055, 0.03, 0.015, 0.006, 0.004, 0.003),
                      0.02, 0.06, wave=0.05, spread=0.35),
    'silt': Material(WATER, (0.09, 0.13, 0.14, 0.09, 0.045, 0.01, 0.006, 0.004),
                     0.02, 0.06, wave=0.04, spread=0.2),
    'pool': Material(WATER, (0.30, 0.32, 0.14, 0.05, 0.02, 0.01, 0.006, 0.004), 0.02, 0.03),
    # paved ground
    'asphalt': Material(ROAD, _ASPHALT, 0.05, 0.06, spread=0.25),
    'worn_asphalt': Material(ROAD, (0.16, 0.175, 0.19, 0.2, 0.21, 0.23, 0.24, 0.22),
                             0.05, 0.08, spread=0.15),
    'concrete': Material(ROAD, _CONCRETE, 0.04, 0.06, spread=0.15),
    'track': Material(ROAD, (0.18, 0.23, 0.28, 0.31, 0.34, 0.39, 0.41, 0.38), 0.08, 0.1),
    'marking': Material(ROAD, (0.46, 0.47, 0.47, 0.47, 0.47, 0.45, 0.42, 0.38), 0.04, 0.06),
    'yellow_line': Material(ROAD, (0.1, 0.34, 0.44, 0.46, 0.47, 0.46, 0.43, 0.4), 0.04),
    'rubber': Material(ROAD, (0.06, 0.065, 0.07, 0.075, 0.08, 0.1, 0.1, 0.1), 0.05, 0.1),
    # roofs
    'tile': _roof(0.10, 0.13, 0.26, 0.06), 'brown_tile': _roof(0.09, 0.11, 0.155, 0.06),
    'slate': _roof(0.105, 0.11, 0.115, 0.06), 'bitumen': _roof(0.16, 0.17, 0.18, 0.05),
    'sheet': _roof(0.42, 0.43, 0.42, 0.02), 'membrane': _roof(0.58, 0.60, 0.60, 0.02),
    'blue_sheet': _roof(0.33, 0.25, 0.15, 0.03),
    'green_sheet': _roof(0.2, 0.26, 0.16, 0.03),
    'gravel_roof': _roof(0.26, 0.28, 0.30, 0.07), 'rust': _roof(0.10, 0.12, 0.21, 0.1),
    'parapet': _roof(0.45, 0.46, 0.47, 0.02), 'duct': _roof(0.33, 0.34, 0.35, 0.02),
    'skylight': _roof(0.42, 0.4, 0.36, 0.02),
    'tank': _paint(0.60, 0.62, 0.62, BUILDING, TALL),
    'dull_tank': _paint(0.34, 0.34, 0.32, BUILDING, TALL),
    'tank_rim': _paint(0.2, 0.2, 0.2, BUILDING, TALL),
    # vehicles of every kind
    'white': _paint(0.66, 0.68, 0.68), 'silver': _paint(0.40, 0.41, 0.41, spread=0.2),
    'grey': _paint(0.2, 0.2, 0.2, spread=0.3), 'black': _paint(0.035, 0.035, 0.035),
    'red': _paint(0.05, 0.05, 0.34), 'blue': _paint(0.28, 0.13, 0.06, spread=0.2),
    'green': _paint(0.09, 0.17, 0.07), 'yellow': _paint(0.06, 0.42, 0.55),
    'glass': _paint(0.09, 0.09, 0.09), 'hull': _paint(0.07, 0.06, 0.14, spread=0.3),
    'deck': _paint(0.17, 0.22, 0.28, spread=0.2),
    'hatch': _paint(0.1, 0.14, 0.25, spread=0.3),
    'aluminium': _paint(0.62, 0.63, 0.63, height=TALL),
    'engine': _paint(0.25, 0.25, 0.26, height=TALL),
}
MATERIAL_NAMES = tuple(MATERIALS)
MATERIAL_INDEX = {name: i for i, name in enumerate(MATERIAL_NAMES)}

#: One row per material, for arithmetic over all inks at once.
SPECTRA = np.array([m.spectrum for m in MATERIALS.values()], np.float32)
LABELS = np.array([m.label for m in MATERIALS.values()], np.uint8)
HEIGHTS = np.array([m.height for m in MATERIALS.values()], np.uint8)
TEXTURES = np.array([(m.grain, m.mottle, m.canopy, m.wave, m.dry)
                     for m in MATERIALS.values()], np.float32)
TURNS = np.array([m.turn for m in MATERIALS.values()], np.float32)
SPREADS = np.array([m.spread for m in MATERIALS.values()], np.float32)


@functools.cache
def band_weights(bands):
    """Weights that turn spectra at ``NODES`` into bands.

    One band is panchromatic (mean of the visible), three are red, green, blue; from four
    on near infrared follows, then the short-wave infrared and the red edge, then
    wavelengths spread by the golden ratio over 430 to 2400 nm.

    Args:
        bands (int): number of bands, at least 1.

    Returns:
        numpy.ndarray: (len(NODES), bands) float32, columns sum to 1.
    """
    if isinstance(bands, bool) or int(bands) != bands or bands < 1:
        raise ValueError(f'bands must be a whole number from 1 on, got {bands!r}')
    identity = np.eye(len(NODES), dtype=np.float32)
    if bands == 1:
        visible = [NODES.index(w) for w in _VISIBLE]
        return identity[:, visible].mean(1, keepdims=True)
    wavelengths = [_RED, _GREEN, _BLUE, _NEAR_INFRARED, *_FURTHER]
    wavelengths += [430 + 1970 * ((i * 0.6180339887) % 1.0)
                    for i in range(1, bands - len(wavelengths) + 1)]
    columns = [[np.interp(w, NODES, row) for row in identity]
               for w in wavelengths[:bands]]
    return np.array(columns, np.float32).T.copy()
