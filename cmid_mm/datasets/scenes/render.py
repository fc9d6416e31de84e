"""Label map to image: spectra, textures, light and sensor."""
import math

import cv2
import numpy as np

from .geometry import ramp
from .inks import ROW_CHANNELS, table
from .light import shade_factor, slope_factor
from .materials import SPECTRA, SPREADS, TEXTURES, TURNS, WITHERED, band_weights
from .textures import crop

#: Grey values per unit of reflectance ** gamma.
_WHITE = 300.0
_CYCLE = np.arange(256, dtype=np.float32) * np.float32(2 * math.pi / 256)
#: Brightness over one period of a row.
_PROFILES = {
    'wave': np.sin(_CYCLE),
    'ridge': np.clip(2.0 * np.sin(_CYCLE) + 0.4, -1, 1),
    'line': np.where(np.cos(_CYCLE) > 0.86, -2.2, 0.2).astype(np.float32),
}


def _colours(columns, tints, conditions, weights):
    """(number of inks, bands) float grey values before texture and light."""
    index = columns.material
    tint = tints[columns.content]
    spectra = SPECTRA[index]
    turn = (conditions.season * TURNS[index])[:, None]
    spectra = spectra * (1 - turn) + np.float32(WITHERED) * turn
    bands = np.maximum(spectra @ weights, 0)
    drift = 0.06 * np.stack([tint[:, 1], tint[:, 2], -tint[:, 1]], 1)
    bands = bands * np.exp(SPREADS[index] * tint[:, 0])[:, None]
    bands[:, :3] *= np.exp(drift[:, :min(3, bands.shape[1])])
    return _WHITE * bands ** conditions.gamma * conditions.gain


def _rows(plan, number, height, width):
    """(H, W) float32 pattern of a row channel."""
    angle, period, kind = plan.rows[number]
    x = np.arange(width) * (-math.sin(angle) * 256 / period)
    y = np.arange(height) * (math.cos(angle) * 256 / period)
    phase = np.add.outer(y.astype(np.int64).astype(np.uint8),
                         x.astype(np.int64).astype(np.uint8))
    return cv2.LUT(phase, _PROFILES[kind])


def _relief(plan, height, width, conditions):
    """Canopy seen from above: dark gaps, crowns lit from the sun's side."""
    domes = crop('canopy', plan.offsets['canopy'], height + 4, width + 4,
                 plan.canopy_scale)
    inner = domes[2:-2, 2:-2]
    if conditions.sun is None:
        return inner
    x, y = round(2 * math.cos(conditions.sun)), round(2 * math.sin(conditions.sun))
    away = domes[2 + y:2 + y + height, 2 + x:2 + x + width]
    return cv2.addWeighted(inner, 1.25, away, -0.8, 0.0)


def _light(plan, columns, painted, conditions):
    """(H, W) float32 brightness factor by texture, shadow and slope of illumination."""
    ink = painted.ink
    height, width = ink.shape
    strength = TEXTURES[columns.material]
    across, down = conditions.slope
    # illumination across the image; textures and shadows come on top
    light = np.add.outer(1 + np.float32(down) * ramp(height),
                         np.float32(across) * ramp(width))

    def modulate(amplitude, texture):
        cv2.accumulateProduct(cv2.LUT(ink, table(amplitude)), texture, light)

    modulate(strength[:, 0], crop('grain', plan.offsets['grain'], height, width))
    modulate(strength[:, 1], crop('mottle', plan.offsets['mottle'], height, width))
    if strength[:, 2].any():
        modulate(strength[:, 2], _relief(plan, height, width, conditions))
    if strength[:, 3].any():
        modulate(strength[:, 3], crop('wave', plan.offsets['wave'], height, width,
                                      plan.wave_scale))
    for number in range(min(len(plan.rows), ROW_CHANNELS)):
        chosen = columns.row == number
        if chosen.any():
            modulate(columns.row_strength * chosen,
                     _rows(plan, number, height, width))
    if conditions.sun is not None:
        wood = strength[:, 2].max() > 0.15
        cv2.multiply(light, shade_factor(painted, columns, conditions,
                                         9.0 / plan.gsd if wood else 0.0), dst=light)
    return light, strength[:, 4]


def _dry_weights(bands):
    """How dry patches shift each band: more red, less blue and infrared."""
    weights = np.full(bands, -0.3)
    weights[:3] = (1.0, 0.0, -0.6)[:min(bands, 3)]
    return weights if bands > 1 else np.array([0.5])


def render(plan, painted, conditions, bands):
    """Image of a painted plan.

    Args:
        plan (Plan): textures, rows and inks.
        painted (Painted): its label map.
        conditions (Conditions): light and sensor.
        bands (int): number of bands.

    Returns:
        numpy.ndarray: (H, W, bands) uint8.
    """
    ink, inks = painted.ink, plan.inks
    height, width = ink.shape
    columns = inks.columns()
    colours = _colours(columns, inks.tints, conditions, band_weights(bands))
    if conditions.sun is not None:
        colours *= slope_factor(columns, conditions)[:, None]
    light, dry = _light(plan, columns, painted, conditions)
    patches = cv2.multiply(
        cv2.LUT(ink, table(dry)),
        crop('mottle', plan.offsets['dry'], height, width))
    kernel = np.float32([conditions.blur, 1 - 2 * conditions.blur, conditions.blur])
    shift = _dry_weights(bands).tolist()
    planes = []
    for band in range(bands):
        plane = cv2.LUT(ink, table(colours[:, band]))
        factor = cv2.scaleAdd(patches, shift[band], light) if shift[band] else light
        cv2.multiply(plane, factor, dst=plane)
        if conditions.blur:
            plane = cv2.sepFilter2D(plane, -1, kernel, kernel,
                                    delta=float(conditions.haze[band]))
        if conditions.noise:
            noise = crop('white', conditions.noise_offsets[band], height, width)
            plane = cv2.scaleAdd(noise, conditions.noise, plane)
        planes.append(cv2.convertScaleAbs(plane))
    return cv2.merge(planes) if 1 < bands <= 4 else np.stack(planes, -1)
