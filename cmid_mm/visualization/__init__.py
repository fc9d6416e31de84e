from .grid import draw_grid, save_grid
from .matched_cells import draw_matched_cells
from .prediction import PREDICTION_PICTURES
from .reconstruction import (
    draw_reconstructions,
    reconstruction_panels,
    save_reconstructions,
    to_rgb,
)

__all__ = [
    'PREDICTION_PICTURES', 'draw_grid', 'draw_matched_cells', 'draw_reconstructions',
    'reconstruction_panels', 'save_grid', 'save_reconstructions', 'to_rgb'
]
