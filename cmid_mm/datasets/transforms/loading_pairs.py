"""Loading of the two dates of a pair as one array."""
import numpy as np
from mmpretrain.registry import TRANSFORMS

from cmid_mm.datasets.file_limits import ImageError

from .loading import LoadRSImage


@TRANSFORMS.register_module()
class LoadRSImagePair(LoadRSImage):
    """Read ``img_path`` and ``img_path2`` to ``img``, uint8 (H, W, 2 * bands).

    The bands of the earlier date come first. In one array, every flip, rotation
    and crop is the same for both dates.

    Args:
        bands (int): Number of bands of each date. Defaults to 3.
        **kwargs: Passed to :class:`LoadRSImage`.

    Raises:
        ImageError: As for :class:`LoadRSImage`, or the two dates differ in size.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img`` uint8 (H, W, 2 * bands), ``img_shape`` and ``ori_shape`` (H, W)."""
        earlier = super().transform(results)['img']
        later = super().transform(dict(img_path=results['img_path2']))['img']
        if earlier.shape != later.shape:
            sizes = [f'{image.shape[1]} x {image.shape[0]}' for image in (earlier, later)]
            raise ImageError(
                f'{results["img_path2"]} has {sizes[1]} pixels, but {results["img_path"]}, '
                f'of the other date, has {sizes[0]}: register and cut the two alike')
        results['img'] = np.concatenate([earlier, later], axis=2)
        return results
