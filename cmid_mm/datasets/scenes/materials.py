"""Surface materials: semantic class, colour, texture and height.

A label map stores one uint8 per pixel, a surface: four times the position of its material
plus a tint from 0 to 3. Tints are variants of a material within one scene.
"""
from typing import NamedTuple

import numpy as np

#: Classes of the segmentation mask; the pixel value is the position.
SEGMENTATION_CLASSES = (
    'bare', 'grass', 'field', 'wood', 'water', 'road', 'building', 'vehicle')
SEGMENTATION_PALETTE = (
    (190, 160, 120), (150, 210, 110), (235, 220, 80), (20, 110, 40),
    (40, 110, 220), (140, 140, 140), (220, 60, 50), (250, 0, 250))
#: Classes of the boxes; the label is the position. Ships and planes are ``vehicle`` in the
#: mask, storage tanks are ``building``.
OBJECT_CLASSES = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')
TINTS = 4


class Material(NamedTuple):
    """Look of a material.

    Args:
        label: position in ``SEGMENTATION_CLASSES``.
        colour: red, green, blue and near infrared grey values.
        grain, patches, canopy, waves, rows: contrast of each texture.
        season: how far the material turns brown in autumn, 0 to 1.
        height: metres; decides the length of shadows.
    """

    label: str
    colour: tuple
    grain: float = 0.04
    patches: float = 0.05
    canopy: float = 0.0
    waves: float = 0.0
    rows: float = 0.0
    season: float = 0.0
    height: float = 0.0


def _field(*colour, season=0.0):
    return Material('field', colour, 0.05, 0.08, rows=0.16, season=season, height=0.3)


def _wood(*colour, season=0.0):
    return Material('wood', colour, 0.06, 0.08, canopy=0.3, season=season, height=5.0)


def _water(*colour, waves=0.05):
    return Material('water', colour, 0.015, 0.05, waves=waves)


def _road(*colour, grain=0.04, patches=0.05):
    return Material('road', (*colour, colour[0]), grain, patches)


def _roof(*colour, height=6.0, rows=0.0, grain=0.04):
    return Material('building', (*colour, colour[0]), grain, 0.04, rows=rows, height=height)


def _vehicle(*colour, height=1.6):
    return Material('vehicle', (*colour, colour[0]), 0.02, 0.0, height=height)


MATERIALS = {
    'soil': Material('bare', (152, 126, 98, 150), 0.07, 0.10),
    'sand': Material('bare', (216, 198, 162, 214), 0.04, 0.06),
    'wet_sand': Material('bare', (170, 152, 124, 140), 0.03, 0.05),
    'gravel': Material('bare', (164, 156, 142, 160), 0.08, 0.07),
    'rock': Material('bare', (132, 126, 116, 126), 0.16, 0.12, height=1.5),
    'grass': Material('grass', (102, 116, 70, 172), 0.06, 0.11, season=0.7),
    'lawn': Material('grass', (92, 118, 66, 188), 0.04, 0.07, season=0.4),
    'scrub': Material('grass', (104, 108, 72, 142), 0.09, 0.13, canopy=0.12, season=0.6),
    'crop': _field(80, 112, 56, 200, season=0.4),
    'sprout': _field(120, 130, 80, 172, season=0.3),
    'ripe': _field(194, 170, 104, 176),
    'stubble': _field(186, 166, 126, 164),
    'plough': _field(118, 94, 74, 110),
    'blossom': _field(200, 186, 62, 200),
    'leaf': _wood(66, 88, 50, 182, season=1.0),
    'needle': _wood(46, 66, 46, 124, season=0.1),
    'young_wood': _wood(84, 104, 58, 186, season=0.6),
    'sea': _water(36, 66, 86, 14, waves=0.12),
    'shoal': _water(92, 138, 136, 24, waves=0.08),
    'foam': Material('water', (226, 232, 230, 180), 0.14, 0.12),
    'river': _water(60, 78, 72, 20),
    'silt': _water(118, 110, 86, 40),
    'pool': _water(92, 178, 196, 20),
    'asphalt': _road(92, 92, 95),
    'worn_asphalt': _road(136, 134, 130),
    'concrete': _road(184, 180, 170),
    'track': _road(178, 154, 124, grain=0.07, patches=0.09),
    'marking': _road(234, 234, 228),
    'yellow_line': _road(214, 180, 74),
    'tile': _roof(166, 94, 72, grain=0.06),
    'brown_tile': _roof(128, 102, 88, grain=0.06),
    'slate': _roof(106, 108, 114, grain=0.06),
    'bitumen': _roof(134, 132, 130),
    'grey_sheet': _roof(198, 200, 200),
    'sheet': _roof(204, 206, 206, height=9.0, rows=0.16),
    'membrane': _roof(228, 226, 220, height=9.0),
    'gravel_roof': _roof(172, 166, 156, height=9.0, grain=0.06),
    'blue_sheet': _roof(96, 138, 182, height=9.0, rows=0.16),
    'green_sheet': _roof(120, 156, 136, height=9.0, rows=0.16),
    'rust': _roof(148, 104, 82, height=9.0, rows=0.16),
    'parapet': _roof(212, 208, 202, height=10.0),
    'duct': _roof(150, 150, 150, height=10.5),
    'skylight': _roof(170, 192, 206, height=9.0),
    'tank': _roof(232, 232, 228, height=10.0),
    'tank_roof': _roof(176, 174, 168, height=9.0),
    'white': _vehicle(236, 236, 234),
    'silver': _vehicle(176, 178, 180),
    'grey': _vehicle(112, 112, 114),
    'black': _vehicle(40, 40, 44),
    'red': _vehicle(176, 46, 42),
    'blue': _vehicle(54, 86, 148),
    'green': _vehicle(72, 112, 82),
    'glass': _vehicle(44, 50, 58),
    'hull': _vehicle(96, 56, 52, height=6.0),
    'deck': _vehicle(170, 152, 126, height=6.0),
    'aluminium': _vehicle(232, 234, 236, height=4.0),
    'engine': _vehicle(122, 124, 128, height=3.0),
}
_POSITION = {name: TINTS * i for i, name in enumerate(MATERIALS)}


def surface(material, tint=0):
    """Surface number, below 256, of a material's name and a tint from 0 to 3."""
    return int(_POSITION[material] + tint)


def table(field):
    """(256, ...) float32 look-up table from surface to a field of its material."""
    values = np.array([getattr(material, field) for material in MATERIALS.values()], np.float32)
    full = np.zeros((256, *values.shape[1:]), np.float32)
    full[:TINTS * len(values)] = np.repeat(values, TINTS, 0)
    return full


#: (256,) uint8 position in ``SEGMENTATION_CLASSES`` of every surface.
LABELS = np.zeros(256, np.uint8)
LABELS[:TINTS * len(MATERIALS)] = np.repeat(
    [SEGMENTATION_CLASSES.index(material.label) for material in MATERIALS.values()], TINTS)


def is_any_of(*classes):
    """(256,) bool look-up table: whether a surface belongs to one of the classes."""
    return np.isin(LABELS, [SEGMENTATION_CLASSES.index(name) for name in classes])
