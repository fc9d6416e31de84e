"""MLflow with pictures."""
import numpy as np
from mmengine.visualization import MLflowVisBackend as _MLflowVisBackend
from mmpretrain.registry import VISBACKENDS


# under mmengine's name, which configs of mmpretrain's scope then find here first
@VISBACKENDS.register_module()
class MLflowVisBackend(_MLflowVisBackend):
    """mmengine's backend, which passes on pictures without a file format, an error of MLflow.

    Arguments are those of mmengine's class. ``tracking_uri='sqlite:///mlflow.db'`` writes to a
    local file; without one mmengine chooses plain files, which MLflow 3 refuses.
    """

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        """Save RGB (H, W, 3) uint8 as the artifact ``NAME_STEP.png``."""
        super().add_image(f'{name}_{step}.png', image)
