"""Surface materials: semantic class, colour, texture and height.

A label map stores one uint8 per pixel, a surface: four times the position of its material
plus a tint from 0 to 3. Tints are variants of a material within one scene.
"""
from functools import partial
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
    """Look of a material."""

    label: str  # of SEGMENTATION_CLASSES
    colour: tuple  # red, green, blue and near infrared grey values
    # Contrast of each texture.
    grain: float = 0.04
    patches: float = 0.05
    canopy: float = 0.0
    waves: float = 0.0
    rows: float = 0.0
    season: float = 0.0  # how far it turns brown in autumn, 0 to 1
    height: float = 0.0  # metres; decides the length of shadows


_FIELD = partial(Material, 'field', grain=0.05, patches=0.08, rows=0.16, height=0.3)
_WOOD = partial(Material, 'wood', grain=0.06, patches=0.08, canopy=0.3, height=5.0)
_WATER = partial(Material, 'water', grain=0.015, waves=0.05)
_ROAD = partial(Material, 'road')
_ROOF = partial(Material, 'building', patches=0.04, height=6.0)
_VEHICLE = partial(Material, 'vehicle', grain=0.02, patches=0.0, height=1.6)

MATERIALS = {
    'soil': Material('bare', (152, 126, 98, 150), 0.07, 0.10),
    'sand': Material('bare', (216, 198, 162, 214), 0.04, 0.06),
    'wet_sand': Material('bare', (170, 152, 124, 140), 0.03, 0.05),
    'gravel': Material('bare', (164, 156, 142, 160), 0.08, 0.07),
    'rock': Material('bare', (132, 126, 116, 126), 0.16, 0.12, height=1.5),
    'grass': Material('grass', (102, 116, 70, 172), 0.06, 0.11, season=0.7),
    'lawn': Material('grass', (92, 118, 66, 188), 0.04, 0.07, season=0.4),
    'scrub': Material('grass', (104, 108, 72, 142), 0.09, 0.13, canopy=0.12, season=0.6),
    'crop': _FIELD((80, 112, 56, 200), season=0.4),
    'sprout': _FIELD((120, 130, 80, 172), season=0.3),
    'ripe': _FIELD((194, 170, 104, 176)),
    'stubble': _FIELD((186, 166, 126, 164)),
    'plough': _FIELD((118, 94, 74, 110)),
    'blossom': _FIELD((200, 186, 62, 200)),
    'leaf': _WOOD((66, 88, 50, 182), season=1.0),
    'needle': _WOOD((46, 66, 46, 124), season=0.1),
    'young_wood': _WOOD((84, 104, 58, 186), season=0.6),
    'sea': _WATER((36, 66, 86, 14), waves=0.12),
    'shoal': _WATER((92, 138, 136, 24), waves=0.08),
    'foam': Material('water', (226, 232, 230, 180), 0.14, 0.12),
    'river': _WATER((60, 78, 72, 20)),
    'silt': _WATER((118, 110, 86, 40)),
    'pool': _WATER((92, 178, 196, 20)),
    'asphalt': _ROAD((92, 92, 95, 92)),
    'worn_asphalt': _ROAD((136, 134, 130, 136)),
    'concrete': _ROAD((184, 180, 170, 184)),
    'track': _ROAD((178, 154, 124, 178), grain=0.07, patches=0.09),
    'marking': _ROAD((234, 234, 228, 234)),
    'yellow_line': _ROAD((214, 180, 74, 214)),
    'tile': _ROOF((166, 94, 72, 166), grain=0.06),
    'brown_tile': _ROOF((128, 102, 88, 128), grain=0.06),
    'slate': _ROOF((106, 108, 114, 106), grain=0.06),
    'bitumen': _ROOF((134, 132, 130, 134)),
    'grey_sheet': _ROOF((198, 200, 200, 198)),
    'sheet': _ROOF((204, 206, 206, 204), height=9.0, rows=0.16),
    'membrane': _ROOF((228, 226, 220, 228), height=9.0),
    'gravel_roof': _ROOF((172, 166, 156, 172), height=9.0, grain=0.06),
    'blue_sheet': _ROOF((96, 138, 182, 96), height=9.0, rows=0.16),
    'green_sheet': _ROOF((120, 156, 136, 120), height=9.0, rows=0.16),
    'rust': _ROOF((148, 104, 82, 148), height=9.0, rows=0.16),
    'parapet': _ROOF((212, 208, 202, 212), height=10.0),
    'duct': _ROOF((150, 150, 150, 150), height=10.5),
    'skylight': _ROOF((170, 192, 206, 170), height=9.0),
    'tank': _ROOF((232, 232, 228, 232), height=10.0),
    'tank_roof': _ROOF((176, 174, 168, 176), height=9.0),
    'white': _VEHICLE((236, 236, 234, 236)),
    'silver': _VEHICLE((176, 178, 180, 176)),
    'grey': _VEHICLE((112, 112, 114, 112)),
    'black': _VEHICLE((40, 40, 44, 40)),
    'red': _VEHICLE((176, 46, 42, 176)),
    'blue': _VEHICLE((54, 86, 148, 54)),
    'green': _VEHICLE((72, 112, 82, 72)),
    'glass': _VEHICLE((44, 50, 58, 44)),
    'hull': _VEHICLE((96, 56, 52, 96), height=6.0),
    'deck': _VEHICLE((170, 152, 126, 170), height=6.0),
    'aluminium': _VEHICLE((232, 234, 236, 232), height=4.0),
    'engine': _VEHICLE((122, 124, 128, 122), height=3.0),
}


def surface(material, tint=0):
    """Surface number, below 256, of a material's name and a tint from 0 to 3."""
    return TINTS * _POSITIONS[material] + int(tint)


def table(field):
    """(256, ...) float32 look-up table from surface to a field of its material."""
    values = np.array([getattr(material, field) for material in MATERIALS.values()], np.float32)
    unused = np.zeros((256 - TINTS * len(values), *values.shape[1:]), np.float32)
    return np.concatenate([np.repeat(values, TINTS, 0), unused])


_POSITIONS = {name: i for i, name in enumerate(MATERIALS)}
#: (256,) uint8 position in ``SEGMENTATION_CLASSES`` of every surface.
LABELS = np.zeros(256, np.uint8)
LABELS[:TINTS * len(MATERIALS)] = np.repeat(
    [SEGMENTATION_CLASSES.index(material.label) for material in MATERIALS.values()], TINTS)


def is_any_of(*classes):
    """(256,) bool look-up table: whether a surface belongs to one of the classes."""
    return np.isin(LABELS, [SEGMENTATION_CLASSES.index(name) for name in classes])
