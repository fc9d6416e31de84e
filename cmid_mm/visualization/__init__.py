from .matched_cells import draw_matched_cells
from .panels import draw_grid, save_grid
from .prediction import PREDICTION_PICTURES
from .reconstruction import (
    draw_reconstructions,
    reconstruction_panels,
    save_reconstructions,
    tensor_to_rgb,
)

__all__ = [
    'PREDICTION_PICTURES', 'draw_grid', 'draw_matched_cells', 'draw_reconstructions',
    'reconstruction_panels', 'save_grid', 'save_reconstructions', 'tensor_to_rgb'
]
