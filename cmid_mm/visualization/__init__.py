"""Pictures of views, reconstructions, features, attention and predictions."""
from .correspondence import draw_matched_cells
from .mlflow_backend import MLflowVisBackend
from .panels import draw_grid, save_grid
from .prediction import PREDICTION_PICTURES
from .reconstruction import RECONSTRUCTION_HEADS, reconstruction_panels, tensor_to_rgb

__all__ = [
    'MLflowVisBackend', 'PREDICTION_PICTURES', 'RECONSTRUCTION_HEADS', 'draw_grid',
    'draw_matched_cells', 'reconstruction_panels', 'save_grid', 'tensor_to_rgb'
]
