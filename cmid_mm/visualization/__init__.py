from .grid import save_grid
from .prediction import PREDICTION_PICTURES
from .reconstruction import reconstruction_panels, save_reconstructions

__all__ = ['PREDICTION_PICTURES', 'reconstruction_panels', 'save_grid', 'save_reconstructions']
