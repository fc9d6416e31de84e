"""Base class of photometric transforms of views."""
from abc import ABC, abstractmethod

from torch import Tensor


class ViewTransform(ABC):
    """Random change of the views of a batch, on its device, before they are normalised.

    ``CMIDDataPreprocessor(photometric=...)`` calls it for each of the two views. Register
    a transform of your own in ``BATCH_AUGMENTS`` and refer to it in the config by ``type``::

        from cmid_mm.models.preprocessing import ViewTransform
        from cmid_mm.utils import uniform
        from mmpretrain.registry import BATCH_AUGMENTS

        @BATCH_AUGMENTS.register_module()
        class BandDropout(ViewTransform):

            def __init__(self, prob, view=1):
                self.prob, self.view = prob, view

            def __call__(self, images, keys, view):
                if view != self.view:
                    return images
                dropped = uniform(keys, 100, images.shape[1]) < self.prob
                return images.masked_fill(dropped[:, :, None, None], 0)

    Crops and flips belong to ``CMIDTwoViews``: pixels must keep their positions, because the
    cells of both views are matched by their positions.
    """

    @abstractmethod
    def __call__(self, images: Tensor, keys: Tensor, view: int) -> Tensor:
        """Change a view of every sample.

        Args:
            images (Tensor): uint8 (B, C, H, W), C bands in the order in which they are
                loaded, contiguous. They must not be changed in place.
            keys (Tensor): int64 (B,), one for each sample and view, on the images' device.
                All random numbers must be drawn from them, by :func:`cmid_mm.utils.uniform`
                or :func:`cmid_mm.utils.normal` with a stream from 100 on: then a view does
                not depend on its batch, the number of processes, or a resumed run.
            view (int): 0 or 1.

        Returns:
            Tensor: (B, C, H, W), uint8, or floating point in 0..255.
        """
